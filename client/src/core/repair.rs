//! When the kernel is compared with what the tunnel needs, and when another program's removing is a fight. Pure.
//!
//! A removal is repaired at once, when the steps in which programs remove are over. Somebody who keeps removing is met at growing distances, so that two programs do not keep
//! a processor busy; packets for the Sites are refused meanwhile, which is the guard's business.

use std::time::{Duration, Instant};

/// Without any notification everything is compared this often: the kernel does not tell of all that vanishes.
const REGULAR: Duration = Duration::from_secs(30);
/// Repairs with less than this between them are a row.
const CALM: Duration = Duration::from_secs(60);
/// From a notification to the comparison: what is removed in several steps is put back in one.
const SETTLE: Duration = Duration::from_millis(50);
/// Repairs of a row that are made at once.
const AT_ONCE: u32 = 16;
/// Shortest distance of further repairs, and of another try after one that failed. Doubles up to [`REGULAR`].
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// Nothing was missing.
    Intact,
    /// Something was, and is there again.
    Repaired,
    /// Something is missing still.
    Failed,
}

/// The next comparison, and the present row of repairs.
#[derive(Debug, Clone)]
pub(crate) struct RepairSchedule {
    due: Instant,
    row: u32,
    /// The last repair.
    last: Option<Instant>,
}

impl RepairSchedule {
    /// Everything was put into the kernel at `now`.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        Self { due: now + REGULAR, row: 0, last: None }
    }

    /// When to compare next.
    #[must_use]
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// The kernel told of a change.
    pub(crate) fn changed(&mut self, now: Instant) {
        let settled = now + SETTLE;
        let earliest = self.last.map_or(settled, |last| (last + self.distance()).max(settled));
        self.due = self.due.min(earliest);
    }

    /// A comparison has ended.
    pub(crate) fn compared(&mut self, now: Instant, result: Compared) {
        let calm = self.last.is_none_or(|last| now.saturating_duration_since(last) >= CALM);
        if calm {
            self.row = 0;
        }
        self.due = now + REGULAR;
        if result != Compared::Intact {
            self.row = self.row.saturating_add(1);
            self.last = Some(now);
        }
        if result == Compared::Failed {
            self.due = now + self.distance().max(FIRST_WAIT);
        }
    }

    /// Another program keeps removing what is put back.
    #[must_use]
    pub(crate) const fn contested(&self) -> bool {
        self.row > AT_ONCE
    }

    /// Between the last repair and the next one.
    fn distance(&self) -> Duration {
        match self.row.checked_sub(AT_ONCE) {
            None => Duration::ZERO,
            Some(beyond) => FIRST_WAIT.saturating_mul(1 << beyond.min(16)).min(REGULAR),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_is_looked_at_at_once_and_silence_every_half_minute() {
        let start = Instant::now();
        let mut schedule = RepairSchedule::new(start);
        assert_eq!(schedule.due(), start + REGULAR);
        let later = start + Duration::from_secs(3);
        schedule.changed(later);
        assert_eq!(schedule.due(), later + SETTLE);
        schedule.changed(later + SETTLE / 2);
        assert_eq!(schedule.due(), later + SETTLE, "a stream of notifications does not put it off");
        schedule.compared(later, Compared::Repaired);
        assert_eq!(schedule.due(), later + REGULAR);
        schedule.changed(later);
        assert_eq!(schedule.due(), later + SETTLE, "a second removal is met at once too");
        assert!(!schedule.contested());
    }

    #[test]
    fn a_fight_is_met_at_growing_distances_until_it_is_calm() {
        let mut now = Instant::now();
        let mut schedule = RepairSchedule::new(now);
        let mut distances = Vec::new();
        for _ in 0..AT_ONCE + 8 {
            // The other program removes again at once.
            schedule.changed(now);
            distances.push(schedule.due() - now);
            now = schedule.due();
            schedule.compared(now, Compared::Repaired);
        }
        assert!(distances.iter().take(AT_ONCE as usize).all(|distance| *distance == SETTLE), "{distances:?}");
        assert!(distances.is_sorted() && distances.last() == Some(&REGULAR), "{distances:?}");
        assert!(schedule.contested());
        schedule.compared(now + REGULAR, Compared::Intact);
        assert!(schedule.contested(), "it may be waiting as well");
        schedule.compared(now + CALM, Compared::Intact);
        assert!(!schedule.contested());
    }

    #[test]
    fn what_failed_is_tried_again_within_a_second() {
        let now = Instant::now();
        let mut schedule = RepairSchedule::new(now);
        schedule.compared(now, Compared::Failed);
        assert!(schedule.due() <= now + Duration::from_secs(1) && schedule.due() > now);
    }

    proptest! {
        #[test]
        fn repairs_of_a_minute_are_bounded_whatever_the_kernel_tells(gaps in prop::collection::vec(0_u64..50, 1..400)) {
            let start = Instant::now();
            let (mut now, mut repairs) = (start, 0_u32);
            let mut schedule = RepairSchedule::new(start);
            for gap in gaps {
                now += Duration::from_millis(gap);
                schedule.changed(now);
                if schedule.due() <= now && now < start + CALM {
                    schedule.compared(now, Compared::Repaired);
                    repairs += 1;
                }
            }
            prop_assert!(repairs <= AT_ONCE + 8, "{repairs}");
        }
    }
}
