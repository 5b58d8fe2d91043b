//! What the tunnel plane tells the sessions. Facts, after they happened.

use std::net::SocketAddr;

use ringwall_protocol::id::SessionId;
use ringwall_tunnel::loss::{LossReason, Violation};

/// Something happened to a session's tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelEvent {
    /// A tunnel stands; packets pass from now on.
    Attached {
        /// Whose.
        session: SessionId,
        /// The Client's address and port.
        peer: SocketAddr,
        /// True if it took the place of another tunnel, which is closed.
        replaced: bool,
    },
    /// The tunnel is gone; the session is not. Packets to it are dropped until another one attaches.
    Lost {
        /// Whose.
        session: SessionId,
        /// Why.
        reason: LossReason,
    },
    /// The Client broke the tunnel's protocol; its tunnel is closed, its session must end (`protocolError`).
    ProtocolViolation {
        /// Whose.
        session: SessionId,
        /// What it sent.
        violation: Violation,
    },
    /// A worker has stopped though nobody asked it to. Its sessions carry nothing any more.
    WorkerStopped {
        /// Number of the worker.
        worker: usize,
    },
}

/// Who wants to know. Called on worker threads: it must not wait.
pub trait TunnelEvents: Send + Sync + 'static {
    /// Takes notice of an event.
    fn tunnel_event(&self, event: TunnelEvent);
}

impl<F: Fn(TunnelEvent) + Send + Sync + 'static> TunnelEvents for F {
    fn tunnel_event(&self, event: TunnelEvent) {
        self(event);
    }
}
