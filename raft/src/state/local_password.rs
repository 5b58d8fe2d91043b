//! Passwords of local users, as hashes, apart from the users: nothing that lists users can show them.

use std::fmt;

use ringwall_protocol::id::UserId;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// A password hash in PHC form (`$argon2id$…`). Not printable.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string.
    #[must_use]
    pub fn new(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A local user's password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalPassword {
    /// Its hash.
    pub hash: PasswordHash,
    /// It must be replaced at the next sign-in.
    pub(crate) must_change: bool,
    /// When it was set.
    pub(crate) changed_at: UnixMillis,
}

/// Sets a local user's password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetLocalPassword {
    /// Id of the user.
    pub user: UserId,
    /// Its hash.
    pub hash: PasswordHash,
    /// It must be replaced at the next sign-in.
    #[serde(default)]
    pub must_change: bool,
}

impl SetLocalPassword {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if step.state.local_user(self.user).is_none() {
            return Err(Rejection::not_found("local user", self.user));
        }
        if !self.hash.0.starts_with('$') || self.hash.0.len() > 512 {
            return Err(Rejection::invalid("password", "hash is a PHC string of at most 512 bytes"));
        }
        let password = LocalPassword { hash: self.hash.clone(), must_change: self.must_change, changed_at: step.now };
        step.state.local_passwords.insert(self.user, password);
        step.end_sessions_of_user(self.user);
        Ok(Reply::Changed { version: step.index, revocation: None })
    }
}
