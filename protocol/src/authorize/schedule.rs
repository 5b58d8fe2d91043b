//! When a condition is looked at again although nothing changed (S49).
//!
//! All sessions of a Collective would look at once: each looks a little later, by the hash of its DN, unless the schedule
//! says `exact`.

use crate::name::SessionDn;
use crate::revocation::dn_slice;
use crate::time::UnixMillis;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
/// Latest that a session looks after the scheduled moment; a quarter of the interval, if that is less.
const LONGEST_SPREAD: u64 = MINUTE;
/// Into how many moments sessions are spread.
const SLICES: u16 = 1_000;

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    at: At,
    /// Not spread.
    exact: bool,
}

/// A time of day (UTC) or an interval that is rounded up to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Milliseconds after midnight.
    TimeOfDay(u64),
    /// Milliseconds: 1, 5, 15 or 60 minutes.
    Every(u64),
}

impl Schedule {
    /// Reads `1m`, `5m`, `15m`, `1h` or `13:32`, each perhaps followed by `exact`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (text, exact) = match text.strip_suffix("exact") {
            Some(rest) if rest.ends_with(' ') => (rest.trim_end(), true),
            _ => (text, false),
        };
        let at = match text {
            "1m" => At::Every(MINUTE),
            "5m" => At::Every(5 * MINUTE),
            "15m" => At::Every(15 * MINUTE),
            "1h" => At::Every(60 * MINUTE),
            time => {
                let (hours, minutes) = time.split_once(':')?;
                let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
                (hours < 24 && minutes < 60).then_some(At::TimeOfDay((hours * 60 + minutes) * MINUTE))?
            }
        };
        Some(Self { at, exact })
    }

    /// The next moment after `now` at which the session of `dn` looks.
    #[must_use]
    pub fn next(self, dn: &SessionDn, now: UnixMillis) -> UnixMillis {
        let spread = self.spread(dn);
        UnixMillis(self.clock(now.0.saturating_sub(spread)).saturating_add(spread))
    }

    /// How much later than the clock says this session looks, milliseconds.
    fn spread(self, dn: &SessionDn) -> u64 {
        let interval = match self.at {
            At::Every(interval) => interval,
            At::TimeOfDay(_) => DAY,
        };
        if self.exact {
            0
        } else {
            (interval / 4).min(LONGEST_SPREAD) * u64::from(dn_slice(dn, SLICES)) / u64::from(SLICES)
        }
    }

    /// The next scheduled moment after `now`, the same for everybody.
    const fn clock(self, now: u64) -> u64 {
        match self.at {
            At::Every(interval) => (now / interval + 1).saturating_mul(interval),
            At::TimeOfDay(at) => {
                let today = (now - now % DAY).saturating_add(at);
                if today > now { today } else { today.saturating_add(DAY) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-22T12:00:00Z.
    const NOON: u64 = 1_795_348_800_000;

    fn dn(user: u32) -> SessionDn {
        format!("CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=user{user},OU=local").parse().expect("a DN")
    }

    #[test]
    fn exact_schedules_round_up_to_the_clock() {
        let at = UnixMillis(NOON + 7 * MINUTE);
        let next = |text: &str| Schedule::parse(text).map(|schedule| schedule.next(&dn(1), at).0 - NOON);
        assert_eq!(next("15m exact"), Some(15 * MINUTE));
        assert_eq!(next("13:32 exact"), Some(92 * MINUTE));
        assert_eq!(next("07:00  exact"), Some(19 * 60 * MINUTE));
        for wrong in ["90m", "24:00", "exact", "5mexact", "5m exactly", ""] {
            assert_eq!(next(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn sessions_are_spread_over_a_quarter_of_the_interval_and_at_most_a_minute() {
        for (text, longest) in [("1m", 15_000), ("5m", 60_000), ("1h", 60_000), ("13:00", 60_000)] {
            let schedule = Schedule::parse(text).expect(text);
            let late: Vec<u64> = (0..500).map(|user| schedule.spread(&dn(user))).collect();
            assert!(late.iter().all(|late| *late < longest), "{text}: {:?}", late.iter().max());
            let in_first_half = late.iter().filter(|late| **late < longest / 2).count();
            assert!((150..350).contains(&in_first_half), "{text}: {in_first_half} of 500 in the first half");
        }
    }

    proptest! {
        /// Whoever looks at each of his moments looks once in every interval.
        #[test]
        fn moments_of_a_session_are_one_interval_apart(user in 0..1_000_u32, after in 0..DAY, which in 0..4_usize) {
            let (text, interval) = [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60)][which];
            let schedule = Schedule::parse(text).expect(text);
            let first = schedule.next(&dn(user), UnixMillis(NOON + after));
            prop_assert!(first.0 > NOON + after);
            prop_assert!(first.0 <= NOON + after + interval * MINUTE);
            prop_assert_eq!(schedule.next(&dn(user), first).0, first.0 + interval * MINUTE);
        }
    }
}
