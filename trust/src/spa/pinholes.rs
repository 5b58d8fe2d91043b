//! What knocks bought: so many connections from a source to a port, for so long (T22, T47). Pure: the kernel's set is
//! told by whoever holds this table; here it is known whose knock it was and what is left.
//!
//! The kernel lets a source begin connections while its pinhole is open, and counts none of them: a SYN may carry any
//! address. A connection is spent when it *proves* itself, by the key that knocked. So neither a flood of SYNs with the
//! source's address nor a neighbour behind the same address translator uses up what somebody else bought.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::spa::KeyOwner;
use crate::tls::HELLO_TIME;

/// How long a knock opens a port for its source.
const OPEN: Duration = Duration::from_secs(10);
/// Connections that one key can have bought from one source at a time: many devices may share a profile's key.
const MOST: u32 = 32;
/// Keys with which one source can have bought at a time: the devices behind one address translator.
const MOST_OWNERS: usize = 1_024;
/// Beyond so many holes those that are over are swept out.
const SWEEP: usize = 4_096;

/// A source and the TCP port that is open to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hole {
    /// Who may come.
    pub source: IpAddr,
    /// Where to.
    pub port: u16,
}

impl Hole {
    /// A hole; IPv4 addresses mapped into IPv6 count as IPv4.
    #[must_use]
    pub fn new(source: IpAddr, port: u16) -> Self {
        Self { source: source.to_canonical(), port }
    }
}

/// What a proved connection finds of what was bought with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It may go on, and others may come: the hole stays open.
    More,
    /// It may go on, and nothing is left: the hole is to be closed.
    Last,
    /// Its key bought nothing here, or all of it is spent: the connection is refused.
    Nothing,
}

#[derive(Debug)]
struct Bought {
    left: u32,
    /// When the hole closes.
    until: Instant,
}

impl Bought {
    /// A connection that began in time may still prove itself.
    fn counts(&self, now: Instant) -> bool {
        self.left > 0 && now < self.until + HELLO_TIME
    }
}

/// The pinholes of a process.
#[derive(Debug, Default)]
pub struct Pinholes {
    open: HashMap<Hole, HashMap<KeyOwner, Bought>>,
}

impl Pinholes {
    /// How long a hole stays open after a knock.
    pub const OPEN: Duration = OPEN;

    /// A right knock bought `connections`: the hole is to be open until [`Self::OPEN`] from `now`. False if its source has
    /// bought with too many keys; nothing is to be opened then.
    #[must_use]
    pub fn buy(&mut self, hole: Hole, owner: &KeyOwner, connections: u8, now: Instant) -> bool {
        if self.open.len() >= SWEEP {
            self.open.retain(|_, owners| owners.values().any(|bought| bought.counts(now)));
        }
        let owners = self.open.entry(hole).or_default();
        if owners.len() >= MOST_OWNERS && !owners.contains_key(owner) {
            owners.retain(|_, bought| bought.counts(now));
            if owners.len() >= MOST_OWNERS {
                return false;
            }
        }
        let bought = owners.entry(owner.clone()).or_insert(Bought { left: 0, until: now });
        let left = if bought.counts(now) { bought.left } else { 0 };
        *bought = Bought { left: left.saturating_add(u32::from(connections)).min(MOST), until: now + OPEN };
        true
    }

    /// A connection proved itself with a key of `owner`.
    #[must_use]
    pub fn spend(&mut self, hole: Hole, owner: &KeyOwner, now: Instant) -> Spent {
        let Some(owners) = self.open.get_mut(&hole) else { return Spent::Nothing };
        let found = owners.get_mut(owner).filter(|bought| bought.counts(now));
        let spent = found.map(|bought| bought.left -= 1).is_some();
        owners.retain(|_, bought| bought.counts(now));
        let over = owners.is_empty();
        if over {
            self.open.remove(&hole);
        }
        match (spent, over) {
            (false, _) => Spent::Nothing,
            (true, true) => Spent::Last,
            (true, false) => Spent::More,
        }
    }

