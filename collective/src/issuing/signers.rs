//! The keys with which this Controller signs tokens: the present one, and the former until nobody mints from an older
//! state.

use std::sync::{Arc, PoisonError, RwLock};

use ringwall_protocol::id::{LogIndex, NodeId};
use ringwall_raft::State;
use ringwall_trust::token::TokenSigner;

/// Keys kept in memory: the present one and its predecessors of the last moments.
const KEPT: usize = 3;

/// Signing keys, newest first. No `Debug`.
pub struct Signers(RwLock<Vec<Arc<TokenSigner>>>);

impl Signers {
    /// One key.
    #[must_use]
    pub fn new(signer: TokenSigner) -> Self {
        Self(RwLock::new(vec![Arc::new(signer)]))
    }

    /// Adds a newer key.
    pub fn add(&self, signer: TokenSigner) {
        let mut signers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        signers.insert(0, Arc::new(signer));
        signers.truncate(KEPT);
    }

    /// The newest key, whether the state knows it or not.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<TokenSigner>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).first().map(Arc::clone)
    }

    /// The key with which `node` may sign a token of this index, as `state` knows it (T35): the present one, or a
    /// former one for what was first checked while that was in use.
    #[must_use]
    pub fn covering(&self, state: &State, node: NodeId, idx: LogIndex) -> Option<Arc<TokenSigner>> {
        let signers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let covers = |kid: &str| state.key(kid).is_some_and(|key| key.controller == node && key.covers(idx));
        signers.iter().find(|signer| covers(signer.kid())).map(Arc::clone)
    }
}
