//! Distinguished Names: who a session belongs to (RFC 4514; `docs/token-flow.md` "Names").
//!
//! A session's DN is `CN=<device id, 32 hex>,CN=<username>,OU=<identity provider>`; the user's DN is its last two
//! components. Names are compared component by component, never as text. A [`DnScope`] is a suffix of 0 to 3
//! components and tells whom a revocation concerns.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::id::DeviceId;

/// Longest user or provider name, in characters.
pub(crate) const MAX_NAME: usize = 256;

/// Why a text is no name or no DN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, too long, or with control characters.
    #[error("a name has 1 to {MAX_NAME} characters and no control characters")]
    Name,
    /// Not of the form that was expected.
    #[error("expected a distinguished name like CN=<device>,CN=<user>,OU=<provider>, got {0:?}")]
    Form(String),
    /// An escape that RFC 4514 does not have.
    #[error("a distinguished name has an invalid escape at byte {0}")]
    Escape(usize),
    /// The device component is no UUID.
    #[error("expected a device id of 32 hex digits, got {0:?}")]
    Device(String),
}

/// A user's name at its identity provider. Case matters; no control characters; 1–256 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

/// An identity provider's name. The same limits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderName(String);

macro_rules! names {
    ($($name:ident)*) => {$(
        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// [`NameError::Name`].
            pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                if text.is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
                    return Err(NameError::Name);
                }
                Ok(Self(text))
            }
            /// The name as text, unescaped.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
names! { UserName ProviderName }

/// `CN=<username>,OU=<identity provider>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserDn {
    /// The user.
    pub user: UserName,
    /// Where the user signs in.
    pub provider: ProviderName,
}

/// `CN=<device id>,CN=<username>,OU=<identity provider>`: a session throughout the system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionDn {
    /// The device.
    pub device: DeviceId,
    /// The user on it.
    pub user: UserDn,
}

/// A suffix of a session's DN: whom something concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DnScope {
    /// Everyone (the empty suffix).
    Everyone,
    /// `OU=<provider>`.
    Provider(ProviderName),
    /// `CN=<user>,OU=<provider>`.
    User(UserDn),
    /// A whole session DN.
    Device(SessionDn),
}

impl DnScope {
    /// Whether `dn` ends with this suffix, component by component.
    #[must_use]
    pub fn matches(&self, dn: &SessionDn) -> bool {
        match self {
            Self::Everyone => true,
            Self::Provider(provider) => *provider == dn.user.provider,
            Self::User(user) => *user == dn.user,
            Self::Device(session) => session == dn,
        }
    }
}

impl fmt::Display for UserDn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CN={},OU={}", Escaped(self.user.as_str()), Escaped(self.provider.as_str()))
    }
}

impl fmt::Display for SessionDn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CN={},{}", self.device.simple(), self.user)
    }
}

impl fmt::Display for DnScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => Ok(()),
            Self::Provider(provider) => write!(f, "OU={}", Escaped(provider.as_str())),
            Self::User(user) => user.fmt(f),
            Self::Device(session) => session.fmt(f),
        }
    }
}

impl FromStr for UserDn {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.parse()? {
            DnScope::User(user) => Ok(user),
            _ => Err(form(text)),
        }
    }
}

impl FromStr for SessionDn {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.parse()? {
            DnScope::Device(session) => Ok(session),
            _ => Err(form(text)),
        }
    }
}

impl FromStr for DnScope {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Ok(Self::Everyone);
        }
        let components = split(text)?;
        let parts: Vec<(&str, &str)> = components.iter().map(|(kind, value)| (kind.as_str(), value.as_str())).collect();
        match parts.as_slice() {
            [("OU", provider)] => Ok(Self::Provider(ProviderName::parse(*provider)?)),
            [("CN", user), ("OU", provider)] => Ok(Self::User(user_dn(user, provider)?)),
            [("CN", device), ("CN", user), ("OU", provider)] => Ok(Self::Device(SessionDn {
                device: device.parse().map_err(|_| NameError::Device((*device).to_owned()))?,
                user: user_dn(user, provider)?,
            })),
            _ => Err(form(text)),
        }
    }
}

macro_rules! text_forms {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    )*};
}
text_forms! { UserDn SessionDn DnScope }

/// A value of a DN, escaped as RFC 4514 §2.4 has it.
macro_rules! value {
    () => {
        r##"([^\u0000-\u001f\u007f-\u009f"+,;<>\\= #]|\\["+,;<>\\= #])([^\u0000-\u001f\u007f-\u009f"+,;<>\\=]|\\["+,;<>\\= #]){0,255}"##
    };
}

macro_rules! described {
    ($($name:ident: $pattern:expr;)*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "maxLength": 2 * 4 * MAX_NAME + 64 })
            }
        }
    )*};
}
described! {
    UserDn: concat!("^CN=", value!(), ",OU=", value!(), "$");
    SessionDn: concat!("^CN=[0-9a-f]{32},CN=", value!(), ",OU=", value!(), "$");
    DnScope: concat!("^(((CN=[0-9a-f]{32},)?CN=", value!(), ",)?OU=", value!(), ")?$");
}

