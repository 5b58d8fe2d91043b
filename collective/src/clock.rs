//! The one place of this package that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use ringwall_protocol::time::UnixMillis;

/// Now, by this machine's clock.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
