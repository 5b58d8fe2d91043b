//! Peers: how nodes of the group talk.
//!
//! Streams come from outside, already authenticated ([`PeerConnector`], [`crate::Node::serve_peer`]); here they carry
//! frames of requests and answers, many in flight at a time. Everything read has a limit in size and time.

pub(crate) mod adapter;
pub(crate) mod frame;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod server;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_protocol::id::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};

use link::Link;

/// A stream to or from a peer.
pub trait PeerStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> PeerStream for S {}

/// A connection attempt under way.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn PeerStream>>> + Send + 'a>>;

/// Opens streams to other nodes: finds the address, knocks, does TLS, and makes sure that it is that node.
pub trait PeerConnector: Send + Sync + 'static {
    /// A new stream to `peer`. Dropping the future ends the attempt; a deadline is set by the caller.
    fn connect(&self, peer: NodeId) -> Connecting<'_>;
}

/// The links to all peers, made when first needed.
pub(crate) struct Peers {
    connector: Arc<dyn PeerConnector>,
    links: Mutex<BTreeMap<NodeId, Arc<Link>>>,
}

impl Peers {
    pub(crate) fn new(connector: Arc<dyn PeerConnector>) -> Self {
        Self { connector, links: Mutex::new(BTreeMap::new()) }
    }

    /// The link that all small messages to `peer` share.
    pub(crate) fn link(&self, peer: NodeId) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(links.entry(peer).or_insert_with(|| self.separate_link(peer)))
    }

    /// A link of its own, for bulk.
    pub(crate) fn separate_link(&self, peer: NodeId) -> Arc<Link> {
        Arc::new(Link::new(peer, Arc::clone(&self.connector)))
    }
}
