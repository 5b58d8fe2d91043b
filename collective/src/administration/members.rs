//! The Collective itself: appliances that join and leave, settings, and how it is.

pub(crate) mod admission;
pub(crate) mod appliances;
pub(crate) mod settings;
pub(crate) mod shared_keys;
pub(crate) mod status;

use std::sync::Arc;

use ringwall_actors::link::Board;

use crate::clock::watch::ClockWatch;
use crate::replica::Replica;
use crate::replica::vault::Vault;

/// What keeps the Collective's members and settings.
pub(crate) struct Members {
    pub(crate) replica: Replica,
    pub(crate) vault: Arc<Vault>,
    /// What Gateways enforce whose feed ends here.
    pub(crate) board: Arc<Board>,
    /// Whether this Controller's clock is right.
    pub(crate) clock: Arc<ClockWatch>,
}
