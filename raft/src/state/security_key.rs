//! Security keys of users (FIDO2), and the codes that let a user register one.
//!
//! What the verifier keeps of a key stands sealed; its counter stands beside it, because here it is decided that a key
//! is used in one order only, over all Controllers (WebAuthn level 3, §6.1.1). A registration code is known by hash, used
//! once, and has an end.

use std::fmt;

use ringwall_protocol::id::UserId;
use ringwall_protocol::name::{ProviderName, UserDn};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::step::Step;

/// Most keys of one user.
pub(crate) const MAX_KEYS: usize = 8;
/// Longest id of a key in base64url: 1,023 bytes (WebAuthn level 3, §4).
const MAX_ID: usize = 1_364;
/// Longest name of a key, in bytes.
const MAX_NAME: usize = 128;

/// SHA-256 of a registration code, base64url.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistrationCode(String);

impl RegistrationCode {
    /// From the hash's 32 bytes.
    #[must_use]
    pub fn new(sha256: [u8; 32]) -> Self {
        Self(data_encoding::BASE64URL_NOPAD.encode(&sha256))
    }
}

impl fmt::Debug for RegistrationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrationCode(…)")
    }
}

/// A key of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityKey {
    /// Its id, base64url.
    pub id: String,
    /// For people.
    pub name: String,
    /// What the verifier keeps of it, sealed.
    pub record: Sealed,
    /// Its signature counter; 0 for keys that have none.
    pub counter: u32,
    /// Set by the state.
    #[serde(default)]
    pub registered_at: UnixMillis,
    /// Set by the state.
    #[serde(default)]
    pub used_at: Option<UnixMillis>,
}

/// What a user has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityKeys {
    /// DN of the user.
    pub dn: UserDn,
    /// In the order of their registration.
    pub keys: Vec<SecurityKey>,
    /// An open permission to register one.
    #[serde(default)]
    pub permission: Option<Permission>,
}

/// A permission to register a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// Hash of the code.
    pub code: RegistrationCode,
    /// Its end.
    pub not_after: UnixMillis,
}

/// Lets a user register a key with a code; a former code is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermitSecurityKey {
    /// The user.
    pub user: UserId,
    /// The user's name and provider.
    pub dn: UserDn,
    /// The permission.
    pub permission: Permission,
}

/// Registers a key and spends the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddSecurityKey {
    /// Id of the user.
    pub user: UserId,
    /// The key; its times are set by the state.
    pub key: SecurityKey,
    /// The code that permitted it.
    pub code: RegistrationCode,
}

/// A key has answered: its counter moves on, and what the verifier keeps may have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UseSecurityKey {
    /// Id of the user.
    pub user: UserId,
    /// Id of the security key (credential id, base64url).
    pub key: String,
    /// Its counter in the answer. Refused unless it has grown, or always was 0: another key has the same secret, or an
    /// answer came twice.
    pub counter: u32,
    /// What the verifier keeps from now on.
    pub record: Sealed,
}

/// Takes all keys and codes of a user away; none is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveSecurityKeys {
    /// Id of the user.
    pub user: UserId,
}

impl PermitSecurityKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let keys = step.state.security_keys.find(&self.user).map(|known| known.keys.clone()).unwrap_or_default();
        let permitted = SecurityKeys { dn: self.dn.clone(), keys, permission: Some(self.permission.clone()) };
        step.state.security_keys.insert(self.user, permitted);
        Ok(Reply::Done)
    }
}

impl AddSecurityKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.key.record.check("record", &step.state.kek)?;
        if self.key.id.is_empty() || self.key.id.len() > MAX_ID || self.key.name.len() > MAX_NAME {
            return Err(Rejection::invalid("securityKey", "id or name is empty or too long"));
        }
        let taken = step.state.security_keys.values().flat_map(|one| &one.keys).any(|one| one.id == self.key.id);
        let now = step.now;
        let known = step.security_keys(self.user)?;
        let permitted = known.permission.as_ref().is_some_and(|one| one.code == self.code && now < one.not_after);
        if !permitted {
            return Err(Rejection::CodeUsed);
        }
        if taken {
            return Err(Rejection::exists("security key", &self.key.id));
        }
        if known.keys.len() >= MAX_KEYS {
            return Err(Rejection::too_many("security keys of a user", MAX_KEYS));
        }
        known.permission = None;
        known.keys.push(SecurityKey { registered_at: now, used_at: None, ..self.key.clone() });
        Ok(Reply::Done)
    }
}

impl UseSecurityKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.record.check("record", &step.state.kek)?;
        let now = step.now;
        let known = step.security_keys(self.user)?;
        let key = known.keys.iter_mut().find(|key| key.id == self.key);
        let key = key.ok_or_else(|| Rejection::not_found("security key", &self.key))?;
        if (self.counter, key.counter) != (0, 0) && self.counter <= key.counter {
            return Err(Rejection::CodeUsed);
        }
        key.counter = self.counter;
        key.record = self.record.clone();
        key.used_at = Some(now);
        Ok(Reply::Done)
    }
}

impl RemoveSecurityKeys {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.state.security_keys.remove(&self.user);
        step.end_sessions_of_user(self.user);
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    fn security_keys(&mut self, user: UserId) -> Result<&mut SecurityKeys, Rejection> {
        self.state.security_keys.find_mut(&user).ok_or_else(|| Rejection::not_found("security keys of user", user))
    }

    /// The users of a provider that is gone have no keys any more.
    pub(super) fn forget_security_keys_of(&mut self, provider: &ProviderName) {
        let of_provider = self.state.security_keys.iter().filter(|(_, known)| known.dn.provider == *provider);
        let users: Vec<UserId> = of_provider.map(|(user, _)| *user).collect();
        for user in users {
            self.state.security_keys.remove(&user);
        }
    }
}

impl State {
    /// A user's keys.
    #[must_use]
    pub fn security_keys_of(&self, user: UserId) -> Option<&SecurityKeys> {
        self.security_keys.find(&user)
    }

    /// All users with keys or a permission to register one.
    pub fn security_keys(&self) -> impl DoubleEndedIterator<Item = (UserId, &SecurityKeys)> {
        self.security_keys.iter().map(|(user, known)| (*user, known))
    }
}
