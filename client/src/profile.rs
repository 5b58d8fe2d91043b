//! Client profiles: how a Client finds a Collective, whom it believes there, and how it knocks (S1–S3).
//!
//! A profile is a link, `ringwall://<host[:port]>/<base64url JSON>`, and is kept as one: what is on disk was parsed by
//! the same function as what a user pasted. The SPA key in it is a secret, so `Debug` shows none of it and a link is
//! never logged. Whether a new link may replace an old one is decided in [`crate::core::pinning`].

use std::fmt;
use std::str::FromStr;

use ringwall_protocol::name::ProviderName;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_trust::identity::Fingerprint;
use ringwall_trust::secret::SecretKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret_text::SecretText;

mod host;

pub(crate) use host::ProfileHost;

use host::InvalidHost;

/// Longest link: names, one key and two fingerprints take some 500 bytes.
pub(crate) const MAX_LINK: usize = 8 * 1024;
/// Most further addresses of one profile; a Collective names at most 8.
pub(crate) const MAX_CONTROLLERS: usize = 16;
/// Longest name of a profile or of its SPA key, in bytes.
const MAX_LABEL: usize = 128;
const SCHEME: &str = "ringwall://";

/// What one link says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// For people, and for `--profile`.
    pub(crate) name: String,
    /// Where its Controllers answer; with the provider it makes the profile what it is.
    pub(crate) host: ProfileHost,
    /// Where else they answer: tried after `host`, at most [`MAX_CONTROLLERS`].
    pub(crate) controllers: Vec<ProfileHost>,
    /// The provider that its users sign in with.
    pub(crate) identity_provider: ProviderName,
    /// SHA-256 of the Collective's root certificate.
    pub(crate) ca: Fingerprint,
    /// The same of the root that will follow it.
    pub(crate) next_ca: Option<Fingerprint>,
    /// How to knock at first contact; absent while SPA is open.
    pub(crate) spa: Option<ProfileSpa>,
}

/// The knock of a profile.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProfileSpa {
    /// Which forms of it are wanted.
    pub(crate) mode: SpaMode,
    /// Names the key.
    pub(crate) name: String,
    /// The key; for first contact only, registered devices have their own.
    pub(crate) key: SecretKey,
}

/// Why a text is no profile link. None of the texts repeats the link, which holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    /// Longer than any link.
    #[error("expected a profile link of at most {MAX_LINK} bytes, got {0}")]
    TooLong(usize),
    /// Not the form of a link.
    #[error("expected a profile link like ringwall://<host>/<base64url>")]
    Form,
    /// The part before the slash.
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// The part after it.
    #[error("expected base64url of JSON after the host of the profile link")]
    Encoding,
    /// The JSON says something else.
    #[error("the profile link lacks a field that a profile needs: {0}")]
    Body(String),
    /// A field with a value that it cannot have.
    #[error("field {field} of the profile link: {problem}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LinkBody {
    profile_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spa: Option<LinkSpa>,
    ca_fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_ca_fingerprint: Option<String>,
    identity_provider_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    controllers: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct LinkSpa {
    mode: SpaMode,
    name: String,
    key: SecretText,
}

