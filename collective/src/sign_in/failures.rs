//! Failed sign-ins, counted here before anything is proposed (T39): by who tries, and by whom was tried.
//!
//! A device that brings its cookie and key is counted by itself, and so are administrators and their known keys: whoever
//! guesses from the same address locks nobody out (T64).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringwall_protocol::id::{DeviceId, Thumbprint, UserId};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::lockout::LockoutSubject;

use super::attempter::Attempter;
use super::lockout::sources::SourceCounts;
use crate::identity::throttle::Throttle;
use crate::refusal::Refusal;

/// Failed sign-ins of one source (/32, /64; wider IPv6 networks have more), device or key in a minute.
const FAILURES_PER_ATTEMPTER: u32 = 10;
/// Proposals a second that unauthenticated peers can cause (lock-outs).
const STRANGER_PROPOSALS_PER_SECOND: u32 = 20;
/// Wrong answers of a user to another factor in [`FACTOR_SPAN`]: of a million codes, with three valid at a time, a thief
/// of the password guesses one in years.
const WRONG_FACTORS_PER_SPAN: u32 = 10;
/// Questions that reach a user on another device in [`FACTOR_SPAN`]: enough for a bad connection, too few to wear
/// somebody down.
const DISTURBANCES_PER_SPAN: u32 = 5;
/// Over which wrong factors and disturbances are counted.
const FACTOR_SPAN: Duration = Duration::from_secs(10 * 60);
/// Failures are counted over this span.
const SPAN: Duration = Duration::from_secs(60);
/// Largest threshold that a provider can set with effect.
const MAX_THRESHOLD: u32 = 100;

/// Counters of failed sign-ins.
#[derive(Debug)]
pub(crate) struct Failures {
    sources: Mutex<SourceCounts>,
    devices: Mutex<Throttle<(UserId, DeviceId)>>,
    admin_sources: Mutex<SourceCounts>,
    admin_keys: Mutex<Throttle<(UserId, Thumbprint)>>,
    /// Hundredths of a lock-out: a failure takes 100 ÷ threshold of them.
    subjects: Mutex<Throttle<LockoutSubject>>,
    /// The same of names that nobody has, as far as is known: they take no room from users.
    unknown: Mutex<Throttle<LockoutSubject>>,
    proposals: Mutex<Throttle<()>>,
    /// Wrong answers to another factor.
    answers: Mutex<Throttle<UserId>>,
    /// Questions that reach a user elsewhere: nobody is worn down until he agrees.
    disturbances: Mutex<Throttle<UserId>>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            sources: Mutex::new(SourceCounts::new(FAILURES_PER_ATTEMPTER, SPAN)),
            devices: Mutex::new(Throttle::new(FAILURES_PER_ATTEMPTER, SPAN)),
            admin_sources: Mutex::new(SourceCounts::new(FAILURES_PER_ATTEMPTER, SPAN)),
            admin_keys: Mutex::new(Throttle::new(FAILURES_PER_ATTEMPTER, SPAN)),
            subjects: Mutex::new(Throttle::new(MAX_THRESHOLD, SPAN)),
            unknown: Mutex::new(Throttle::new(MAX_THRESHOLD, SPAN)),
            proposals: Mutex::new(Throttle::new(STRANGER_PROPOSALS_PER_SECOND, Duration::from_secs(1))),
            answers: Mutex::new(Throttle::new(WRONG_FACTORS_PER_SPAN, FACTOR_SPAN)),
            disturbances: Mutex::new(Throttle::new(DISTURBANCES_PER_SPAN, FACTOR_SPAN)),
        }
    }
}

impl Failures {
    /// Whether somebody may try at all.
    ///
    /// # Errors
    /// `busy`, after too many failures.
    pub(crate) fn may_try(&self, attempter: Attempter, now: UnixMillis) -> Result<(), Refusal> {
        let may = match attempter {
            Attempter::Source(from) => locked(&self.sources).has_one(from, now),
            Attempter::Pending(_) => true,
            Attempter::Device(user, device) => locked(&self.devices).has_one(&(user, device), now),
            Attempter::AdminSource(from) => locked(&self.admin_sources).has_one(from, now),
            Attempter::AdminKey(user, key) => locked(&self.admin_keys).has_one(&(user, key), now),
        };
        if may { Ok(()) } else { Err(Refusal::busy()) }
    }

    /// Somebody failed.
    pub(crate) fn count(&self, attempter: Attempter, now: UnixMillis) {
        match attempter {
            Attempter::Source(from) | Attempter::Pending(from) => locked(&self.sources).take(from, now),
            Attempter::AdminSource(from) => locked(&self.admin_sources).take(from, now),
            Attempter::Device(user, device) => drop(locked(&self.devices).take(&(user, device), now)),
            Attempter::AdminKey(user, key) => drop(locked(&self.admin_keys).take(&(user, key), now)),
        }
    }

