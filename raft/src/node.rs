//! A node of the Raft group: the one handle that the rest of a Controller uses.
//!
//! ```text
//! propose   change the agreed state, on whichever node; exactly once for each command id
//! read      the state, no older than any write that was answered before, on whichever node
//! state     the state that this node has now, perhaps behind
//! changes_after / watch_applied   what Gateways must hear, in order
//! ```
//! A node never decides by believing to lead: every proposal and read is confirmed by a quorum.

mod membership;
mod propose;
mod read;
mod status;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::EmptyNode;
use openraft::errors::{InitializeError, RaftError};
use ringwall_protocol::id::{CommandId, LogIndex, NodeId};
use ringwall_protocol::time::UnixMillis;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::config::NodeConfig;
use crate::data_dir::{self, DataDirError};
use crate::log_store::LogStore;
use crate::machine::Machine;
use crate::machine::published::Published;
use crate::network::adapter::Network;
use crate::network::message::{Request, Response};
use crate::network::server::{self, PeerError};
use crate::network::{PeerConnector, PeerStream, Peers};
use crate::snapshot::Snapshots;
use crate::state::collective::Founding;
use crate::state::command::CommandEnvelope;
use crate::state::{Change, State};
use crate::types::Types;

pub use membership::ReconfigureError;
pub(crate) use propose::MAX_PROPOSALS;
pub use propose::{Applied, ProposeError};
pub use read::ReadError;
pub use status::{Role, Status};

/// How long an orderly end waits for the log to be closed.
const CLOSE_TIME: Duration = Duration::from_secs(10);

type Raft = openraft::Raft<Types, Machine>;

/// A running node; clones are handles to the same one.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    config: NodeConfig,
    raft: Raft,
    published: Arc<Published>,
    peers: Arc<Peers>,
    snapshots: Snapshots,
    proposals: Semaphore,
    closed: Mutex<Option<oneshot::Receiver<()>>>,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its directory is not used.
    #[error("data directory is refused")]
    DataDir(#[from] DataDirError),
    /// Heartbeats and elections do not fit together.
    #[error("timing is invalid: {0}")]
    Timing(String),
    /// The log and the snapshot do not make a state.
    #[error("the stored state cannot be restored: {0}")]
    Restore(String),
}

