//! Lock-outs after failed sign-ins: 1 minute, doubling up to an hour (T39).
//!
//! A device that brings its cookie and key has a lock-out of its own, so that unauthenticated peers lock nobody out.

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
/// Most subjects that are remembered: names come from unauthenticated peers.
pub(crate) const MAX_LOCKOUTS: usize = 100_000;
/// A subject that was not locked for this long begins anew.
pub(crate) const FORGIVEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Who is locked out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LockoutSubject {
    /// The user name that was tried; it need not exist.
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
        let known = step.state.lockouts.find(&self.subject).copied();
        if known.is_none() && step.state.lockouts.len() >= MAX_LOCKOUTS {
            return Err(Rejection::too_many("lock-outs", MAX_LOCKOUTS));
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

impl ClearLockout {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.state.lockouts.remove(&self.subject);
        Ok(Reply::Done)
    }
}

impl State {
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
