//! Proposing: to the leader, wherever it is, again and again until the deadline, once in effect.
//!
//! Repeating is always safe, because the state remembers command ids. What cannot be told after the deadline is said
//! to be unknown, never guessed.

use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{ClientWriteError, ForwardToLeader, RaftError};
use ringwall_protocol::id::{LogIndex, NodeId};
use tokio::time::{Instant, timeout_at};

use super::Node;
use crate::codec;
use crate::network::link::LinkError;
use crate::network::message::{Request, RequestRefusal, Response};
use crate::state::command::CommandEnvelope;
use crate::state::reply::{Outcome, Reply};
use crate::types::{Answer, Proposal, Types};

/// Longest encoded command: an import of ten thousand objects. Leaves room for its envelope in a frame.
pub(crate) const MAX_COMMAND: usize = 8 * 1024 * 1024;
/// Commands proposed here and not yet answered; more are refused as busy.
pub(crate) const MAX_PROPOSALS: usize = 1_024;
/// How long a retry waits at most for news of a leader.
const RETRY: Duration = Duration::from_millis(20);

/// A command that was carried out, or had been before under the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Index of the entry that was carried out.
    pub index: LogIndex,
    /// Its answer; a refusal is one.
    pub reply: Reply,
}

/// Why there is no answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was appended: no leader with a quorum was found in time.
    #[error("no quorum; last known leader: {}", .leader.map_or_else(|| "none".to_owned(), |node| node.to_string()))]
    NoQuorum {
        /// Who may know more.
        leader: Option<NodeId>,
    },
    /// It may be applied, now or later. Ask again with the same command id.
    #[error("the outcome is unknown; propose it again with the same command id")]
    UnknownOutcome,
    /// `MAX_PROPOSALS` are under way.
    #[error("{MAX_PROPOSALS} proposals are under way")]
    Busy,
    /// The command is too long.
    #[error("the command takes {got} bytes, at most {MAX_COMMAND}")]
    TooLong {
        /// Its encoded size.
        got: usize,
    },
    /// The node is ending or broken.
    #[error("the node has stopped")]
    Stopped,
}

/// One attempt that did not succeed.
enum Miss {
    /// Nothing was appended.
    Clean,
    /// Something may have been.
    Unclear,
    /// There is no use in trying again.
    Final(ProposeError),
}

impl Node {
    /// Proposes a command and waits until it is applied, also here: afterwards [`Node::state`] is at or above the
    /// index, unless the deadline came first.
    ///
    /// # Errors
    /// [`ProposeError`]; a refusal by the state is no error but a [`Reply`].
    pub async fn propose(&self, envelope: CommandEnvelope) -> Result<Applied, ProposeError> {
        let Ok(_permit) = self.inner.proposals.try_acquire() else { return Err(ProposeError::Busy) };
        let got = codec::encode(&envelope).map_or(usize::MAX, |bytes| bytes.len());
        if got > MAX_COMMAND {
            return Err(ProposeError::TooLong { got });
        }
        let deadline = Instant::now() + self.inner.config.proposal_deadline;
        let envelope = Arc::new(envelope);
        let mut unclear = false;
        loop {
            match self.attempt(&envelope, deadline).await {
                Ok(outcome) => {
                    self.wait_applied(outcome.index, deadline).await;
                    return Ok(Applied { index: outcome.index, reply: outcome.reply });
                }
                Err(Miss::Final(why)) if !unclear => return Err(why),
                Err(Miss::Final(_) | Miss::Unclear) => unclear = true,
                Err(Miss::Clean) => {}
            }
            if Instant::now() + RETRY >= deadline {
                let leader = self.leader();
                return Err(if unclear { ProposeError::UnknownOutcome } else { ProposeError::NoQuorum { leader } });
            }
            self.news_of_leader().await;
        }
    }

