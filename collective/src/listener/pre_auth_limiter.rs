//! Bounds on connections that have not authenticated yet: a flood of them must not keep members out (T17).
//!
//! Open connections are counted by `ringwall_trust::spa::SourceLimiter`; here only those before authentication are. A
//! source from which a peer authenticated lately has a share of its own, which unknown sources cannot take.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringwall_protocol::time::UnixMillis;
use ringwall_trust::spa::Source;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::identity::throttle::Throttle;

/// How long a source stays known after a peer authenticated from there.
const KNOWN_FOR: Duration = Duration::from_hours(24);
/// Sources remembered at once; beyond it those known longest are forgotten.
const MAX_KNOWN: usize = 65_536;

/// How many connections may be unauthenticated at once.
#[derive(Debug, Clone, Copy)]
pub struct PreAuthBounds {
    /// Unauthenticated connections of all sources at once.
    pub unknown: usize,
    /// As many again for sources that are known.
    pub reserved: usize,
    /// New connections of one unknown source: so many at once, and as many again in [`PreAuthBounds::period`].
    pub burst: u32,
    /// See [`PreAuthBounds::burst`].
    pub period: Duration,
}

/// Bounds unauthenticated connections, for all sources and for each.
#[derive(Debug)]
pub(crate) struct PreAuthLimiter {
    open: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    sources: Mutex<Sources>,
}

#[derive(Debug)]
struct Sources {
    known: BTreeMap<Source, UnixMillis>,
    throttle: Throttle<Source>,
}

/// The right of one connection to be unauthenticated; free again when dropped.
#[derive(Debug)]
pub(crate) struct PreAuthPermit {
    from: Source,
    _permit: OwnedSemaphorePermit,
}

impl PreAuthLimiter {
    /// With these bounds; no source is known yet.
    #[must_use]
    pub(crate) fn new(bounds: PreAuthBounds) -> Self {
        let throttle = Throttle::new(bounds.burst, bounds.period);
        Self {
            open: Arc::new(Semaphore::new(bounds.unknown)),
            reserved: Arc::new(Semaphore::new(bounds.reserved)),
            sources: Mutex::new(Sources { known: BTreeMap::new(), throttle }),
        }
    }

    /// A permit for one more connection; `None` if its source comes too often or there is none left.
    #[must_use]
    pub(crate) fn begin(&self, from: IpAddr, now: UnixMillis) -> Option<PreAuthPermit> {
        let from = Source::from(from);
        let known = {
            let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            let known = sources.known.get(&from).is_some_and(|until| *until > now);
            if !known && !sources.throttle.take(&from, now) {
                return None;
            }
            known
        };
        let room = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned().ok();
        let permit = if known { room(&self.reserved).or_else(|| room(&self.open)) } else { room(&self.open) };
        Some(PreAuthPermit { from, _permit: permit? })
    }

    /// A peer authenticated: its source is known for a day.
    pub(crate) fn proved(&self, who: PreAuthPermit, now: UnixMillis) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.known.len() >= MAX_KNOWN && !sources.known.contains_key(&who.from) {
            sources.known.retain(|_, until| *until > now);
            if sources.known.len() >= MAX_KNOWN
                && let Some(oldest) = sources.known.iter().min_by_key(|(_, until)| **until).map(|(source, _)| *source)
            {
                sources.known.remove(&oldest);
            }
        }
        sources.known.insert(who.from, now.plus(KNOWN_FOR));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: PreAuthBounds = PreAuthBounds { unknown: 2, reserved: 1, burst: 3, period: Duration::from_secs(1) };
    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn source(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn unauthenticated_peers_cannot_take_the_share_of_known_sources() {
        let limiter = PreAuthLimiter::new(BOUNDS);
        let member = limiter.begin(source(1), NOW).expect("there is room");
        limiter.proved(member, NOW);
        let flood: Vec<_> = (2..4).map(|last| limiter.begin(source(last), NOW).expect("there is room")).collect();
        assert!(limiter.begin(source(4), NOW).is_none());
        let again = limiter.begin(source(1), NOW).expect("a share of its own");
        assert!(limiter.begin(source(1), NOW).is_none(), "the share is bounded too");
        drop(flood);
        drop(again);
        assert!(limiter.begin(source(4), NOW).is_some());
    }

    #[test]
    fn source_is_forgotten_a_day_after_its_last_proof() {
        let limiter = PreAuthLimiter::new(BOUNDS);
        limiter.proved(limiter.begin(source(1), NOW).expect("there is room"), NOW);
        let _flood: Vec<_> = (2..4).map(|last| limiter.begin(source(last), NOW).expect("there is room")).collect();
        assert!(limiter.begin(source(1), NOW.plus(KNOWN_FOR)).is_none());
    }

    #[test]
    fn one_unknown_source_is_slowed_down_and_a_known_one_is_not() {
        let limiter = PreAuthLimiter::new(BOUNDS);
        for _ in 0..BOUNDS.burst {
            assert!(limiter.begin(source(1), NOW).is_some());
        }
        assert!(limiter.begin(source(1), NOW).is_none());
        assert!(limiter.begin(source(2), NOW).is_some());
        let member = limiter.begin(source(1), NOW.plus(BOUNDS.period)).expect("its time has come");
        limiter.proved(member, NOW);
        for _ in 0..=BOUNDS.burst {
            assert!(limiter.begin(source(1), NOW).is_some());
        }
    }
}
