//! The keys with which this Controller signs tokens: the present one, and the former until nobody mints from an older
//! state.

use std::sync::{Arc, PoisonError, RwLock};

use ringwall_protocol::id::{LogIndex, NodeId};
use ringwall_protocol::token::TokenBody;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;
use ringwall_trust::token::{MintError, TokenSigner};

use crate::refusal::Refusal;

/// Keys kept in memory: the present one and its predecessors of the last moments.
const KEPT: usize = 3;

/// Signing keys of one node, newest first. No `Debug`.
pub(crate) struct Signers {
    me: NodeId,
    keys: RwLock<Vec<Arc<TokenSigner>>>,
}

impl Signers {
    /// One key of node `me`.
    #[must_use]
    pub(crate) fn new(me: NodeId, signer: TokenSigner) -> Self {
        Self { me, keys: RwLock::new(vec![Arc::new(signer)]) }
    }

    /// Adds a newer key.
    pub(crate) fn add(&self, signer: TokenSigner) {
        let mut signers = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        signers.insert(0, Arc::new(signer));
        signers.truncate(KEPT);
    }

    /// The newest key, whether the state knows it or not.
    #[must_use]
    pub(crate) fn newest(&self) -> Option<Arc<TokenSigner>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).first().map(Arc::clone)
    }

    /// The key with which this node may sign a token of this index, as `state` knows it (T35): the present one, or a
    /// former one for what was first checked while that was in use.
    #[must_use]
    pub(crate) fn covering(&self, state: &State, idx: LogIndex) -> Option<Arc<TokenSigner>> {
        let signers = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let covers = |kid: &str| state.key(kid).is_some_and(|key| key.controller == self.me && key.covers(idx));
        signers.iter().find(|signer| covers(signer.kid())).map(Arc::clone)
    }

    /// Signs a token with the key that covers the token's index in `state`.
    ///
    /// # Errors
    /// `busy` without such a key; `policyTooLarge`; `tokenExpired` if nothing is left of its lifetime.
    pub(crate) fn sign<T: TokenBody>(&self, state: &State, body: &T) -> Result<String, Refusal> {
        let idx = body.head().idx;
        let signer = self.covering(state, idx).ok_or_else(|| {
            tracing::warn!(%idx, "no signing key of this controller covers the index");
            Refusal::new(ErrorCode::Busy, "this controller has no signing key for this yet; try another one")
        })?;
        signer.mint(body).map_err(|error| match error {
            MintError::TooLarge { limit, got } => Refusal::new(
                ErrorCode::PolicyTooLarge,
                format!(
                    "the token would have {got} bytes, at most {limit} are allowed: policies grant too much at once"
                ),
            ),
            MintError::Life { .. } => {
                Refusal::new(ErrorCode::TokenExpired, "the sign-in has reached its end; sign in again")
            }
            MintError::Encoding(error) => {
                tracing::error!(%error, "token could not be encoded");
                Refusal::internal()
            }
        })
    }
}
