//! What the registry knows of the lease: whether new sessions may be admitted. The lease itself is the kernel's.

use std::time::{Duration, Instant};

/// In grace, only devices that had a session within this span are admitted (T41).
pub(crate) const GRACE_MEMORY: Duration = Duration::from_secs(600);

/// Ends of the lease, as far as renewals were granted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LeaseState {
    /// Until when the Gateway may admit whoever has the right.
    strict: Option<Instant>,
    /// Until when packets pass: later than `strict` only in a Site with grace.
    held: Option<Instant>,
}

/// Who may be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admits {
    /// Whoever has the right.
    All,
    /// Only devices seen within [`GRACE_MEMORY`].
    Known,
    /// Nobody: the Gateway does not know enough.
    Nobody,
}

impl LeaseState {
    /// A renewal was granted for a poll sent at `sent_at`. Ends never move back.
    pub(crate) fn renewed(&mut self, sent_at: Instant, lease: Duration, held: Duration) {
        self.strict = self.strict.max(Some(sent_at + lease));
        self.held = self.held.max(Some(sent_at + held.max(lease)));
    }

    /// The lease was ended.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// Who may be admitted at `now`.
    #[must_use]
    pub(crate) fn admits(&self, now: Instant) -> Admits {
        let before = |end: Option<Instant>| end.is_some_and(|end| now < end);
        if before(self.strict) {
            Admits::All
        } else if before(self.held) {
            Admits::Known
        } else {
            Admits::Nobody
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_admits_only_who_is_known_and_nobody_after_it() {
        let (mut lease, start) = (LeaseState::default(), Instant::now());
        assert_eq!(lease.admits(start), Admits::Nobody);
        lease.renewed(start, Duration::from_secs(15), Duration::from_secs(60));
        lease.renewed(start - Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60));
        assert_eq!(lease.admits(start + Duration::from_secs(14)), Admits::All);
        assert_eq!(lease.admits(start + Duration::from_secs(15)), Admits::Known);
        assert_eq!(lease.admits(start + Duration::from_secs(60)), Admits::Nobody);
    }
}
