//! The one place of this package that reads the clock, and what is known of whether it is right (T69).
//!
//! [`agreement`] holds a Controller's clock against those of the others (pure); [`watch`] asks them and keeps the verdict.

pub(crate) mod agreement;
mod lived;
pub(crate) mod watch;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ringwall_protocol::time::UnixMillis;

/// What is added to this machine's clock, in milliseconds: 0 unless the clocks of a majority of the Collective agree that
/// it is wrong. Of the process, like the clock itself.
static CORRECTION: AtomicI64 = AtomicI64::new(0);

/// Now: this machine's clock, or what the majority of the Controllers say if that is another time.
#[must_use]
pub fn now() -> UnixMillis {
    UnixMillis(uncorrected().0.saturating_add_signed(CORRECTION.load(Ordering::Relaxed)))
}

/// Now, by this machine's clock alone.
#[must_use]
pub(crate) fn uncorrected() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn correct_by(millis: i64) {
    CORRECTION.store(millis, Ordering::Relaxed);
}
