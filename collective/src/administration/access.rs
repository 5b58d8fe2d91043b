//! Who an administrator is and what he may do: his sign-in, his session, his privileges, and what he may grant.
//!
//! Promises that a session ends when it is idle or after twelve hours, that every order is checked against the privileges
//! of the present state, and that nobody grants what he does not hold (T40).

pub(crate) mod authority;
pub(crate) mod granting;
mod knock_key;
pub(crate) mod session;
pub(crate) mod sign_in;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::identity::Providers;
use crate::issuing::policies::CompiledPolicies;
use crate::issuing::signers::Signers;
use crate::replica::Replica;
use crate::replica::vault::Vault;
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
    /// One place for each sign-in in progress, of users and administrators alike.
    pub(crate) places: Arc<Semaphore>,
}
