//! The window of time in which a knock counts.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::HINT_PERIOD;

/// How far a knock's time may lie from ours, either way. 30 s to 1 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaWindow(u32);

/// A window was out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an SPA window of 30 to 3600 seconds, got {0}")]
pub struct WindowError(u32);

impl SpaWindow {
    /// 300 seconds.
    pub const DEFAULT: Self = Self(300);

    /// A window of this many seconds.
    ///
    /// # Errors
    /// [`WindowError`].
    pub const fn new(seconds: u32) -> Result<Self, WindowError> {
        match seconds {
            30..=3600 => Ok(Self(seconds)),
            _ => Err(WindowError(seconds)),
        }
    }

    /// The window as a span.
    #[must_use]
    pub(crate) const fn span(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// The periods whose hints are held around one: a sender's time falls into none further away.
    pub(super) fn around(self, middle: u64) -> RangeInclusive<u64> {
        let reach = u64::from(self.0).div_ceil(HINT_PERIOD);
        middle.saturating_sub(reach)..=middle.saturating_add(reach)
    }
}
