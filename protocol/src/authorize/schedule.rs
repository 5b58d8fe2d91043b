//! When a condition is looked at again although nothing changed (S49).

use crate::time::UnixMillis;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// A time of day (UTC) or an interval that is rounded up to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Milliseconds after midnight.
    TimeOfDay(u64),
    /// Milliseconds: 1, 5, 15 or 60 minutes.
    Every(u64),
}

impl Schedule {
    /// Reads `1m`, `5m`, `15m`, `1h` or `13:32`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "1m" => Some(Self::Every(MINUTE)),
            "5m" => Some(Self::Every(5 * MINUTE)),
            "15m" => Some(Self::Every(15 * MINUTE)),
            "1h" => Some(Self::Every(60 * MINUTE)),
            time => {
                let (hours, minutes) = time.split_once(':')?;
                let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
                (hours < 24 && minutes < 60).then_some(Self::TimeOfDay((hours * 60 + minutes) * MINUTE))
            }
        }
    }

    /// The next time after `now`.
    #[must_use]
    pub const fn next(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Every(interval) => UnixMillis((now.0 / interval + 1) * interval),
            Self::TimeOfDay(at) => {
                let today = now.0 - now.0 % DAY + at;
                UnixMillis(if today > now.0 { today } else { today + DAY })
            }
        }
    }
}
