//! Lock-outs after failed sign-ins: 1 minute, doubling up to an hour (T39).
//!
//! A device that brings its cookie and key has a lock-out of its own, so that unauthenticated peers lock nobody out. Only users
//! who exist are remembered, so that invented names neither fill the state nor end anybody's lock-out (T70).

use std::time::Duration;

use ringwall_protocol::id::DeviceId;
use ringwall_protocol::name::UserDn;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Longest lock-out.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);
/// Most subjects that are remembered; beyond it, the one whose lock-out ended first makes room.
pub(crate) const MAX_LOCKOUTS: usize = 100_000;
/// A subject that was not locked for this long begins anew.
pub(crate) const FORGIVEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Who is locked out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LockoutSubject {
    /// The user that was tried.
    pub user: UserDn,
    /// The registered device that tried it; absent: all that are not registered.
    pub device: Option<DeviceId>,
}

/// A lock-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockout {
    /// Refused before.
    pub until: UnixMillis,
    /// How many in a row.
    pub count: u32,
}

/// A subject failed as often as is permitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockOut {
    /// User, or user and device, that it counts for.
    pub subject: LockoutSubject,
    /// First lock-out; doubles with each in a row, up to an hour.
    pub base_minutes: u32,
}

/// The subject signed in, or an administrator helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearLockout {
    /// User, or user and device, that it counts for.
    pub subject: LockoutSubject,
}

impl LockOut {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if !step.state.knows_user(&self.subject.user) {
            return Err(Rejection::not_found("user", &self.subject.user));
        }
        let known = step.state.lockouts.find(&self.subject).copied();
        if known.is_none() && step.state.lockouts.len() >= MAX_LOCKOUTS {
            make_room(step)?;
        }
        let former = known.filter(|lockout| lockout.until.plus(FORGIVEN_AFTER) > step.now);
        // Two Controllers may report the same failures: one that comes during a lock-out changes nothing.
        if former.is_some_and(|lockout| lockout.until > step.now) {
            return Ok(Reply::Done);
        }
        let count = former.map_or(0, |lockout| lockout.count);
        let base = Duration::from_secs(u64::from(self.base_minutes.clamp(1, 60)) * 60);
        let span = base.saturating_mul(1 << count.min(6)).min(LONGEST);
        let lockout = Lockout { until: step.now.plus(span), count: count.saturating_add(1) };
        step.state.lockouts.insert(self.subject.clone(), lockout);
        Ok(Reply::Done)
    }
}

/// Drops the lock-out that ended first. One that holds is not ended by others.
fn make_room(step: &mut Step<'_>) -> Result<(), Rejection> {
    let ended = step.state.lockouts.iter().filter(|(_, lockout)| lockout.until <= step.now);
    let oldest = ended.min_by_key(|(_, lockout)| lockout.until).map(|(subject, _)| subject.clone());
    match oldest {
        Some(subject) => step.state.lockouts.remove(&subject),
        None => return Err(Rejection::too_many("lock-outs", MAX_LOCKOUTS)),
    };
    Ok(())
}

impl ClearLockout {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.state.lockouts.remove(&self.subject);
        Ok(Reply::Done)
    }
}

impl State {
    /// Whether a user exists, as far as the Collective knows: a local one, or one of another provider who has registered a
    /// device.
    #[must_use]
    pub fn knows_user(&self, user: &UserDn) -> bool {
        let local = || self.local_provider().is_some_and(|provider| provider.base.name == user.provider.as_str());
        (local() && self.local_user_named(user.user.as_str()).is_some())
            || self.devices().any(|device| device.dn.user == *user)
    }

    /// The lock-out of a subject, if it holds at `now`.
    #[must_use]
    pub fn locked_out(&self, subject: &LockoutSubject, now: UnixMillis) -> Option<Lockout> {
        self.lockouts.find(subject).copied().filter(|lockout| lockout.until > now)
    }

    /// All lock-outs remembered.
    pub fn lockouts(&self) -> impl DoubleEndedIterator<Item = (&LockoutSubject, &Lockout)> {
        self.lockouts.iter()
    }
}
