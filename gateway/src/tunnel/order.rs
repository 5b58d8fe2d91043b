//! What a tunnel worker is told to do.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::id::SessionId;
use tokio::sync::oneshot;

use super::AcceptedTunnel;
use super::grants::Gate;

/// What a worker is told to do.
pub(super) enum Order {
    /// Own a session.
    Open { session: SessionId, addresses: SessionAddresses, gate: Arc<Gate> },
    /// Pass packets to this address, which come on our queue, on to their owner.
    PassOn { address: IpAddr, owner: usize },
    /// Find out which session a new connection belongs to.
    Admit(Box<AcceptedTunnel>),
    /// Carry a session's tunnel from now on.
    Attach(Box<Attachment>),
    /// Forget a session and close its tunnel.
    Cut { session: SessionId, done: oneshot::Sender<()> },
    /// End.
    Stop,
}

/// A connection that proved which session it belongs to.
pub(super) struct Attachment {
    pub(super) session: SessionId,
    pub(super) stream: TcpStream,
    pub(super) connection: rustls::Connection,
    pub(super) peer: SocketAddr,
}
