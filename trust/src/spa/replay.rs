//! What was used already. Remembered by the period of the knock's own time, so that a generation can be dropped as a
//! whole exactly when nothing in it could be accepted again. Full means refuse, never forget.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{MAX_AHEAD_PER_KEY_AND_SECOND, MAX_KNOCKS_PER_KEY_AND_SECOND, MAX_REMEMBERED, Used};

/// Why a knock was not written down, and must therefore be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotRemembered {
    Replayed,
    Full,
    Budget,
}

/// The replay cache of a process.
pub(super) struct Replays {
    generations: BTreeMap<u64, HashSet<Used>>,
    /// The second that `spent` counts.
    second: u64,
    /// Knocks of this second by key: all, and those dated ahead.
    spent: HashMap<u32, (u32, u32)>,
    limit: usize,
}

impl Default for Replays {
    fn default() -> Self {
        Self::with_limit(MAX_REMEMBERED)
    }
}

impl Replays {
    pub(super) fn with_limit(limit: usize) -> Self {
        Self { generations: BTreeMap::new(), second: 0, spent: HashMap::new(), limit }
    }

    /// Drops generations before `oldest`; gives the latest period of which something was dropped.
    pub(super) fn forget_before(&mut self, oldest: u64) -> Option<u64> {
        let kept = self.generations.split_off(&oldest);
        let dropped = std::mem::replace(&mut self.generations, kept);
        dropped.last_key_value().map(|(period, _)| *period)
    }

    /// Takes over what an earlier process used.
    pub(super) fn recall(&mut self, period: u64, used: Used) {
        self.generations.entry(period).or_default().insert(used);
    }

    /// Writes a knock down; only then may it be accepted.
    pub(super) fn remember(
        &mut self,
        period: u64,
        used: Used,
        key: u32,
        second: u64,
        ahead: bool,
    ) -> Result<(), NotRemembered> {
        if self.generations.values().any(|generation| generation.contains(&used)) {
            return Err(NotRemembered::Replayed);
        }
        if self.generations.values().map(HashSet::len).sum::<usize>() >= self.limit {
            return Err(NotRemembered::Full);
        }
        if self.second != second {
            self.second = second;
            self.spent.clear();
        }
        let spent = self.spent.entry(key).or_default();
        if spent.0 >= MAX_KNOCKS_PER_KEY_AND_SECOND || (ahead && spent.1 >= MAX_AHEAD_PER_KEY_AND_SECOND) {
            return Err(NotRemembered::Budget);
        }
        spent.0 += 1;
        spent.1 += u32::from(ahead);
        self.generations.entry(period).or_default().insert(used);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(nonce: u8) -> Used {
        [nonce; 16]
    }

    #[test]
    fn a_full_cache_refuses_and_never_forgets() {
        let mut replays = Replays::with_limit(2);
        assert_eq!(replays.remember(1, used(1), 0, 0, false), Ok(()));
        assert_eq!(replays.remember(2, used(2), 0, 0, false), Ok(()));
        assert_eq!(replays.remember(2, used(3), 0, 0, false), Err(NotRemembered::Full));
        assert_eq!(replays.remember(1, used(1), 0, 0, false), Err(NotRemembered::Replayed));
        assert_eq!(replays.forget_before(2), Some(1));
        assert_eq!(replays.remember(2, used(3), 0, 0, false), Ok(()));
        assert_eq!(replays.remember(2, used(2), 0, 0, false), Err(NotRemembered::Replayed));
    }

    #[test]
    fn one_key_cannot_use_up_the_cache_in_a_second() {
        let mut replays = Replays::default();
        let nonce = |n: u32| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            bytes
        };
        for n in 0..MAX_KNOCKS_PER_KEY_AND_SECOND {
            assert_eq!(replays.remember(1, nonce(n), 1, 7, false), Ok(()));
        }
        assert_eq!(replays.remember(1, used(255), 1, 7, false), Err(NotRemembered::Budget));
        assert_eq!(replays.remember(1, used(254), 2, 7, false), Ok(()), "another key has its own budget");
        assert_eq!(replays.remember(1, used(255), 1, 8, false), Ok(()), "the next second is new");
    }

    #[test]
    fn a_clock_that_is_ahead_has_a_budget_of_its_own() {
        let mut replays = Replays::default();
        for n in 0..MAX_AHEAD_PER_KEY_AND_SECOND {
            assert_eq!(replays.remember(1, [n as u8; 16], 1, 7, true), Ok(()));
        }
        assert_eq!(replays.remember(1, used(255), 1, 7, true), Err(NotRemembered::Budget));
        assert_eq!(replays.remember(1, used(255), 1, 7, false), Ok(()), "knocks of the present are not held up");
    }
}
