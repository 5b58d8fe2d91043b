//! Time as an argument. Cores take a [`Moment`]; shells ask a [`Clock`] for it; adapters read the real ones.
//!
//! Security time at a Gateway is the controller time of the last bookmark plus the monotonic time since:
//! [`SecurityClock`] keeps it for everybody who judges tokens outside of the actors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ringwall_protocol::time::UnixMillis;

/// The farthest that [`Moment::instant_of`] looks ahead.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic, for spans and deadlines.
    pub instant: Instant,
    /// What the time is taken to be.
    pub time: UnixMillis,
}

impl Moment {
    /// This moment plus a span.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self { instant: self.instant + span, time: self.time.plus(span) }
    }

    /// The instant at which `time` will be reached; now, if that has passed; in a day, if it is later than that: who
    /// waits for longer looks again then.
    #[must_use]
    pub(crate) fn instant_of(self, time: UnixMillis) -> Instant {
        self.instant + self.time.until(time).min(A_DAY)
    }
}

/// Reads clocks.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Moment;
}

/// What is known of the Controllers' time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard {
    time: UnixMillis,
    at: Instant,
}

/// The Collective's time, as last heard over the feed. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct SecurityClock(Arc<ArcSwap<Option<Heard>>>);

impl SecurityClock {
    /// Takes over a controller's time that arrived at `at`. The time never runs backwards by this.
    pub fn hear(&self, time: UnixMillis, at: Instant) {
        let present = self.reading(at);
        let time = present.map_or(time, |present| present.max(time));
        self.0.store(Arc::new(Some(Heard { time, at })));
    }

    /// The Collective's time at `at`; absent before the first bookmark.
    #[must_use]
    pub fn reading(&self, at: Instant) -> Option<UnixMillis> {
        (**self.0.load()).map(|heard| heard.time.plus(at.saturating_duration_since(heard.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_time_goes_on_between_bookmarks_and_never_back() {
        let (clock, start) = (SecurityClock::default(), Instant::now());
        assert_eq!(clock.reading(start), None);
        clock.hear(UnixMillis(1_000_000), start);
        assert_eq!(clock.reading(start + Duration::from_secs(2)), Some(UnixMillis(1_002_000)));
        clock.hear(UnixMillis(1_001_000), start + Duration::from_secs(2));
        assert_eq!(clock.reading(start + Duration::from_secs(3)), Some(UnixMillis(1_003_000)));
        clock.hear(UnixMillis(1_009_000), start + Duration::from_secs(3));
        assert_eq!(clock.reading(start + Duration::from_secs(3)), Some(UnixMillis(1_009_000)));
    }
}