    async fn attempt(&self, envelope: &Arc<CommandEnvelope>, deadline: Instant) -> Result<Outcome, Miss> {
        let leader = match self.leader() {
            Some(leader) if leader != self.id() => leader,
            _ => return self.append(envelope, deadline).await.map_err(Miss::from),
        };
        let request = Request::Propose(Arc::clone(envelope));
        match self.ask_leader(leader, &request, deadline).await {
            Ok(Response::Applied(outcome)) => Ok(outcome),
            Ok(Response::Refused(refusal)) => Err(refusal.into()),
            Ok(_) | Err(LinkError::NoAnswer { .. }) => Err(Miss::Unclear),
            Err(LinkError::Unreachable { .. }) => Err(Miss::Clean),
        }
    }

    /// Appends as leader and waits until it is applied.
    async fn append(&self, envelope: &Arc<CommandEnvelope>, deadline: Instant) -> Result<Outcome, RequestRefusal> {
        let write = self.inner.raft.client_write(Proposal(Arc::clone(envelope)));
        match timeout_at(deadline, write).await {
            Err(_) => Err(RequestRefusal::Unknown),
            Ok(Ok(response)) => match response.data {
                Answer(Some(outcome)) => Ok(outcome),
                Answer(None) => Err(RequestRefusal::Refused("the entry held no command".to_owned())),
            },
            Ok(Err(RaftError::Fatal(_))) => Err(RequestRefusal::Stopped),
            Ok(Err(RaftError::APIError(why))) => Err(refusal_of(&why)),
        }
    }

    /// A peer forwarded a command: appends it if this node leads, and does not pass it on.
    pub(crate) async fn propose_as_leader(&self, envelope: Arc<CommandEnvelope>) -> Result<Outcome, RequestRefusal> {
        let Ok(_permit) = self.inner.proposals.try_acquire() else { return Err(RequestRefusal::Busy) };
        self.append(&envelope, Instant::now() + self.inner.config.proposal_deadline).await
    }

    /// Asks the leader, but not longer than it is believed to lead: one that fell silent may never answer.
    pub(super) async fn ask_leader(
        &self,
        leader: NodeId,
        request: &Request,
        deadline: Instant,
    ) -> Result<Response, LinkError> {
        use openraft::async_runtime::WatchReceiver;
        let mut metrics = self.inner.raft.server_metrics();
        let deposed = async {
            while metrics.borrow_watched().current_leader == Some(leader.0) {
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        let link = self.inner.peers.link(leader);
        tokio::select! {
            answer = link.ask(request, deadline) => answer,
            () = deposed => Err(LinkError::NoAnswer { peer: leader, why: "another leads".to_owned() }),
        }
    }

    /// Waits until this node has applied `index`; gives up at the deadline.
    pub(super) async fn wait_applied(&self, index: LogIndex, deadline: Instant) -> bool {
        let mut applied = self.watch_applied();
        let reached = applied.wait_for(|applied| *applied >= index);
        matches!(timeout_at(deadline, reached).await, Ok(Ok(_)))
    }

    /// Waits for a change in the group, not longer than [`RETRY`].
    pub(super) async fn news_of_leader(&self) {
        use openraft::async_runtime::WatchReceiver;
        let mut metrics = self.inner.raft.server_metrics();
        let _ = tokio::time::timeout(RETRY, metrics.changed()).await;
    }
}

pub(super) fn refusal_of(why: &ClientWriteError<Types>) -> RequestRefusal {
    match why {
        ClientWriteError::ForwardToLeader(ForwardToLeader { leader_id, .. }) => {
            RequestRefusal::NotLeader(leader_id.map(NodeId))
        }
        ClientWriteError::LogEntryDiscarded(_) => RequestRefusal::Unknown,
        other => RequestRefusal::Refused(other.to_string()),
    }
}

impl From<RequestRefusal> for Miss {
    fn from(refusal: RequestRefusal) -> Self {
        match refusal {
            RequestRefusal::NotLeader(_) | RequestRefusal::Stopped => Self::Clean,
            RequestRefusal::Unknown => Self::Unclear,
            RequestRefusal::Busy => Self::Final(ProposeError::Busy),
            RequestRefusal::Refused(_) => Self::Final(ProposeError::Stopped),
        }
    }
}
