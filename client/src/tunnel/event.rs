//! What the pump tells the Client. Facts, after they happened.

use ringwall_protocol::id::SiteId;
use ringwall_tunnel::frame::FrameError;

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
    /// The pump has stopped though nobody asked it to: the device is gone, or a defect.
    Stopped,
}

/// Why a tunnel is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossReason {
    /// The Gateway closed it; the websocket knows why.
    Closed,
    /// The Gateway did not answer the attach token in time.
    NotAttached,
    /// Nothing was heard from the Gateway for too long.
    Silent,
    /// The connection broke, or what came was no TLS record of this connection.
    Broken(std::io::ErrorKind),
    /// The Gateway broke the tunnel's protocol.
    Violated(Violation),
    /// A defect on this side ended it.
    Defect,
}

/// What no honest Gateway sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame that this version does not know.
    #[error("malformed frame: {0}")]
    Frame(#[from] FrameError),
    /// An attach frame where none is due, or anything else before the one that is.
    #[error("attach frame missing, repeated or not empty")]
    Attach,
}

/// Who wants to know. Called on the pump's thread: it must not wait.
pub trait TunnelEvents: Send + Sync + 'static {
    /// Takes notice of an event.
    fn tunnel_event(&self, event: TunnelEvent);
}

impl<F: Fn(TunnelEvent) + Send + Sync + 'static> TunnelEvents for F {
    fn tunnel_event(&self, event: TunnelEvent) {
        self(event);
    }
}
