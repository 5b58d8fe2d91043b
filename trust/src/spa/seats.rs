//! Seats: the right of a connection to be here before it is served (T47, T51). There is always one for a connection that
//! comes; when a holder or all of them together have too many, the oldest seat is taken away from whoever has the most.
//!
//! So nobody is turned away because others wait. A flood that completes handshakes takes its own seats; who proves
//! something moves to a stage where those who proved nothing cannot reach him. Four stages have bounds of their own:
//! nothing is known of the connection; nothing but that a peer proved itself from its source within a day; a key knocked;
//! a certificate was proved. Pure but for the wake-up of the connection whose seat is taken.

mod stage;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringwall_protocol::time::UnixMillis;
use tokio::sync::Notify;

use self::stage::Stage;
use super::{KeyOwner, Source};

/// How long a source stays known after a peer proved itself from there.
const KNOWN_FOR: Duration = Duration::from_hours(24);
/// Sources remembered at once; beyond it those known longest are forgotten.
const MAX_KNOWN: usize = 65_536;

/// How many seats one stage has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatBounds {
    /// Of one holder. A key that many devices share may have half of all.
    pub each: usize,
    /// Of all holders together.
    pub total: usize,
}

/// How many seats there are, by what is known of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatPlan {
    /// Nothing.
    pub unproved: SeatBounds,
    /// Nothing, but its source is known.
    pub known: SeatBounds,
    /// A key knocked.
    pub knocked: SeatBounds,
    /// A certificate was proved.
    pub identified: SeatBounds,
}

/// For whom a seat is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Holder {
    Unproved(Source),
    Known(Source),
    Knocked(KeyOwner),
    /// Thumbprint of the certificate's key.
    Identified([u8; 32]),
}

/// The seats of a listener.
#[derive(Debug)]
pub struct Seats(Mutex<Table>);

#[derive(Debug)]
struct Table {
    next: u64,
    known: std::collections::BTreeMap<Source, UnixMillis>,
    unproved: Stage,
    known_sources: Stage,
    knocked: Stage,
    identified: Stage,
}

/// A connection's seat; free again when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    number: u64,
    source: Source,
    holder: Holder,
    taken: Arc<Notify>,
}

/// Hears when a seat is taken away.
#[derive(Debug, Clone)]
pub struct SeatTaken(Arc<Notify>);

impl SeatTaken {
    /// Until another connection needs the seat; the connection is to be closed then.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

impl Seats {
    /// With these bounds; no source is known yet.
    #[must_use]
    pub fn new(plan: SeatPlan) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Table {
            next: 0,
            known: std::collections::BTreeMap::new(),
            unproved: Stage::new(plan.unproved),
            known_sources: Stage::new(plan.known),
            knocked: Stage::new(plan.knocked),
            identified: Stage::new(plan.identified),
        })))
    }

    /// A seat for a connection from `address`; it may take that of another one.
    #[must_use]
    pub fn enter(self: &Arc<Self>, address: IpAddr, now: UnixMillis) -> Seat {
        let source = Source::from(address);
        let taken = Arc::new(Notify::new());
        let mut table = self.lock();
        let is_known = table.known.get(&source).is_some_and(|until| *until > now);
        let holder = if is_known { Holder::Known(source) } else { Holder::Unproved(source) };
        let number = table.next;
        table.next += 1;
        table.stage(&holder).enter(holder.clone(), number, &taken);
        drop(table);
        Seat { seats: Arc::clone(self), number, source, holder, taken }
    }

    /// Whether a peer proved itself from this source within a day.
    #[must_use]
    pub fn knows(&self, address: IpAddr, now: UnixMillis) -> bool {
        self.lock().known.get(&Source::from(address)).is_some_and(|until| *until > now)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn stage(&mut self, holder: &Holder) -> &mut Stage {
        match holder {
            Holder::Unproved(_) => &mut self.unproved,
            Holder::Known(_) => &mut self.known_sources,
            Holder::Knocked(_) => &mut self.knocked,
            Holder::Identified(_) => &mut self.identified,
        }
    }

    fn remember(&mut self, source: Source, now: UnixMillis) {
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(&source) {
            self.known.retain(|_, until| *until > now);
            if self.known.len() >= MAX_KNOWN
                && let Some(oldest) = self.known.iter().min_by_key(|(_, until)| **until).map(|(source, _)| *source)
            {
                self.known.remove(&oldest);
            }
        }
        self.known.insert(source, now.plus(KNOWN_FOR));
    }
}

impl Seat {
    /// The connection knocked with a key of this owner.
    pub fn knocked(&mut self, owner: &KeyOwner) {
        self.move_to(Holder::Knocked(owner.clone()));
    }

    /// The other end proved the key of a certificate with this thumbprint.
    pub fn identified(&mut self, thumbprint: [u8; 32]) {
        self.move_to(Holder::Identified(thumbprint));
    }