/// Why a Collective was not founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// The group has begun already.
    #[error("this node has a log already")]
    NotEmpty,
    /// The founding was not committed.
    #[error("the founding was not agreed")]
    Propose(#[from] ProposeError),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl Node {
    /// Starts a node on the directory of its configuration: restores snapshot and log, and takes part in the group.
    /// Must be called on a multi-thread tokio runtime; the node's tasks live there.
    ///
    /// # Errors
    /// [`StartError`], saying what is wrong with which file.
    pub async fn start(config: NodeConfig, connector: Arc<dyn PeerConnector>) -> Result<Self, StartError> {
        let raft_config = config.for_openraft().map_err(|why| StartError::Timing(why.to_string()))?;
        data_dir::check(&config.data_dir, &config.identity)?;
        let snapshots = Snapshots::open(&data_dir::snapshots(&config.data_dir))?;
        let newest = snapshots.newest().map_err(|why| StartError::Restore(why.to_string()))?;
        let covered = newest.and_then(|(meta, _)| meta.last_log_id).map(|last| last.index);
        let (log, closed) = LogStore::open(&data_dir::log(&config.data_dir), &config.identity, covered)?;
        let published = Arc::new(Published::new());
        let peers = Arc::new(Peers::new(connector));
        let machine = Machine::new(Arc::clone(&published), snapshots.clone());
        let network = Network(Arc::clone(&peers));
        let raft = Raft::new(config.identity.node.0, raft_config, network, log, machine)
            .await
            .map_err(|why| StartError::Restore(why.to_string()))?;
        tracing::info!(node = %config.identity.node, applied = %published.state().index(), "raft node started");
        let inner = Inner {
            config,
            raft,
            published,
            peers,
            snapshots,
            proposals: Semaphore::new(MAX_PROPOSALS),
            closed: Mutex::new(Some(closed)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins a new group with this node as its only voter, and founds the Collective. Repeated with the same command
    /// id after an unknown outcome, it goes on where it was.
    ///
    /// # Errors
    /// [`FoundError::NotEmpty`] on a node that has a log and no trace of this founding.
    pub async fn initialize(&self, founding: Founding, id: CommandId, at: UnixMillis) -> Result<Applied, FoundError> {
        let me = std::collections::BTreeMap::from([(self.id().0, EmptyNode::new())]);
        match self.inner.raft.initialize(me).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                let state = self.state();
                if state.collective().is_some() && state.results().find(id).is_none() {
                    return Err(FoundError::NotEmpty);
                }
            }
            Err(_) => return Err(FoundError::Stopped),
        }
        let envelope = CommandEnvelope::new(id, self.id(), at, founding.into());
        Ok(self.propose(envelope).await?)
    }

    /// Which node it is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.inner.config.identity.node
    }

    /// The state that this node has now. It may be behind the group; never decide anything by it that must be true now.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.inner.published.state()
    }

    /// The state as it was at an index among the last thousand entries.
    #[must_use]
    pub fn state_at(&self, index: LogIndex) -> Option<Arc<State>> {
        self.inner.published.state_at(index)
    }

    /// Follows the applied index. When it shows N, [`Node::changes_after`] knows every change up to N.
    #[must_use]
    pub fn watch_applied(&self) -> watch::Receiver<LogIndex> {
        self.inner.published.watch_applied()
    }

    /// What Gateways hear of entries above `index`, in order; entries of which nobody hears are left out. `None` if
    /// that far back is no longer kept: send the full view.
    #[must_use]
    pub fn changes_after(&self, index: LogIndex) -> Option<Vec<Change>> {
        self.inner.published.changes_after(index)
    }

    /// Answers a peer on a stream whose far end was proved to be `peer`, until the stream ends.
    ///
    /// # Errors
    /// [`PeerError`] if the peer broke the protocol or is no longer a member.
    pub async fn serve_peer(&self, stream: impl PeerStream, peer: NodeId) -> Result<(), PeerError> {
        server::serve(self.clone(), stream, peer).await
    }

    /// What the clock of another node shows, over the link that Raft has to it anyway. `None` without an answer in time.
    pub async fn clock_of(&self, peer: NodeId, within: Duration) -> Option<UnixMillis> {
        let deadline = tokio::time::Instant::now() + within;
        match self.inner.peers.link(peer).ask(&Request::Clock, deadline).await {
            Ok(Response::Clock(time)) => Some(time),
            _ => None,
        }
    }

    /// What this node's own clock shows.
    pub(crate) fn clock(&self) -> UnixMillis {
        (self.inner.config.clock)()
    }

    /// Ends the node in good order: its tasks stop, its log is closed, the directory can be opened again.
    pub async fn shutdown(&self) {
        if let Err(why) = self.inner.raft.shutdown().await {
            tracing::error!(%why, "raft did not end in good order");
        }
        let closed = self.inner.closed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(closed) = closed
            && tokio::time::timeout(CLOSE_TIME, closed).await.is_err()
        {
            tracing::error!("the raft log is still open");
        }
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.inner.raft
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.inner.snapshots
    }

    /// Who leads, as far as this node knows.
    fn leader(&self) -> Option<NodeId> {
        use openraft::async_runtime::WatchReceiver;
        let metrics = self.inner.raft.metrics();
        let leader = metrics.borrow_watched().current_leader;
        leader.map(NodeId)
    }

    /// The voters, as far as this node knows.
    fn voters(&self) -> BTreeSet<NodeId> {
        self.inner.raft.voter_ids().map(NodeId).collect()
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.id()).field("applied", &self.state().index()).finish()
    }
}
