//! What was used already. Remembered by the period of the knock's own time, so that a generation can be dropped as a
//! whole exactly when nothing in it could be accepted again. Full means refuse, never forget (T22).
//!
//! Every key has room of its own; beyond that, keys share what is left, peers apart from all others. So no key, and no
//! small number of keys, makes another one's knocks be refused (T48).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{KeyOwner, KnockError, Used};

/// Knocks of one key for which there is always room.
const RESERVED: u32 = 64;
/// Knocks of one device's key that are remembered at most: 13 a second over the default window.
const OF_ONE: u32 = 8_192;

/// How many knocks are remembered at once, 24 bytes each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of all keys but those of peers, beyond what is reserved for each.
    pub(super) common: u32,
    /// Of peers' keys.
    pub(super) peers: u32,
}

/// 2²⁰ for users, some 1,000 a second over the default window, and 2¹⁸ for peers.
const LIMITS: Limits = Limits { common: 1 << 20, peers: 1 << 18 };

/// The replay cache of a process.
pub(super) struct Replays {
    generations: BTreeMap<u64, Generation>,
    by_key: HashMap<KeyOwner, u32>,
    limits: Limits,
    /// All that is remembered: of users, of peers.
    total: (u32, u32),
}

#[derive(Default)]
struct Generation {
    used: HashSet<Used>,
    by_key: HashMap<KeyOwner, u32>,
}

impl Default for Replays {
    fn default() -> Self {
        Self::with_limits(LIMITS)
    }
}

impl Replays {
    pub(super) fn with_limits(limits: Limits) -> Self {
        Self { generations: BTreeMap::new(), by_key: HashMap::new(), limits, total: (0, 0) }
    }

    /// Drops generations before `oldest`; gives the latest period of which something was dropped.
    pub(super) fn forget_before(&mut self, oldest: u64) -> Option<u64> {
        let kept = self.generations.split_off(&oldest);
        let dropped = std::mem::replace(&mut self.generations, kept);
        for (owner, count) in dropped.values().flat_map(|generation| &generation.by_key) {
            *self.total_of(owner) -= count;
            if let Some(known) = self.by_key.get_mut(owner) {
                *known -= count;
                if *known == 0 {
                    self.by_key.remove(owner);
                }
            }
        }
        dropped.last_key_value().map(|(period, _)| *period)
    }

    /// Takes over what an earlier process used.
    pub(super) fn recall(&mut self, period: u64, used: Used) {
        self.generations.entry(period).or_default().used.insert(used);
    }

    /// Whether a knock may still be used: it was not, and there is room to write it down.
    pub(super) fn check(&self, used: &Used, owner: &KeyOwner) -> Result<(), KnockError> {
        if self.generations.values().any(|generation| generation.used.contains(used)) {
            return Err(KnockError::Replayed);
        }
        let own = self.by_key.get(owner).copied().unwrap_or(0);
        let (total, limit) = match owner {
            KeyOwner::Peer(_) => (self.total.1, self.limits.peers),
            _ => (self.total.0, self.limits.common),
        };
        let most = if owner.is_shared() { limit / 2 } else { OF_ONE };
        if own >= RESERVED && (own >= most || total >= limit) { Err(KnockError::Full) } else { Ok(()) }
    }

    /// Writes down a knock that was checked; only then may it be accepted.
    pub(super) fn remember(&mut self, period: u64, used: Used, owner: &KeyOwner) {
        let generation = self.generations.entry(period).or_default();
        generation.used.insert(used);
        *generation.by_key.entry(owner.clone()).or_default() += 1;
        *self.by_key.entry(owner.clone()).or_default() += 1;
        *self.total_of(owner) += 1;
    }

    const fn total_of(&mut self, owner: &KeyOwner) -> &mut u32 {
        match owner {
            KeyOwner::Peer(_) => &mut self.total.1,
            _ => &mut self.total.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::id::{DeviceId, UserId};

    use super::*;
    use crate::spa::PeerRole;

    fn used(n: u32) -> Used {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        bytes
    }

    fn device(n: u8) -> KeyOwner {
        KeyOwner::Device(UserId::from_random([n; 16]), DeviceId::from_random([n; 16]))
    }

    fn fill(replays: &mut Replays, owner: &KeyOwner, numbers: std::ops::Range<u32>) -> usize {
        let mut accepted = 0;
        for n in numbers {
            if replays.check(&used(n), owner).is_ok() {
                replays.remember(1, used(n), owner);
                accepted += 1;
            }
        }
        accepted
    }

    #[test]
    fn a_full_cache_refuses_and_never_forgets() {
        let mut replays = Replays::default();
        let count = OF_ONE + 100;
        assert_eq!(fill(&mut replays, &device(1), 0..count), OF_ONE as usize);
        assert_eq!(replays.check(&used(count), &device(1)), Err(KnockError::Full));
        assert_eq!(replays.check(&used(0), &device(1)), Err(KnockError::Replayed));
        assert_eq!(replays.check(&used(0), &device(2)), Err(KnockError::Replayed), "whosever key it is");
        replays.remember(2, used(count), &device(2));
        assert_eq!(replays.forget_before(2), Some(1));
        assert_eq!(replays.check(&used(0), &device(1)), Ok(()));
        assert_eq!(replays.check(&used(count), &device(2)), Err(KnockError::Replayed));
        assert_eq!(replays.by_key.len(), 1);
        assert_eq!(replays.total, (1, 0));
    }

    #[test]
    fn keys_that_fill_the_cache_leave_every_other_key_its_room_and_peers_theirs() {
        let mut replays = Replays::with_limits(Limits { common: 1_000, peers: 1_000 });
        fill(&mut replays, &KeyOwner::Profile("staff".into()), 0..10_000);
        for n in 0..10 {
            let from = 10_000 * (u32::from(n) + 1);
            fill(&mut replays, &device(n), from..from + 10_000);
        }
        assert!(replays.total.0 >= 1_000, "the common room is full");
        let from = 1_000_000;
        assert_eq!(fill(&mut replays, &device(100), from..from + 1_000), RESERVED as usize);
        let raft = KeyOwner::Peer(PeerRole::Raft);
        assert_eq!(fill(&mut replays, &raft, from + 10_000..from + 11_000), 500, "half for one role");
        assert!(fill(&mut replays, &KeyOwner::Peer(PeerRole::Feed), from + 20_000..from + 21_000) >= 500);
    }
}