    /// The source of this connection is known from now on: a peer proved itself.
    pub fn remember_source(&self, now: UnixMillis) {
        self.seats.lock().remember(self.source, now);
    }

    /// What hears when the seat is taken away.
    #[must_use]
    pub fn taken(&self) -> SeatTaken {
        SeatTaken(Arc::clone(&self.taken))
    }

    /// Where the connection comes from.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    fn move_to(&mut self, holder: Holder) {
        let mut table = self.seats.lock();
        if table.stage(&self.holder).leave(&self.holder, self.number) {
            table.stage(&holder).enter(holder.clone(), self.number, &self.taken);
        }
        drop(table);
        self.holder = holder;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().stage(&self.holder).leave(&self.holder, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: SeatBounds = SeatBounds { each: 4, total: 8 };
    const PLAN: SeatPlan = SeatPlan { unproved: BOUNDS, known: BOUNDS, knocked: BOUNDS, identified: BOUNDS };
    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn source(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// Whether the seat was taken since the last question.
    fn is_taken(seat: &Seat) -> bool {
        std::pin::pin!(seat.taken.notified()).enable()
    }

    #[test]
    fn a_source_that_floods_loses_its_own_oldest_seats() {
        let seats = Seats::new(PLAN);
        let quiet = seats.enter(source(1), NOW);
        let flood: Vec<_> = (0..100).map(|_| seats.enter(source(2), NOW)).collect();
        let left = flood.iter().filter(|seat| !is_taken(seat)).count();
        assert_eq!(left, BOUNDS.each);
        assert!(flood.iter().rev().take(BOUNDS.each).all(|seat| !is_taken(seat)), "the youngest stay");
        assert!(!is_taken(&quiet));
    }

    #[test]
    fn many_sources_take_each_others_seats_and_not_those_of_proved_connections() {
        let seats = Seats::new(PLAN);
        let mut knocked = seats.enter(source(1), NOW);
        knocked.knocked(&KeyOwner::Profile("staff".into()));
        let mut identified = seats.enter(source(1), NOW);
        identified.identified([7; 32]);
        identified.remember_source(NOW);
        let known = seats.enter(source(1), NOW);
        let flood: Vec<_> = (2..102).map(|last| seats.enter(source(last), NOW)).collect();
        assert_eq!(flood.iter().filter(|seat| !is_taken(seat)).count(), BOUNDS.total);
        assert!(!is_taken(&knocked) && !is_taken(&identified) && !is_taken(&known));
    }

    #[test]
    fn the_holder_with_the_most_gives_way_first() {
        let seats = Seats::new(PLAN);
        let single: Vec<_> = (1..=4).map(|last| seats.enter(source(last), NOW)).collect();
        let many: Vec<_> = (0..4).map(|_| seats.enter(source(9), NOW)).collect();
        let _late = seats.enter(source(5), NOW);
        assert!(is_taken(&many[0]));
        assert!(single.iter().chain(&many[1..]).all(|seat| !is_taken(seat)));
    }

    #[test]
    fn idle_connections_of_one_identity_are_bounded_wherever_they_come_from() {
        let seats = Seats::new(PLAN);
        let other = {
            let mut seat = seats.enter(source(200), NOW);
            seat.identified([1; 32]);
            seat
        };
        let idle: Vec<_> = (0..100)
            .map(|last| {
                let mut seat = seats.enter(source(last), NOW);
                seat.identified([9; 32]);
                seat
            })
            .collect();
        assert_eq!(idle.iter().filter(|seat| !is_taken(seat)).count(), BOUNDS.each);
        assert!(!is_taken(&other));
    }

    #[test]
    fn a_shared_key_has_half_of_all_seats() {
        let seats = Seats::new(SeatPlan { knocked: SeatBounds { each: 1, total: 8 }, ..PLAN });
        let knock = |owner: KeyOwner| {
            let mut seat = seats.enter(source(1), NOW);
            seat.knocked(&owner);
            seat
        };
        let shared: Vec<_> = (0..10).map(|_| knock(KeyOwner::Profile("staff".into()))).collect();
        assert_eq!(shared.iter().filter(|seat| !is_taken(seat)).count(), 4);
    }

    #[test]
    fn seats_are_given_back_and_a_source_is_forgotten_after_a_day() {
        let seats = Seats::new(PLAN);
        let seat = seats.enter(source(1), NOW);
        seat.remember_source(NOW);
        drop(seat);
        assert!(seats.knows(source(1), NOW));
        assert!(!seats.knows(source(1), NOW.plus(KNOWN_FOR)));
        for _ in 0..100 {
            let seat = seats.enter(source(3), NOW);
            assert!(!is_taken(&seat));
        }
        let table = seats.lock();
        assert!(table.unproved.is_empty() && table.known_sources.is_empty());
    }
}
