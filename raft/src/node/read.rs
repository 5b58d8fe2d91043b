//! Linearizable reads, on the leader and on followers (ReadIndex, Raft §6.4).

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use ringwall_protocol::id::{LogIndex, NodeId};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

use super::Node;
use crate::network::message::{Request, RequestRefusal, Response};
use crate::state::State;

/// Why a read cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader confirmed in time that it leads.
    #[error("no quorum; last known leader: {}", .leader.map_or_else(|| "none".to_owned(), |node| node.to_string()))]
    NoQuorum {
        /// Who may know more.
        leader: Option<NodeId>,
    },
    /// The index is confirmed, but this node did not reach it in time.
    #[error("this node is behind: it applied {applied}, the read needs {wanted}")]
    Behind {
        /// Where it is.
        applied: LogIndex,
        /// Where it must be.
        wanted: LogIndex,
    },
}

impl Node {
    /// The state, at or above every index that was answered before the call, anywhere in the group.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(&self) -> Result<Arc<State>, ReadError> {
        let deadline = Instant::now() + self.inner.config.read_deadline;
        let wanted = self.read_index_until(deadline).await?;
        if self.wait_applied(wanted, deadline).await {
            return Ok(self.state());
        }
        Err(ReadError::Behind { applied: self.state().index(), wanted })
    }

    /// An index at or above every one that was answered before the call; confirmed by a quorum during the call.
    ///
    /// # Errors
    /// [`ReadError::NoQuorum`].
    pub async fn read_index(&self) -> Result<LogIndex, ReadError> {
        self.read_index_until(Instant::now() + self.inner.config.read_deadline).await
    }

    async fn read_index_until(&self, deadline: Instant) -> Result<LogIndex, ReadError> {
        loop {
            if let Some(index) = self.attempt_read_index(deadline).await {
                return Ok(index);
            }
            if Instant::now() >= deadline {
                return Err(ReadError::NoQuorum { leader: self.leader() });
            }
            self.news_of_leader().await;
        }
    }

    async fn attempt_read_index(&self, deadline: Instant) -> Option<LogIndex> {
        match self.leader() {
            Some(leader) if leader != self.id() => match self.ask_leader(leader, &Request::ReadIndex, deadline).await {
                Ok(Response::ReadIndex(index)) => Some(index),
                _ => None,
            },
            _ => timeout_at(deadline, self.read_index_as_leader()).await.ok()?.ok(),
        }
    }

    /// Confirms by a quorum that this node leads, and gives the index up to which a read must wait.
    pub(crate) async fn read_index_as_leader(&self) -> Result<LogIndex, RequestRefusal> {
        match self.inner.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => Ok(LogIndex(linearizer.read_log_id().index())),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
                Err(RequestRefusal::NotLeader(to.leader_id.map(NodeId)))
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => Err(RequestRefusal::NotLeader(None)),
            Err(RaftError::Fatal(_)) => Err(RequestRefusal::Stopped),
        }
    }
}
