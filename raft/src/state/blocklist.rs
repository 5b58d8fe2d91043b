//! The blocklist: users who may not sign in, from any device (S18). Blocking cuts what they have.

use ringwall_protocol::name::{DnScope, UserDn};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::{Cutoff, Step};

/// A blocked user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockEntry {
    /// DN of the user.
    pub user: UserDn,
    /// Since when.
    pub blocked_at: UnixMillis,
    /// Reason, in words.
    pub reason: String,
}

/// Blocks a user and cuts every session, in one entry. Again is fine, and cuts again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockUser {
    /// DN of the user.
    pub user: UserDn,
    /// Why, at most 1,024 bytes.
    #[serde(default)]
    pub reason: String,
}

/// Lets a user sign in again; old tokens stay invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnblockUser {
    /// DN of the user.
    pub user: UserDn,
}

impl BlockUser {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.reason.len() > 1_024 {
            return Err(Rejection::invalid("reason", "has at most 1024 bytes"));
        }
        let entry = BlockEntry { user: self.user.clone(), blocked_at: step.now, reason: self.reason.clone() };
        step.state.blocklist.insert(self.user.clone(), entry);
        let reason = format!("blocked: {}", self.reason);
        step.revoke(Cutoff::cut(DnScope::User(self.user.clone()), reason)).map(Reply::Revoked)
    }
}

impl UnblockUser {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        match step.state.blocklist.remove(&self.user) {
            Some(_) => Ok(Reply::Done),
            None => Err(Rejection::not_found("blocked user", &self.user)),
        }
    }
}

impl State {
    /// The user's entry, if the user is blocked.
    #[must_use]
    pub fn blocked(&self, user: &UserDn) -> Option<&BlockEntry> {
        self.blocklist.find(user)
    }

    /// All blocked users.
    pub fn blocklist(&self) -> impl DoubleEndedIterator<Item = &BlockEntry> {
        self.blocklist.values()
    }
}
