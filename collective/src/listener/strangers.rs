//! Room for those who have not proved anything yet: a flood of strangers must not keep members out (T17).
//!
//! Who is in is counted by [`super::crowd`]; here only the way in is rationed. A source from which somebody proved
//! himself lately has a share of its own, which strangers cannot take.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringwall_protocol::time::UnixMillis;
use ringwall_trust::spa::Source;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::throttle::Throttle;

/// How long a source stays known after somebody there proved himself.
const KNOWN_FOR: Duration = Duration::from_hours(24);
/// Sources remembered at once; beyond it those known longest are forgotten.
const MAX_KNOWN: usize = 65_536;

/// How much room there is.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Connections of strangers that may be on their way in at once.
    pub strangers: usize,
    /// As many again for sources that are known.
    pub reserved: usize,
    /// New connections of one strange source: so many at once, and as many again in [`Room::period`].
    pub burst: u32,
    /// See [`Room::burst`].
    pub period: Duration,
}

/// The way in.
#[derive(Debug)]
pub struct Strangers {
    open: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    sources: Mutex<Sources>,
}

#[derive(Debug)]
struct Sources {
    known: BTreeMap<Source, UnixMillis>,
    throttle: Throttle<Source>,
}

/// A connection on its way in. Dropping it makes room.
#[derive(Debug)]
pub struct OnTheWay {
    from: Source,
    _permit: OwnedSemaphorePermit,
}

impl Strangers {
    /// So much room, and nobody known.
    #[must_use]
    pub fn new(room: Room) -> Self {
        let throttle = Throttle::new(room.burst, room.period);
        Self {
            open: Arc::new(Semaphore::new(room.strangers)),
            reserved: Arc::new(Semaphore::new(room.reserved)),
            sources: Mutex::new(Sources { known: BTreeMap::new(), throttle }),
        }
    }

    /// Room for one more on its way in; `None` if its source comes too often or there is none left.
    #[must_use]
    pub fn begin(&self, from: IpAddr, now: UnixMillis) -> Option<OnTheWay> {
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
        Some(OnTheWay { from, _permit: permit? })
    }

    /// Somebody proved himself; his source is known from now on.
    pub fn proved(&self, who: OnTheWay, now: UnixMillis) {
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

    const ROOM: Room = Room { strangers: 2, reserved: 1, burst: 3, period: Duration::from_secs(1) };
    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn source(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn strangers_cannot_take_the_share_of_who_proved_himself() {
        let strangers = Strangers::new(ROOM);
        let member = strangers.begin(source(1), NOW).expect("there is room");
        strangers.proved(member, NOW);
        let flood: Vec<_> = (2..4).map(|last| strangers.begin(source(last), NOW).expect("there is room")).collect();
        assert!(strangers.begin(source(4), NOW).is_none());
        let again = strangers.begin(source(1), NOW).expect("a share of its own");
        assert!(strangers.begin(source(1), NOW).is_none(), "the share is bounded too");
        drop(flood);
        drop(again);
        assert!(strangers.begin(source(4), NOW).is_some());
    }

    #[test]
    fn who_proved_himself_long_ago_is_a_stranger_again() {
        let strangers = Strangers::new(ROOM);
        strangers.proved(strangers.begin(source(1), NOW).expect("there is room"), NOW);
        let _flood: Vec<_> = (2..4).map(|last| strangers.begin(source(last), NOW).expect("there is room")).collect();
        assert!(strangers.begin(source(1), NOW.plus(KNOWN_FOR)).is_none());
    }

    #[test]
    fn one_strange_source_is_slowed_down_and_a_known_one_is_not() {
        let strangers = Strangers::new(ROOM);
        for _ in 0..ROOM.burst {
            assert!(strangers.begin(source(1), NOW).is_some());
        }
        assert!(strangers.begin(source(1), NOW).is_none());
        assert!(strangers.begin(source(2), NOW).is_some());
        let member = strangers.begin(source(1), NOW.plus(ROOM.period)).expect("its time has come");
        strangers.proved(member, NOW);
        for _ in 0..=ROOM.burst {
            assert!(strangers.begin(source(1), NOW).is_some());
        }
    }
}
