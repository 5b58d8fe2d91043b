//! How many fragments a session may send: reassembly memory in the kernel is shared by all (T32). Pure.

use std::time::{Duration, Instant};

/// Fragments per session and second.
const PER_SECOND: u32 = 100;
const WINDOW: Duration = Duration::from_secs(1);

/// Counts fragments in windows of one second. No clock is read but for a fragment.
#[derive(Debug, Default)]
pub(super) struct FragmentBudget {
    window: Option<Instant>,
    seen: u32,
}

impl FragmentBudget {
    /// True if one more fragment may pass.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        if self.window.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            (self.window, self.seen) = (Some(now), 0);
        }
        self.seen = self.seen.saturating_add(1);
        self.seen <= PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_beyond_the_budget_wait_for_the_next_second() {
        let (mut budget, start) = (FragmentBudget::default(), Instant::now());
        assert_eq!((0..250).filter(|_| budget.admits(start)).count(), 100);
        assert!(!budget.admits(start + Duration::from_millis(999)));
        assert!(budget.admits(start + WINDOW));
    }
}
