//! Who an administrator is and what he may do: his sign-in, his session, his privileges, and what he may grant.
//!
//! Promises that a session ends when it is idle or after twelve hours, or when what opened it changes (T57); that every order
//! is checked against the policies of the present state; and that nobody grants what he does not hold (T40).

pub(crate) mod authority;
pub(crate) mod break_glass;
pub(crate) mod credentials;
pub(crate) mod granting;
mod knock_key;
pub(crate) mod lasting;
mod listed;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod spent_proofs;

use std::sync::{Arc, Mutex};

use self::spent_proofs::SpentProofs;
use crate::identity::Providers;
use crate::issuing::policies::CompiledPolicies;
use crate::issuing::signers::Signers;
use crate::replica::Replica;
use crate::replica::vault::Vault;
use crate::sign_in::attempter::Places;
use crate::sign_in::challenges::Challenges;
use crate::sign_in::lockout::Lockout;

/// What signs administrators in, and knows their sessions.
pub(crate) struct Access {
    pub(crate) replica: Replica,
    pub(crate) vault: Arc<Vault>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) policies: Arc<CompiledPolicies>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) lockout: Arc<Lockout>,
    pub(crate) challenges: Arc<Challenges>,
    /// One place for each sign-in in progress.
    pub(crate) places: Arc<Places>,
    /// Proofs of keys that were used here.
    pub(crate) spent_proofs: Mutex<SpentProofs>,
}
