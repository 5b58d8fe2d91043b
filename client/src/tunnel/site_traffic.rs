//! What the tunnels of each Site moved, for the status.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_protocol::id::SiteId;
use ringwall_tunnel::counters::Traffic;

/// The traffic of all Sites. The lock is taken when a Site comes, goes or is asked about, never for a packet.
#[derive(Debug, Default)]
pub(super) struct SiteTraffic(Mutex<BTreeMap<SiteId, Arc<Traffic>>>);

impl SiteTraffic {
    /// What a Site's tunnels moved since the Site came.
    pub(super) fn of(&self, site: SiteId) -> Arc<Traffic> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(site).or_default())
    }

    /// The Site is gone; should it come again, it begins at zero.
    pub(super) fn forget(&self, site: SiteId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&site);
    }
}
