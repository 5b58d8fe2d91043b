//! The machine's clocks. Nothing else in this package reads them but adapters that measure how long something took.

use std::time::{Instant, SystemTime};

use ringwall_actors::support::{Clock, Moment, SecurityClock};
use ringwall_protocol::time::UnixMillis;

/// Wall-clock time: for certificates and knocks only.
#[must_use]
pub fn wall() -> UnixMillis {
    // A clock before 1970 makes every certificate invalid, which is what it deserves.
    UnixMillis(0).plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Security time: the Controllers' of the last bookmark and the monotonic time since; before the first one, when nobody
/// is admitted, the wall clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct GatewayClock {
    security: SecurityClock,
}

impl GatewayClock {
    /// A clock that follows what `security` hears.
    #[must_use]
    pub(crate) const fn new(security: SecurityClock) -> Self {
        Self { security }
    }
}

impl Clock for GatewayClock {
    fn now(&self) -> Moment {
        let instant = Instant::now();
        Moment { instant, time: self.security.reading(instant).unwrap_or_else(wall) }
    }
}