impl Profile {
    /// Reads a link. Fields that this version does not know are passed over.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(crate) fn parse_link(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        if text.len() > MAX_LINK {
            return Err(LinkError::TooLong(text.len()));
        }
        let rest = text.strip_prefix(SCHEME).ok_or(LinkError::Form)?;
        let (host, body) = rest.split_once('/').ok_or(LinkError::Form)?;
        let host = host.parse()?;
        let body = data_encoding::BASE64URL_NOPAD
            .decode(body.trim_end_matches('=').as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| LinkError::Encoding)?;
        let body: LinkBody = serde_json::from_slice(&body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => LinkError::Body(without_values(&error)),
            _ => LinkError::Encoding,
        })?;
        Self::from_body(host, body)
    }

    fn from_body(host: ProfileHost, body: LinkBody) -> Result<Self, LinkError> {
        if body.controllers.len() > MAX_CONTROLLERS {
            return Err(field("controllers", format!("expected at most {MAX_CONTROLLERS} addresses")));
        }
        let controllers = body.controllers.iter().map(|text| text.parse());
        Ok(Self {
            name: label("profileName", body.profile_name)?,
            host,
            controllers: controllers.collect::<Result<_, InvalidHost>>()?,
            identity_provider: ProviderName::parse(body.identity_provider_name)
                .map_err(|error| field("identityProviderName", error))?,
            ca: body.ca_fingerprint.parse().map_err(|error| field("caFingerprint", error))?,
            next_ca: body
                .next_ca_fingerprint
                .map(|text| text.parse())
                .transpose()
                .map_err(|error| field("nextCaFingerprint", error))?,
            spa: body.spa.map(ProfileSpa::from_link).transpose()?,
        })
    }

    /// The profile as a link. It may hold a key: for a file of mode 0600, never for a log.
    #[must_use]
    pub(crate) fn expose_link(&self) -> Zeroizing<String> {
        let body = LinkBody {
            profile_name: self.name.clone(),
            spa: self.spa.as_ref().map(ProfileSpa::to_link),
            ca_fingerprint: self.ca.to_string(),
            next_ca_fingerprint: self.next_ca.map(|pin| pin.to_string()),
            identity_provider_name: self.identity_provider.as_str().to_owned(),
            controllers: self.controllers.iter().map(ToString::to_string).collect(),
        };
        let body = Zeroizing::new(serde_json::to_vec(&body).expect("strings serialise"));
        Zeroizing::new(format!("{SCHEME}{}/{}", self.host, data_encoding::BASE64URL_NOPAD.encode(&body)))
    }

    /// What makes the profile the same or another one: host and provider (S1).
    #[must_use]
    pub(crate) fn slot(&self) -> ProfileSlot {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.host.to_string().as_bytes());
        hasher.update(&[0]);
        hasher.update(self.identity_provider.as_str().as_bytes());
        let hash = hasher.finalize();
        ProfileSlot(data_encoding::HEXLOWER.encode(&hash.as_bytes()[..8]))
    }

    /// The roots that are believed.
    #[must_use]
    pub(crate) fn pins(&self) -> Vec<Fingerprint> {
        std::iter::once(self.ca).chain(self.next_ca).collect()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({} at {}, {})", self.name, self.host, self.identity_provider.as_str())
    }
}

impl ProfileSpa {
    fn from_link(link: LinkSpa) -> Result<Self, LinkError> {
        Ok(Self {
            mode: link.mode,
            name: label("spa.name", link.name)?,
            key: parse_key(link.key.expose())
                .ok_or_else(|| field("spa.key", "expected 32 bytes in base64url or hex"))?,
        })
    }

    fn to_link(&self) -> LinkSpa {
        LinkSpa { mode: self.mode, name: self.name.clone(), key: SecretText::from(self.key.expose_text().to_string()) }
    }
}

/// Where a profile is kept: 16 hex digits made of host and provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProfileSlot(String);

impl fmt::Display for ProfileSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keys are base64url in our links and hex in those of older systems.
fn parse_key(text: &str) -> Option<SecretKey> {
    if let Ok(key) = SecretKey::from_str(text) {
        return Some(key);
    }
    let bytes = Zeroizing::new(data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?);
    <[u8; 32]>::try_from(bytes.as_slice()).ok().map(SecretKey::new)
}

fn label(name: &'static str, text: String) -> Result<String, LinkError> {
    if text.is_empty() || text.len() > MAX_LABEL || text.chars().any(char::is_control) {
        return Err(field(name, format!("expected 1 to {MAX_LABEL} bytes without control characters")));
    }
    Ok(text)
}

fn field(field: &'static str, problem: impl fmt::Display) -> LinkError {
    LinkError::Field { field, problem: problem.to_string() }
}

/// Where in the JSON, but not what stood there: it may be the key.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once('`') {
        Some((before, rest)) if before.trim_start().starts_with("missing field") => {
            format!("missing field {}", rest.split('`').next().unwrap_or_default())
        }
        _ => format!("a field has the wrong type, at column {}", error.column()),
    }
}

#[cfg(test)]
mod tests;
