//! A bound on the log lines that a peer can cause: whoever reaches a port must not be able to fill the log with refusals.
//!
//! Promise: of the lines of one limit a fixed number is written in [`SPAN`]; the first one after that says how many were
//! left out. How many refusals there were in all is for the metrics.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The span in which the lines of a limit are counted.
const SPAN: Duration = Duration::from_secs(10);

/// Decides which lines of one kind are written.
#[derive(Debug)]
pub(crate) struct LogLimit {
    /// Lines that are written in one span.
    lines: u32,
    window: Mutex<Window>,
}

/// The span that runs, and what was left out since the last line that was written.
#[derive(Debug)]
struct Window {
    begun: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl LogLimit {
    /// A limit of `lines` in 10 s.
    #[must_use]
    pub(crate) const fn new(lines: u32) -> Self {
        Self { lines, window: Mutex::new(Window { begun: None, written: 0, left_out: 0 }) }
    }

    /// Whether a line may be written at `now`: if so, how many were left out since the last one; `None` leaves it out.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.begun.is_none_or(|begun| now >= begun + SPAN) {
            window.begun = Some(now);
            window.written = 0;
        }
        if window.written >= self.lines {
            window.left_out += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_beyond_the_limit_are_counted_and_the_next_line_says_how_many() {
        let (limit, start) = (LogLimit::new(3), Instant::now());
        assert_eq!(limit.admit(start), Some(0));
        let soon = start + SPAN / 2;
        assert_eq!((0..1_000).filter_map(|_| limit.admit(soon)).collect::<Vec<_>>(), [0, 0]);
        let later = start + SPAN;
        assert_eq!(limit.admit(later), Some(998), "those that were left out");
        assert_eq!(limit.admit(later), Some(0), "and they are named once");
    }

    #[test]
    fn a_flood_of_an_hour_writes_its_lines_once_in_each_span() {
        let (limit, start) = (LogLimit::new(2), Instant::now());
        let attempts = (0..3_600).map(|second| start + Duration::from_secs(second));
        let written: Vec<u64> = attempts.filter_map(|now| limit.admit(now)).collect();
        assert_eq!(written.len(), 2 * 360);
        assert_eq!(written.iter().sum::<u64>() + written.len() as u64 + 8, 3_600, "the last eight are not named yet");
    }
}
