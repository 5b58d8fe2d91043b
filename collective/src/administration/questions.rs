//! Questions that change nothing: why is a user permitted or not, what would a change do, and what is wrong with the
//! policies.
//!
//! Each asks for the privileges of the change that it is about (T40), and decides by the functions that decide in earnest.

pub(crate) mod claim_names;
pub(crate) mod explain;
pub(crate) mod lint;
pub(crate) mod rehearsal;
pub(crate) mod what_if;

use std::sync::Arc;

use crate::identity::Providers;
use crate::issuing::policies::CompiledPolicies;
use crate::peers::Peers;

/// What answers questions about users, sessions and policies.
pub(crate) struct Questions {
    pub(crate) providers: Arc<Providers>,
    pub(crate) policies: Arc<CompiledPolicies>,
    pub(crate) peers: Arc<Peers>,
}
