//! A clock that runs.

use std::time::Instant;

use ringwall_protocol::time::UnixMillis;

use crate::support::clock::{Clock, Moment};

/// The machine's monotonic clock, and the Collective's time by it.
pub(crate) struct SceneClock {
    pub(crate) start: Instant,
    pub(crate) time: UnixMillis,
}

impl Clock for SceneClock {
    fn now(&self) -> Moment {
        let instant = Instant::now();
        Moment { instant, time: self.time.plus(instant.saturating_duration_since(self.start)) }
    }
}
