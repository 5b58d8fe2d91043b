//! What the feed needs of the Gateway: connections to Controllers, and a place that survives a restart.

use actix::Addr;
use ringwall_protocol::id::{Incarnation, NodeId};

use super::actor::Feed;

/// A Controller that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which; its key is checked against the members.
    pub node: NodeId,
    /// `host:port` of its peer listener, tried in order.
    pub addresses: Vec<String>,
}

/// Names one connection attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Makes connections.
pub trait Dialer: Send + Sync + 'static {
    /// Begins to connect and returns. The outcome comes as [`Connected`](super::message::Connected), then frames as
    /// [`Arrived`](super::message::Arrived), one awaited after the other; the end, or a failure, as
    /// [`Lost`](super::message::Lost).
    fn dial(&self, connection: ConnectionId, to: Candidate, feed: Addr<Feed>);
    /// Keeps the Collective's incarnation on disk: a lower epoch is refused for ever (T19).
    fn remember(&self, incarnation: Incarnation);
}