    /// Forgets what owners that are `gone` bought; returns the holes in which nothing is left. They are to be closed.
    pub fn lock_out(&mut self, gone: impl Fn(&KeyOwner) -> bool) -> Vec<Hole> {
        let mut closed = vec![];
        self.open.retain(|hole, owners| {
            let before = owners.len();
            owners.retain(|owner, _| !gone(owner));
            if owners.is_empty() && before > 0 {
                closed.push(*hole);
            }
            !owners.is_empty()
        });
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hole() -> Hole {
        Hole::new("::ffff:192.0.2.1".parse().expect("an address"), 443)
    }

    fn owner(name: &str) -> KeyOwner {
        KeyOwner::Profile(name.into())
    }

    #[test]
    fn a_knock_buys_what_it_asks_for_and_no_more() {
        let (mut holes, now) = (Pinholes::default(), Instant::now());
        assert!(holes.buy(hole(), &owner("a"), 2, now));
        assert_eq!(holes.spend(hole(), &owner("a"), now), Spent::More);
        assert_eq!(holes.spend(hole(), &owner("a"), now), Spent::Last);
        assert_eq!(holes.spend(hole(), &owner("a"), now), Spent::Nothing, "one knock is not for a third connection");
    }

    #[test]
    fn a_proof_with_another_key_spends_nothing_that_a_neighbour_bought() {
        let (mut holes, now) = (Pinholes::default(), Instant::now());
        assert!(holes.buy(hole(), &owner("victim"), 1, now));
        for _ in 0..100 {
            assert_eq!(holes.spend(hole(), &owner("neighbour"), now), Spent::Nothing);
        }
        assert!(holes.buy(hole(), &owner("neighbour"), 1, now));
        assert_eq!(holes.spend(hole(), &owner("neighbour"), now), Spent::More, "the victim's stays open");
        assert_eq!(holes.spend(hole(), &owner("neighbour"), now), Spent::Nothing);
        assert_eq!(holes.spend(hole(), &owner("victim"), now), Spent::Last);
    }

    #[test]
    fn what_is_left_adds_up_while_it_is_open_and_is_lost_afterwards() {
        let (mut holes, now) = (Pinholes::default(), Instant::now());
        let begun_late = now + Pinholes::OPEN + HELLO_TIME;
        assert!(holes.buy(hole(), &owner("a"), 1, now));
        assert_eq!(holes.spend(hole(), &owner("a"), begun_late), Spent::Nothing);
        assert!(holes.buy(hole(), &owner("a"), 1, now));
        assert!(holes.buy(hole(), &owner("a"), 1, begun_late));
        assert_eq!(holes.spend(hole(), &owner("a"), begun_late), Spent::Last, "the former is over");
        for _ in 0..100 {
            assert!(holes.buy(hole(), &owner("a"), 2, now));
        }
        let spent = (0..100).filter(|_| holes.spend(hole(), &owner("a"), now) != Spent::Nothing).count();
        assert_eq!(spent, MOST as usize);
    }

    #[test]
    fn a_connection_that_began_in_time_may_prove_itself_a_little_later() {
        let (mut holes, now) = (Pinholes::default(), Instant::now());
        assert!(holes.buy(hole(), &owner("a"), 1, now));
        let late = now + Pinholes::OPEN + HELLO_TIME / 2;
        assert_eq!(holes.spend(hole(), &owner("a"), late), Spent::Last);
    }

    #[test]
    fn keys_of_one_source_are_bounded_and_those_that_are_over_make_room() {
        let (mut holes, now) = (Pinholes::default(), Instant::now());
        for n in 0..MOST_OWNERS {
            assert!(holes.buy(hole(), &owner(&n.to_string()), 1, now));
        }
        assert!(!holes.buy(hole(), &owner("one more"), 1, now));
        assert!(holes.buy(hole(), &owner("0"), 1, now), "a key that is known already");
        assert!(holes.buy(hole(), &owner("one more"), 1, now + Pinholes::OPEN + HELLO_TIME));
    }

    #[test]
    fn holes_of_a_removed_key_are_closed_and_others_stay() {
        let (mut holes, now) = (Pinholes::default(), Instant::now());
        let other = Hole::new("192.0.2.2".parse().expect("an address"), 443);
        assert!(holes.buy(hole(), &owner("gone"), 1, now));
        assert!(holes.buy(other, &owner("gone"), 1, now));
        assert!(holes.buy(other, &owner("stays"), 1, now));
        assert_eq!(holes.lock_out(|one| *one == owner("gone")), [hole()]);
        assert_eq!(holes.spend(hole(), &owner("gone"), now), Spent::Nothing);
        assert_eq!(holes.spend(other, &owner("gone"), now), Spent::Nothing);
        assert_eq!(holes.spend(other, &owner("stays"), now), Spent::Last);
    }
}
