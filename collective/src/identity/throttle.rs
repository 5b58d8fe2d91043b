//! Counting of attempts, in bounded memory and without a clock: who failed too often, who asks too often.

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_protocol::time::UnixMillis;

/// Keys remembered at once. Beyond it the ones that are full again are dropped, then a share of those that will be so first.
const MAX_KEYS: usize = 65_536;
/// How many make room at a time, so that a flood of new keys is not a search each.
const SHARE: usize = MAX_KEYS / 16;

/// A token bucket for each key: `capacity` at once, refilled evenly over `period`.
#[derive(Debug)]
pub(crate) struct Throttle<K> {
    capacity: u32,
    period: Duration,
    buckets: BTreeMap<K, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// When it is full again.
    full_at: UnixMillis,
}

impl<K: Ord + Clone> Throttle<K> {
    /// `capacity` at once, and as many again in each `period`.
    #[must_use]
    pub(crate) fn new(capacity: u32, period: Duration) -> Self {
        Self { capacity: capacity.max(1), period, buckets: BTreeMap::new() }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, key: &K, now: UnixMillis) -> bool {
        if !self.has_one(key, now) {
            return false;
        }
        if !self.buckets.contains_key(key) {
            self.make_room(now);
        }
        let each = self.each();
        let bucket = self.buckets.entry(key.clone()).or_insert(Bucket { full_at: now });
        bucket.full_at = bucket.full_at.max(now).plus(each);
        true
    }

    /// Whether one is left, without taking it.
    #[must_use]
    pub(crate) fn has_one(&self, key: &K, now: UnixMillis) -> bool {
        self.has(key, 1, now)
    }

    /// Whether `count` are left.
    #[must_use]
    pub(crate) fn has(&self, key: &K, count: u32, now: UnixMillis) -> bool {
        let missing = self.buckets.get(key).map_or(Duration::ZERO, |bucket| now.until(bucket.full_at));
        missing + self.each() * count <= self.period
    }

    fn each(&self) -> Duration {
        self.period / self.capacity
    }

    /// Makes room for new keys: those that are full again go, otherwise those that counted least and longest ago.
    fn make_room(&mut self, now: UnixMillis) {
        if self.buckets.len() < MAX_KEYS {
            return;
        }
        self.buckets.retain(|_, bucket| bucket.full_at > now);
        if self.buckets.len() >= MAX_KEYS {
            let mut ends: Vec<_> = self.buckets.values().map(|bucket| bucket.full_at).collect();
            let (_, last, _) = ends.select_nth_unstable(SHARE);
            let last = *last;
            self.buckets.retain(|_, bucket| bucket.full_at > last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_empties_the_bucket_and_time_refills_it() {
        let mut throttle = Throttle::new(3, Duration::from_secs(60));
        let start = UnixMillis(1_000_000);
        let taken = (0..5).filter(|_| throttle.take(&"a", start)).count();
        assert_eq!(taken, 3);
        assert!(throttle.take(&"b", start), "another key is not concerned");
        assert!(!throttle.has_one(&"a", start.plus(Duration::from_secs(19))));
        assert!(throttle.take(&"a", start.plus(Duration::from_secs(20))));
        assert!(!throttle.take(&"a", start.plus(Duration::from_secs(20))));
    }

    #[test]
    fn memory_stays_bounded_and_the_one_that_counted_least_makes_room() {
        let mut throttle = Throttle::new(2, Duration::from_secs(1));
        let start = UnixMillis(0);
        assert!(throttle.take(&0, start) && throttle.take(&0, start));
        for key in 1..2 * MAX_KEYS {
            assert!(throttle.take(&key, start), "a new key is counted");
        }
        assert!(throttle.buckets.len() <= MAX_KEYS);
        assert!(!throttle.take(&0, start), "who has had its share does not begin anew");
    }
}
