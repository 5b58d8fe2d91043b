//! Seeds of one-time passwords, sealed, and the last time step that each user spent (RFC 6238 §5.2: once only).
//!
//! A user gets a seed by an administrator's order, or with an enrolment code that an administrator gave: a password alone
//! never brings one (T60). What is shown and not proved yet stands in its transaction and counts nowhere.

use ringwall_protocol::id::UserId;
use ringwall_protocol::name::{ProviderName, UserDn};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::security_key::{Permission, RegistrationCode};
use super::step::Step;

/// A user's seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TotpSeed {
    /// Sealed.
    pub seed: Sealed,
    /// Since when.
    pub(crate) created_at: UnixMillis,
    /// Last time step (Unix seconds ÷ 30) that was accepted.
    pub(crate) last_step: Option<u64>,
}

/// What a user has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TotpRecord {
    /// DN of the user.
    pub dn: UserDn,
    /// The seed.
    #[serde(default)]
    pub seed: Option<TotpSeed>,
    /// An open permission to enrol one.
    #[serde(default)]
    pub enrolment: Option<Permission>,
}

/// Gives a user a seed in place of the former one, by an administrator's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutTotpSeed {
    /// Id of the user.
    pub user: UserId,
    /// The user's name and provider.
    pub dn: UserDn,
    /// Sealed.
    pub seed: Sealed,
}

/// Lets a user enrol a seed with a code; a former code is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitTotp {
    /// Id of the user.
    pub user: UserId,
    /// The user's name and provider.
    pub dn: UserDn,
    /// The permission.
    pub permission: Permission,
}

/// The user proved to have the seed that the enrolment code brought: it takes the former one's place, and the code is spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolTotp {
    /// Id of the user.
    pub user: UserId,
    /// The code that permitted it.
    pub code: RegistrationCode,
    /// Sealed.
    pub seed: Sealed,
    /// Time step of the one-time password that proved it; spent.
    pub step: u64,
}

/// Spends a time step after its code was found right. Refused if it, or a later one, was spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseTotpStep {
    /// Id of the user.
    pub user: UserId,
    /// Unix seconds ÷ 30.
    pub step: u64,
}

/// Takes a user's seed and enrolment code away; absent is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveTotpSeed {
    /// Id of the user.
    pub user: UserId,
}

impl PutTotpSeed {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.seed.check("seed", &step.state.kek)?;
        let seed = TotpSeed { seed: self.seed.clone(), created_at: step.now, last_step: None };
        let record = TotpRecord { dn: self.dn.clone(), seed: Some(seed), enrolment: None };
        step.state.totp.insert(self.user, record);
        step.end_sessions_of_user(self.user);
        Ok(Reply::Done)
    }
}

impl PermitTotp {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let seed = step.state.totp.find(&self.user).and_then(|known| known.seed.clone());
        let record = TotpRecord { dn: self.dn.clone(), seed, enrolment: Some(self.permission.clone()) };
        step.state.totp.insert(self.user, record);
        Ok(Reply::Done)
    }
}

impl EnrolTotp {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.seed.check("seed", &step.state.kek)?;
        let now = step.now;
        let record = step.totp_record(self.user)?;
        let permitted = record.enrolment.as_ref().is_some_and(|one| one.code == self.code && now < one.not_after);
        if !permitted {
            return Err(Rejection::CodeUsed);
        }
        record.seed = Some(TotpSeed { seed: self.seed.clone(), created_at: now, last_step: Some(self.step) });
        record.enrolment = None;
        // The sign-in in which it was proved goes on.
        let user = self.user;
        step.state.end_sessions(|session| session.user_id == user);
        Ok(Reply::Done)
    }
}

impl UseTotpStep {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let user = self.user;
        let record = step.totp_record(user)?;
        let seed = record.seed.as_mut().ok_or_else(|| Rejection::not_found("one-time password seed of user", user))?;
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
        step.end_sessions_of_user(self.user);
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    fn totp_record(&mut self, user: UserId) -> Result<&mut TotpRecord, Rejection> {
        self.state.totp.find_mut(&user).ok_or_else(|| Rejection::not_found("one-time password seed of user", user))
    }

    /// The users of a provider that is gone have no seeds any more.
    pub(super) fn forget_seeds_of(&mut self, provider: &ProviderName) {
        let of_provider = self.state.totp.iter().filter(|(_, known)| known.dn.provider == *provider);
        let users: Vec<UserId> = of_provider.map(|(user, _)| *user).collect();
        for user in users {
            self.state.totp.remove(&user);
        }
    }
}

impl State {
    /// A user's seed.
    #[must_use]
    pub fn totp_seed(&self, user: UserId) -> Option<&TotpSeed> {
        self.totp.find(&user).and_then(|record| record.seed.as_ref())
    }

    /// What is known of a user's one-time passwords.
    #[must_use]
    pub fn totp_record(&self, user: UserId) -> Option<&TotpRecord> {
        self.totp.find(&user)
    }

    /// All users with a seed, or a permission to enrol one.
    pub fn totp_records(&self) -> impl DoubleEndedIterator<Item = (UserId, &TotpRecord)> {
        self.totp.iter().map(|(user, record)| (*user, record))
    }
}