    /// Whether an answer of this user to another factor is looked at.
    ///
    /// # Errors
    /// `mfaRefused`, after too many wrong ones.
    pub(crate) fn may_answer(&self, user: UserId, now: UnixMillis) -> Result<(), Refusal> {
        let answers = locked(&self.answers);
        if answers.has_one(&user, now) { Ok(()) } else { Err(too_often()) }
    }

    /// An answer of this user was wrong.
    pub(crate) fn count_answer(&self, user: UserId, now: UnixMillis) {
        locked(&self.answers).take(&user, now);
    }

    /// Counts a question that reaches the user elsewhere.
    ///
    /// # Errors
    /// `mfaRefused`, after too many.
    pub(crate) fn may_disturb(&self, user: UserId, now: UnixMillis) -> Result<(), Refusal> {
        let mut disturbances = locked(&self.disturbances);
        if disturbances.take(&user, now) { Ok(()) } else { Err(too_often()) }
    }

    /// A subject failed. True if it did so `threshold` times within a minute, and a lock-out may be proposed now.
    pub(crate) fn count_subject(&self, subject: &LockoutSubject, threshold: u32, now: UnixMillis) -> bool {
        let spent = count(&self.subjects, subject, threshold, now);
        spent && locked(&self.proposals).take(&(), now)
    }

    /// A name failed that nobody has, as far as the Collective knows. Nothing is ever proposed for it.
    pub(crate) fn count_unknown(&self, subject: &LockoutSubject, threshold: u32, now: UnixMillis) {
        count(&self.unknown, subject, threshold, now);
    }

    /// Whether a name that nobody has may be tried: here it is held to the rate that locks a user out.
    pub(crate) fn unknown_may_try(&self, subject: &LockoutSubject, threshold: u32, now: UnixMillis) -> bool {
        locked(&self.unknown).has(subject, weight(threshold), now)
    }
}

/// Hundredths of a lock-out that one failure takes.
fn weight(threshold: u32) -> u32 {
    MAX_THRESHOLD / threshold.clamp(1, MAX_THRESHOLD)
}

/// Counts a failure; whether that was the last one before a lock-out.
fn count(
    subjects: &Mutex<Throttle<LockoutSubject>>,
    subject: &LockoutSubject,
    threshold: u32,
    now: UnixMillis,
) -> bool {
    let mut subjects = locked(subjects);
    for _ in 0..weight(threshold) {
        subjects.take(subject, now);
    }
    !subjects.has(subject, weight(threshold), now)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_often() -> Refusal {
    Refusal::new(ErrorCode::MfaRefused, "this factor was asked for, or answered wrongly, too often; wait a few minutes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_of_the_provider_decides_when_a_lock_out_is_proposed() {
        let failures = Failures::default();
        let subject = LockoutSubject { user: "CN=alice,OU=local".parse().expect("a DN"), device: None };
        let now = UnixMillis(1_000_000);
        let proposed: Vec<bool> = (0..5).map(|_| failures.count_subject(&subject, 5, now)).collect();
        assert_eq!(proposed, [false, false, false, false, true]);
        let other = LockoutSubject { device: Some(DeviceId::from_random([1; 16])), ..subject };
        assert!(!failures.count_subject(&other, 5, now), "a known device is counted by itself");
    }

    #[test]
    fn whoever_failed_too_often_may_not_try_and_nobody_else_pays_for_it() {
        let failures = Failures::default();
        let from = |last: u8| std::net::IpAddr::from([192, 0, 2, last]);
        let user = UserId::from_random([1; 16]);
        let all = [
            Attempter::Source(from(1)),
            Attempter::Source(from(2)),
            Attempter::AdminSource(from(1)),
            Attempter::Device(user, DeviceId::from_random([2; 16])),
            Attempter::Device(user, DeviceId::from_random([3; 16])),
            Attempter::AdminKey(user, Thumbprint([4; 32])),
            Attempter::AdminKey(user, Thumbprint([5; 32])),
        ];
        let now = UnixMillis(1_000_000);
        for (at, guesser) in all.into_iter().enumerate() {
            let now = now.plus(SPAN * u32::try_from(at).expect("few"));
            (0..FAILURES_PER_ATTEMPTER).for_each(|_| failures.count(guesser, now));
            for attempter in all {
                assert_eq!(
                    failures.may_try(attempter, now).is_err(),
                    attempter == guesser,
                    "{guesser:?} {attempter:?}"
                );
            }
            assert!(failures.may_try(guesser, now.plus(SPAN)).is_ok());
        }
    }
}
