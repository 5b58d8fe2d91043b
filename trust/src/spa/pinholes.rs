//! What knocks bought: so many connections from a source to a port, for so long (T22). Pure: the kernel's set is
//! told by whoever holds this table, and counts too; here it is known whose knock it was and what is left.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::spa::KeyOwner;

/// How long a knock opens a port for its source.
const OPEN: Duration = Duration::from_secs(10);
/// Connections that one source can have bought at a time: many devices behind one address, not a flood.
const MOST: u32 = 32;
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

#[derive(Debug)]
struct Bought {
    left: u32,
    until: Instant,
    owners: Vec<KeyOwner>,
}

/// The pinholes of a process.
#[derive(Debug, Default)]
pub struct Pinholes {
    open: HashMap<Hole, Bought>,
}

impl Pinholes {
    /// How long a hole stays open after a knock.
    pub const OPEN: Duration = OPEN;

    /// A right knock bought `connections`: how many may begin now, until [`Self::OPEN`] from `now`.
    pub fn buy(&mut self, hole: Hole, owner: &KeyOwner, connections: u8, now: Instant) -> u32 {
        if self.open.len() >= SWEEP {
            self.open.retain(|_, bought| bought.until > now);
        }
        let fresh = || Bought { left: 0, until: now, owners: vec![] };
        let bought = self.open.entry(hole).or_insert_with(fresh);
        if bought.until <= now {
            *bought = fresh();
        }
        bought.left = bought.left.saturating_add(u32::from(connections)).min(MOST);
        bought.until = now + OPEN;
        if !bought.owners.contains(owner) {
            bought.owners.push(owner.clone());
        }
        bought.left
    }

    /// A connection began; true if it was the last one, and the hole is to be closed.
    pub fn spend(&mut self, hole: Hole) -> bool {
        let Some(bought) = self.open.get_mut(&hole) else { return false };
        bought.left = bought.left.saturating_sub(1);
        let over = bought.left == 0;
        if over {
            self.open.remove(&hole);
        }
        over
    }

    /// Forgets the holes of owners that are `gone`; they are to be closed.
    pub fn lock_out(&mut self, gone: impl Fn(&KeyOwner) -> bool) -> Vec<Hole> {
        let closed = |bought: &Bought| bought.owners.iter().any(&gone);
        let holes: Vec<_> = self.open.iter().filter(|(_, bought)| closed(bought)).map(|(hole, _)| *hole).collect();
        for hole in &holes {
            self.open.remove(hole);
        }
        holes
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
        assert_eq!(holes.buy(hole(), &owner("a"), 2, now), 2);
        assert!(!holes.spend(hole()));
        assert!(holes.spend(hole()), "the second was the last");
        assert!(!holes.spend(hole()), "there is nothing left to close");
    }

    #[test]
    fn what_is_left_adds_up_while_it_is_open_and_is_void_afterwards() {
        let (mut holes, now) = (Pinholes::default(), Instant::now());
        assert_eq!(holes.buy(hole(), &owner("a"), 1, now), 1);
        assert_eq!(holes.buy(hole(), &owner("b"), 1, now), 2, "two devices behind one address");
        assert_eq!(holes.buy(hole(), &owner("a"), 1, now + Pinholes::OPEN), 1, "the former is over");
        for _ in 0..100 {
            assert!(holes.buy(hole(), &owner("a"), 2, now) <= MOST);
        }
    }

    #[test]
    fn holes_of_a_removed_key_are_closed_and_others_stay() {
        let (mut holes, now) = (Pinholes::default(), Instant::now());
        let other = Hole::new("192.0.2.2".parse().expect("an address"), 443);
        holes.buy(hole(), &owner("gone"), 1, now);
        holes.buy(other, &owner("stays"), 1, now);
        assert_eq!(holes.lock_out(|one| *one == owner("gone")), [hole()]);
        assert!(!holes.spend(hole()));
        assert!(holes.spend(other));
    }
}
