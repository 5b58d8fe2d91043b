//! How many connections each source may have open, and how many all sources together: a flood from one place must not
//! take everybody's (T17). A Gateway counts connections before the end of their handshake, a Controller all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Source;

/// Counts open connections by source.
#[derive(Debug)]
pub struct SourceLimiter {
    per_source: usize,
    total: usize,
    open: Mutex<OpenConnections>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    total: usize,
    by_source: HashMap<Source, usize>,
}

/// The right to one open connection; free again when dropped.
#[derive(Debug)]
pub struct SourcePermit {
    limiter: Arc<SourceLimiter>,
    source: Source,
}

impl SourceLimiter {
    /// At most `per_source` connections of one source, whatever their sum.
    #[must_use]
    pub fn new(per_source: usize) -> Arc<Self> {
        Self::with_total(per_source, usize::MAX)
    }

    /// At most `per_source` connections of one source, and `total` of all together.
    #[must_use]
    pub fn with_total(per_source: usize, total: usize) -> Arc<Self> {
        Arc::new(Self { per_source, total, open: Mutex::default() })
    }

    /// A permit for one more connection from `address`; `None` if its source or the process has enough.
    #[must_use]
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<SourcePermit> {
        let source = Source::from(address);
        let mut open = self.lock();
        let count = open.by_source.get(&source).copied().unwrap_or(0);
        if count >= self.per_source || open.total >= self.total {
            return None;
        }
        open.by_source.insert(source, count + 1);
        open.total += 1;
        drop(open);
        Some(SourcePermit { limiter: Arc::clone(self), source })
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SourcePermit {
    fn drop(&mut self) {
        let mut open = self.limiter.lock();
        open.total -= 1;
        if let Some(count) = open.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_SOURCE: usize = 32;
    const TOTAL: usize = 2_000;

    #[test]
    fn one_source_takes_only_its_share_and_gives_it_back() {
        let limiter = SourceLimiter::with_total(PER_SOURCE, TOTAL);
        let flooder: IpAddr = "192.0.2.1".parse().expect("an address");
        let permits: Vec<_> = (0..100).filter_map(|_| limiter.enter(flooder)).collect();
        assert_eq!(permits.len(), PER_SOURCE);
        assert!(limiter.enter("192.0.2.2".parse().expect("an address")).is_some());
        drop(permits);
        assert!(limiter.enter(flooder).is_some());
        assert!(limiter.lock().by_source.is_empty());
        assert_eq!(limiter.lock().total, 0);
    }

    #[test]
    fn one_source_cannot_take_the_places_of_another() {
        let limiter = SourceLimiter::new(2);
        let (one, other) = ("192.0.2.1".parse().expect("an address"), "192.0.2.2".parse().expect("an address"));
        let first = limiter.enter(one).expect("a permit");
        let _second = limiter.enter(one).expect("a permit");
        assert!(limiter.enter(one).is_none());
        assert!(limiter.enter(other).is_some());
        drop(first);
        assert!(limiter.enter(one).is_some());
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_source() {
        let limiter = SourceLimiter::with_total(PER_SOURCE, TOTAL);
        let permits: Vec<_> = (0..100u16)
            .filter_map(|n| limiter.enter(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()))
            .collect();
        assert_eq!(permits.len(), PER_SOURCE);
    }

    #[test]
    fn whole_process_has_a_bound() {
        let limiter = SourceLimiter::with_total(PER_SOURCE, TOTAL);
        let permits: Vec<_> = (0..3_000u32).filter_map(|n| limiter.enter(std::net::Ipv4Addr::from(n).into())).collect();
        assert_eq!(permits.len(), TOTAL);
    }
}