impl JsonSchema for UserName {
    fn schema_name() -> Cow<'static, str> {
        "UserName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$", "minLength": 1, "maxLength": MAX_NAME
        })
    }
}

fn user_dn(user: &str, provider: &str) -> Result<UserDn, NameError> {
    Ok(UserDn { user: UserName::parse(user)?, provider: ProviderName::parse(provider)? })
}

fn form(text: &str) -> NameError {
    NameError::Form(text.chars().take(128).collect())
}

/// RFC 4514 §2.4: what must be escaped in a value.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.chars().count().saturating_sub(1);
        for (at, c) in self.0.chars().enumerate() {
            let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=')
                || (c == ' ' && (at == 0 || at == last))
                || (c == '#' && at == 0);
            if special {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        Ok(())
    }
}

/// Splits at unescaped commas into (type, unescaped value); at most 3 components, types upper-cased.
fn split(text: &str) -> Result<Vec<(String, String)>, NameError> {
    // Two names of four bytes a character, a device, and what stands between them.
    if text.len() > 2 * 4 * MAX_NAME + 64 {
        return Err(form(text));
    }
    let mut components = Vec::new();
    let mut rest = text;
    loop {
        let (kind, after) = rest.split_once('=').ok_or_else(|| form(text))?;
        let (value, used, more) = unescape(after, text.len() - after.len())?;
        components.push((kind.trim().to_ascii_uppercase(), value));
        if !more {
            return Ok(components);
        }
        if components.len() == 3 {
            return Err(form(text));
        }
        rest = &after[used..];
    }
}

/// Reads one value up to an unescaped comma: (value, bytes used with the comma, whether a comma came).
fn unescape(text: &str, offset: usize) -> Result<(String, usize, bool), NameError> {
    let mut bytes = Vec::new();
    let mut input = text.bytes().enumerate();
    while let Some((at, byte)) = input.next() {
        match byte {
            b',' => return Ok((utf8(bytes, offset)?, at + 1, true)),
            b'\\' => {
                let (_, first) = input.next().ok_or(NameError::Escape(offset + at))?;
                if first.is_ascii_hexdigit() {
                    let (_, second) = input.next().ok_or(NameError::Escape(offset + at))?;
                    let pair = [first, second];
                    let hex =
                        data_encoding::HEXLOWER_PERMISSIVE.decode(&pair).map_err(|_| NameError::Escape(offset + at))?;
                    bytes.extend(hex);
                } else if b" \"#+,;<=>\\".contains(&first) {
                    bytes.push(first);
                } else {
                    return Err(NameError::Escape(offset + at));
                }
            }
            other => bytes.push(other),
        }
    }
    Ok((utf8(bytes, offset)?, text.len(), false))
}

fn utf8(bytes: Vec<u8>, offset: usize) -> Result<String, NameError> {
    String::from_utf8(bytes).map_err(|_| NameError::Escape(offset))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dn(text: &str) -> SessionDn {
        text.parse().expect("a valid DN")
    }

    #[test]
    fn scopes_match_by_component_and_not_by_substring() {
        let alice = dn("CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local");
        for (scope, expected) in [
            ("", true),
            ("OU=local", true),
            ("OU=ocal", false),
            ("CN=alice,OU=local", true),
            ("CN=lice,OU=local", false),
            ("CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local", true),
            ("CN=4c07bc6757ea42ddb702c2d6c45419fd,CN=alice,OU=local", false),
        ] {
            assert_eq!(scope.parse::<DnScope>().expect(scope).matches(&alice), expected, "{scope}");
        }
    }

    #[test]
    fn a_name_with_dn_syntax_in_it_stays_one_component() {
        let user = UserName::parse("mallory,OU=other").expect("a name");
        let spoof = UserDn { user, provider: ProviderName::parse("local").expect("a name") };
        assert_eq!(spoof.to_string(), r"CN=mallory\,OU\=other,OU=local");
        assert_eq!(spoof.to_string().parse(), Ok(spoof));
    }

    #[test]
    fn control_characters_and_foreign_forms_are_refused() {
        assert_eq!(UserName::parse("a\0b"), Err(NameError::Name));
        assert!("CN=x,DC=y".parse::<DnScope>().is_err());
        assert!("CN=nohex,CN=u,OU=p".parse::<DnScope>().is_err());
        assert!(r"CN=a\x,OU=p".parse::<DnScope>().is_err());
    }

    proptest! {
        #[test]
        fn every_name_survives_printing_and_parsing(user in "\\PC{1,40}", provider in "\\PC{1,40}", device: u128) {
            prop_assume!(!user.chars().chain(provider.chars()).any(char::is_control));
            let dn = SessionDn {
                device: DeviceId::new(uuid::Uuid::from_u128(device)),
                user: UserDn {
                    user: UserName::parse(user).expect("checked"),
                    provider: ProviderName::parse(provider).expect("checked"),
                },
            };
            prop_assert_eq!(dn.to_string().parse::<SessionDn>(), Ok(dn));
        }
    }
}
