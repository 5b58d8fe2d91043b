//! What the tunnel worker tells the Client. Facts, after they happened.

use ringwall_protocol::id::SiteId;
use ringwall_tunnel::loss::LossReason;

/// Something happened to a Site's tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelEvent {
    /// The Gateway took the attach token; packets pass from now on.
    SiteAttached {
        /// Which Site.
        site: SiteId,
    },
    /// The tunnel is gone. Packets to the Site's routes are dropped until a new tunnel is added or the Site removed.
    SiteLost {
        /// Which Site.
        site: SiteId,
        /// Why.
        reason: LossReason,
    },
    /// The worker has stopped though nobody asked it to: the device is gone, or a defect.
    Stopped,
}

/// Who wants to know. Called on the worker's thread: it must not wait.
pub trait TunnelEvents: Send + Sync + 'static {
    /// Takes notice of an event.
    fn tunnel_event(&self, event: TunnelEvent);
}

impl<F: Fn(TunnelEvent) + Send + Sync + 'static> TunnelEvents for F {
    fn tunnel_event(&self, event: TunnelEvent) {
        self(event);
    }
}
