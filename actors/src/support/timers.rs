//! A table of named timers: each name has at most one deadline. Pure; who drives it asks for the next deadline, sleeps,
//! and comes back for what is due.

use std::collections::BTreeMap;
use std::time::Instant;

/// Deadlines by name.
#[derive(Debug, Clone)]
pub(crate) struct Timers<K>(BTreeMap<K, Instant>);

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets, or moves, a timer.
    pub(crate) fn set(&mut self, name: K, at: Instant) {
        self.0.insert(name, at);
    }

    /// Stops a timer.
    pub(crate) fn stop(&mut self, name: K) {
        self.0.remove(&name);
    }

    /// Whether a timer runs.
    #[must_use]
    pub(crate) fn is_set(&self, name: K) -> bool {
        self.0.contains_key(&name)
    }

    /// The earliest deadline.
    #[must_use]
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    /// Takes out a timer that is due at `now`, the earliest first.
    pub(crate) fn due(&mut self, now: Instant) -> Option<K> {
        let (name, _) = self.0.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at)?;
        let name = *name;
        self.0.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_come_due_once_and_in_order() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        timers.set("b", start + Duration::from_secs(1));
        timers.set("a", start + Duration::from_secs(2));
        timers.set("b", start + Duration::from_secs(3));
        assert_eq!(timers.next(), Some(start + Duration::from_secs(2)));
        assert_eq!(timers.due(start + Duration::from_secs(1)), None);
        let late = start + Duration::from_secs(9);
        assert_eq!([timers.due(late), timers.due(late), timers.due(late)], [Some("a"), Some("b"), None]);
        assert!(!timers.is_set("a"));
    }
}
