//! Which proofs of possession were used (RFC 9449 §11.1): each counts once at this Controller, in bounded memory. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::time::UnixMillis;
use ringwall_trust::dpop::VerifiedProof;

/// Most proofs remembered, some 30 MB: an import of a whole configuration over ten minutes takes a tenth.
const MAX_PROOFS: usize = 262_144;
/// Most of one key, so that no administrator takes the room of all.
const MAX_OF_ONE_KEY: usize = 65_536;

/// Why a proof was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSpent {
    /// It was used before.
    Used,
    /// There is no room to remember it. Nothing is forgotten before its time.
    Full,
}

/// Proofs that were used and whose time alone does not refuse them yet.
#[derive(Debug, Default)]
pub(crate) struct SpentProofs {
    ids: BTreeSet<[u8; 32]>,
    by_end: BTreeSet<(UnixMillis, [u8; 32], Thumbprint)>,
    of_key: BTreeMap<Thumbprint, usize>,
}

impl SpentProofs {
    /// Spends a proof that was verified.
    ///
    /// # Errors
    /// [`NotSpent`].
    pub(crate) fn spend(&mut self, proof: &VerifiedProof, now: UnixMillis) -> Result<(), NotSpent> {
        self.forget(now);
        if self.ids.contains(&proof.id) {
            return Err(NotSpent::Used);
        }
        let of_key = self.of_key.get(&proof.key).copied().unwrap_or_default();
        if self.ids.len() >= MAX_PROOFS || of_key >= MAX_OF_ONE_KEY {
            return Err(NotSpent::Full);
        }
        self.ids.insert(proof.id);
        self.by_end.insert((proof.until, proof.id, proof.key));
        self.of_key.insert(proof.key, of_key + 1);
        Ok(())
    }

    fn forget(&mut self, now: UnixMillis) {
        while let Some((_, id, key)) = self.by_end.first().filter(|(until, ..)| *until <= now).copied() {
            self.by_end.pop_first();
            self.ids.remove(&id);
            match self.of_key.get_mut(&key) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.of_key.remove(&key)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(key: u8, id: u32, until: u64) -> VerifiedProof {
        let mut bytes = [key; 32];
        bytes[..4].copy_from_slice(&id.to_be_bytes());
        VerifiedProof { key: Thumbprint([key; 32]), id: bytes, until: UnixMillis(until) }
    }

    #[test]
    fn a_proof_counts_once_until_its_time_alone_refuses_it() {
        let mut spent = SpentProofs::default();
        assert_eq!(spent.spend(&proof(1, 1, 1_000), UnixMillis(0)), Ok(()));
        assert_eq!(spent.spend(&proof(1, 1, 1_000), UnixMillis(999)), Err(NotSpent::Used));
        assert_eq!(spent.spend(&proof(1, 2, 2_000), UnixMillis(1_000)), Ok(()));
        assert_eq!((spent.ids.len(), spent.by_end.len()), (1, 1), "what is over takes no room");
    }

    #[test]
    fn one_key_cannot_take_the_room_of_all_and_nothing_is_forgotten_early() {
        let mut spent = SpentProofs::default();
        for id in 0..u32::try_from(MAX_OF_ONE_KEY).expect("small") {
            assert_eq!(spent.spend(&proof(1, id, 1_000), UnixMillis(0)), Ok(()));
        }
        assert_eq!(spent.spend(&proof(1, u32::MAX, 1_000), UnixMillis(0)), Err(NotSpent::Full));
        assert_eq!(spent.spend(&proof(1, 0, 1_000), UnixMillis(0)), Err(NotSpent::Used));
        assert_eq!(spent.spend(&proof(2, 0, 1_000), UnixMillis(0)), Ok(()), "another key has room");
        assert_eq!(spent.spend(&proof(1, u32::MAX, 2_000), UnixMillis(1_000)), Ok(()));
        assert_eq!(spent.of_key.len(), 1);
    }
}
