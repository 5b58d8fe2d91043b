//! Seeds of one-time passwords, sealed, and the last time step that each user spent (RFC 6238 §5.2: once only).

use ringwall_protocol::id::UserId;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::step::Step;

/// A user's seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TotpSeed {
    /// Sealed.
    pub seed: Sealed,
    /// The user proved to have it.
    pub confirmed: bool,
    /// Since when.
    pub(crate) created_at: UnixMillis,
    /// Last time step (Unix seconds ÷ 30) that was accepted.
    pub(crate) last_step: Option<u64>,
}

/// Gives a user a seed in place of the former one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutTotpSeed {
    /// Id of the user.
    pub user: UserId,
    /// Sealed.
    pub seed: Sealed,
    /// Already confirmed: an administrator enrolled it.
    #[serde(default)]
    pub confirmed: bool,
}

/// The user proved to have the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmTotp {
    /// Id of the user.
    pub user: UserId,
}

/// Spends a time step after its code was found right. Refused if it, or a later one, was spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseTotpStep {
    /// Id of the user.
    pub user: UserId,
    /// Unix seconds ÷ 30.
    pub step: u64,
}

/// Takes a user's seed away; absent is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveTotpSeed {
    /// Id of the user.
    pub user: UserId,
}

impl PutTotpSeed {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.seed.check("seed")?;
        let seed =
            TotpSeed { seed: self.seed.clone(), confirmed: self.confirmed, created_at: step.now, last_step: None };
        step.state.totp.insert(self.user, seed);
        Ok(Reply::Done)
    }
}

impl ConfirmTotp {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.totp_seed(self.user)?.confirmed = true;
        Ok(Reply::Done)
    }
}

impl UseTotpStep {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let seed = step.totp_seed(self.user)?;
        if seed.last_step.is_some_and(|last| self.step <= last) {
            return Err(Rejection::CodeUsed);
        }
        seed.last_step = Some(self.step);
        Ok(Reply::Done)
    }
}

impl RemoveTotpSeed {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.state.totp.remove(&self.user);
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    fn totp_seed(&mut self, user: UserId) -> Result<&mut TotpSeed, Rejection> {
        self.state.totp.find_mut(&user).ok_or_else(|| Rejection::not_found("one-time password seed of user", user))
    }
}

impl State {
    /// A user's seed.
    #[must_use]
    pub fn totp_seed(&self, user: UserId) -> Option<&TotpSeed> {
        self.totp.find(&user)
    }

    /// All users with a seed.
    pub fn totp_seeds(&self) -> impl DoubleEndedIterator<Item = (UserId, &TotpSeed)> {
        self.totp.iter().map(|(user, seed)| (*user, seed))
    }
}
