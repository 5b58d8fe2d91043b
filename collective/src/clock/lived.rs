//! Time as far as this Controller has seen it pass: what a Controller without others forgets by. Pure.
//!
//! Kept over restarts, so that a clock that is days ahead, before or after a start, makes nothing over. While the Controller
//! is switched off nothing passes; afterwards it catches up, no faster than time passes once more.

use std::time::{Duration, Instant};

use ringwall_protocol::time::UnixMillis;

use super::agreement::TOLERANCE;

/// A moment of both clocks, and how far time had come by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lived {
    from: UnixMillis,
    wall: UnixMillis,
    since: Instant,
}

impl Lived {
    /// Goes on from what was kept last; from the clock, if nothing was.
    pub(super) fn go_on(kept: Option<UnixMillis>, wall: UnixMillis, now: Instant) -> Self {
        Self { from: kept.unwrap_or(wall), wall, since: now }
    }

    /// How far time has come: twice the time since the start at most, and never beyond what the clock showed at the start
    /// and what has passed since.
    pub(super) fn at(&self, now: Instant) -> UnixMillis {
        let passed = now.saturating_duration_since(self.since);
        self.from.plus(passed * 2).min(self.from.max(self.wall).plus(passed))
    }

    /// How far the clock has jumped since this Controller started, or stands behind what it had seen before, in
    /// milliseconds; `None` within the tolerance.
    pub(super) fn jump(&self, wall: UnixMillis, now: Instant) -> Option<i64> {
        let difference = |one: UnixMillis, other: UnixMillis| {
            let millis = |time: UnixMillis| i64::try_from(time.0).unwrap_or(i64::MAX);
            millis(one).saturating_sub(millis(other))
        };
        let passed: Duration = now.saturating_duration_since(self.since);
        let jumped = difference(wall, self.wall.plus(passed));
        let behind = difference(wall, self.at(now)).min(0);
        let far = |millis: i64| u128::from(millis.unsigned_abs()) > TOLERANCE.as_millis();
        [jumped, behind].into_iter().find(|millis| far(*millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_800_000_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[test]
    fn only_time_that_was_seen_to_pass_counts() {
        let now = Instant::now();
        let lived = Lived::go_on(None, START, now);
        assert_eq!(lived.at(now + DAY), START.plus(DAY));
        let ahead = START.plus(DAY * 91);
        assert_eq!(lived.jump(ahead, now), Some(91 * 24 * 3_600 * 1_000));
        let restarted = Lived::go_on(Some(START.plus(DAY)), ahead, now);
        assert_eq!(restarted.at(now), START.plus(DAY), "a restart with a wrong clock makes nothing older");
        assert_eq!(restarted.at(now + DAY * 10), START.plus(DAY * 21), "it catches up at twice the pace of time");
        assert_eq!(restarted.at(now + DAY * 200), ahead.plus(DAY * 200), "up to its clock");
        assert_eq!(restarted.jump(ahead, now), None, "it may have been switched off for so long");
    }

    #[test]
    fn a_clock_that_went_back_is_seen() {
        let now = Instant::now();
        let lived = Lived::go_on(Some(START.plus(DAY)), START, now);
        assert_eq!(lived.jump(START, now), Some(-24 * 3_600 * 1_000));
        let small = Lived::go_on(Some(START), START, now);
        assert_eq!(small.jump(UnixMillis(START.0 - 29_000), now), None);
    }
}
