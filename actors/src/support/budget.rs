//! How often something may happen: at most so many times within a sliding window. Pure; memory is the bound itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A bound of `limit` events within `window`.
#[derive(Debug, Clone)]
pub struct Budget {
    limit: usize,
    window: Duration,
    spent: VecDeque<Instant>,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub const fn new(limit: usize, window: Duration) -> Self {
        Self { limit, window, spent: VecDeque::new() }
    }

    /// Spends one if there is one left.
    pub fn spend(&mut self, now: Instant) -> bool {
        self.refill(now);
        if self.spent.len() >= self.limit {
            return false;
        }
        self.spent.push_back(now);
        true
    }

    /// When the next one can be spent; `now` if at once.
    #[must_use]
    pub fn next(&self, now: Instant) -> Instant {
        let live = self.spent.iter().filter(|at| now.saturating_duration_since(**at) < self.window);
        if live.clone().count() < self.limit {
            return now;
        }
        live.min().map_or(now, |oldest| *oldest + self.window)
    }

    fn refill(&mut self, now: Instant) {
        while self.spent.front().is_some_and(|at| now.saturating_duration_since(*at) >= self.window) {
            self.spent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_allows_its_limit_within_any_window() {
        let (mut budget, start) = (Budget::new(2, Duration::from_secs(10)), Instant::now());
        assert!(budget.spend(start));
        assert!(budget.spend(start + Duration::from_secs(4)));
        assert!(!budget.spend(start + Duration::from_secs(9)));
        assert_eq!(budget.next(start + Duration::from_secs(9)), start + Duration::from_secs(10));
        assert!(budget.spend(start + Duration::from_secs(10)));
        assert!(!budget.spend(start + Duration::from_secs(13)));
        assert!(budget.spend(start + Duration::from_secs(14)));
    }
}
