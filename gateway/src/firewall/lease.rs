//! When packets may pass at all: progress, renewals, ends. Pure arithmetic of T1 and T26.
//!
//! Promise: a lease held at time t means that every revocation committed before t − lease is enforced here. It ends
//! `lease` after the confirmed poll was *sent*, never moves backwards, and a poll sent before an end renews nothing.

use std::time::{Duration, Instant};

use ringwall_actors::ports::LeaseRenewal;
use ringwall_protocol::id::LogIndex;

/// Longest time between computing a remaining lease and the kernel's acknowledgement that is not corrected.
pub(super) const SLIP: Duration = Duration::from_millis(50);

/// How far the suspended time may move before the lease ends.
pub(super) const SUSPENSION: Duration = Duration::from_secs(1);

/// What a renewal comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseDecision {
    /// Not to be granted.
    Refused,
    /// The lease already lasts at least as long.
    Held,
    /// The lease is to end then.
    Until(Instant),
}

/// The state of the lease.
#[derive(Debug, Default)]
pub(super) struct Lease {
    enforced: LogIndex,
    ends: Option<Instant>,
    /// Polls sent before this renew nothing.
    not_before: Option<Instant>,
}

impl Lease {
    /// Everything up to `index` is in force.
    pub(super) fn progressed(&mut self, index: LogIndex) {
        self.enforced = self.enforced.max(index);
    }

    /// What a confirmation is worth now.
    pub(super) fn asked(&self, renewal: &LeaseRenewal, removals_outstanding: bool, now: Instant) -> LeaseDecision {
        let end = renewal.sent_at + renewal.lease;
        let before_an_end = self.not_before.is_some_and(|end| renewal.sent_at < end);
        if removals_outstanding || self.enforced < renewal.read_index || before_an_end {
            return LeaseDecision::Refused;
        }
        match self.ends {
            Some(current) if end <= current && now < current => LeaseDecision::Held,
            _ if end <= now => LeaseDecision::Refused,
            _ => LeaseDecision::Until(end),
        }
    }

    /// The kernel has the renewed lease.
    pub(super) fn renewed(&mut self, end: Instant) {
        self.ends = Some(end);
    }

    /// Ended at once; only polls sent from `at` on renew it.
    pub(super) fn ended(&mut self, at: Instant) {
        self.ends = None;
        self.not_before = Some(self.not_before.map_or(at, |former| former.max(at)));
    }

    /// True once after the lease ran out by itself.
    pub(super) fn ran_out(&mut self, now: Instant) -> bool {
        let over = self.ends.is_some_and(|end| end <= now);
        if over {
            self.ends = None;
        }
        over
    }

    /// True while packets may pass.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.ends.is_some_and(|end| end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewal(read_index: u64, sent_at: Instant) -> LeaseRenewal {
        LeaseRenewal { read_index: LogIndex(read_index), sent_at, lease: Duration::from_secs(15) }
    }

    #[test]
    fn lease_is_not_renewed_while_the_feed_lags() {
        let now = Instant::now();
        let mut lease = Lease::default();
        lease.progressed(LogIndex(90));
        assert_eq!(lease.asked(&renewal(100, now), false, now), LeaseDecision::Refused);
        lease.progressed(LogIndex(100));
        let end = now + Duration::from_secs(15);
        assert_eq!(lease.asked(&renewal(100, now), false, now), LeaseDecision::Until(end));
    }

    #[test]
    fn lease_is_not_renewed_while_a_removal_is_outstanding() {
        let now = Instant::now();
        assert_eq!(Lease::default().asked(&renewal(0, now), true, now), LeaseDecision::Refused);
    }

    #[test]
    fn the_end_counts_from_the_poll_and_never_moves_backwards() {
        let sent = Instant::now();
        let mut lease = Lease::default();
        let late = sent + Duration::from_secs(15);
        assert_eq!(lease.asked(&renewal(0, sent), false, late), LeaseDecision::Refused, "the answer took too long");
        lease.renewed(sent + Duration::from_secs(20));
        assert_eq!(lease.asked(&renewal(0, sent), false, sent), LeaseDecision::Held);
    }

    #[test]
    fn a_poll_sent_before_the_end_renews_nothing() {
        let sent = Instant::now();
        let end = sent + Duration::from_millis(1);
        let mut lease = Lease::default();
        lease.renewed(sent + Duration::from_secs(5));
        lease.ended(end);
        assert!(!lease.holds(end));
        assert_eq!(lease.asked(&renewal(0, sent), false, end), LeaseDecision::Refused);
        assert!(matches!(lease.asked(&renewal(0, end), false, end), LeaseDecision::Until(_)));
    }

    #[test]
    fn running_out_is_told_once() {
        let now = Instant::now();
        let mut lease = Lease::default();
        lease.renewed(now);
        assert!(lease.ran_out(now));
        assert!(!lease.ran_out(now));
    }
}
