//! The only place that reads the wall clock, and the only one that draws a plain random number.

use std::time::{SystemTime, UNIX_EPOCH};

use ringwall_protocol::time::UnixMillis;

/// Now.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Uniform in 0..1, for spreading what many devices do.
#[must_use]
pub fn chance() -> f64 {
    rand::random()
}
