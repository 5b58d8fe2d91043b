//! What a node knows of itself and its group, for operators and health checks. Nothing here is confirmed by a quorum.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::{Instant, ServerState};
use ringwall_protocol::id::{LogIndex, NodeId};

use super::Node;

/// A node and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which node.
    pub node: NodeId,
    /// What it does.
    pub role: Role,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The term.
    pub term: u64,
    /// Applied up to here.
    pub applied: LogIndex,
    /// Committed up to here, as far as it knows.
    pub(crate) committed: LogIndex,
    /// Last entry of its log.
    pub(crate) last: LogIndex,
    /// Its newest snapshot.
    pub snapshot: Option<LogIndex>,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who gets entries without a vote.
    pub learners: BTreeSet<NodeId>,
    /// On the leader: how long ago a quorum last acknowledged it. Above an election timeout it should be doubted.
    pub(crate) quorum_acknowledged: Option<Duration>,
    /// On the leader: how far the others are.
    pub followers: BTreeMap<NodeId, Progress>,
    /// The node works; false after a failure of its storage.
    pub(crate) running: bool,
}

/// What a node does in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Gets entries, has no vote.
    Learner,
    /// Follows a leader.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads, or believes to.
    Leader,
    /// Has stopped.
    Stopped,
}

/// How far a follower is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Last entry that it is known to have.
    pub matched: LogIndex,
    /// Entries that it lacks.
    pub behind: u64,
}

impl Node {
    /// What this node knows now.
    #[must_use]
    pub fn status(&self) -> Status {
        let metrics = self.inner.raft.metrics().borrow_watched().clone();
        let voters = self.voters();
        let last = metrics.last_log_index.unwrap_or(0);
        let progress = |matched: u64| Progress { matched: LogIndex(matched), behind: last.saturating_sub(matched) };
        let followers = metrics
            .replication
            .iter()
            .flatten()
            .map(|(node, matched)| (NodeId(*node), progress(matched.as_ref().map_or(0, |log_id| log_id.index))));
        Status {
            node: self.id(),
            role: match metrics.state {
                ServerState::Learner => Role::Learner,
                ServerState::Follower => Role::Follower,
                ServerState::Candidate => Role::Candidate,
                ServerState::Leader => Role::Leader,
                ServerState::Shutdown => Role::Stopped,
            },
            leader: metrics.current_leader.map(NodeId),
            term: metrics.current_term,
            applied: self.state().index(),
            committed: LogIndex(metrics.local_committed.map_or(0, |log_id| log_id.index)),
            last: LogIndex(last),
            snapshot: metrics.snapshot.map(|log_id| LogIndex(log_id.index)),
            learners: self.inner.raft.learner_ids().map(NodeId).collect(),
            quorum_acknowledged: metrics.last_quorum_acked.map(|acknowledged| acknowledged.elapsed()),
            followers: followers.filter(|(node, _)| *node != self.id()).collect(),
            running: metrics.running_state.is_ok(),
            voters,
        }
    }
}

impl Node {
    /// Waits until this node can no longer keep what it acknowledges, because its log or its snapshots cannot be written or
    /// read, and answers why. It takes no part in the group from then on; what it acknowledged before is on its disk. Never
    /// returns for a node that was shut down.
    pub async fn failed(&self) -> String {
        let mut metrics = self.inner.raft.metrics();
        loop {
            let state = metrics.borrow_watched().running_state.clone();
            match state {
                Err(Fatal::Stopped) => std::future::pending().await,
                Err(why) => return why.to_string(),
                Ok(()) => {}
            }
            if metrics.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Status {
    /// Whether a node is in the group at all.
    #[must_use]
    pub fn has_member(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.learners.contains(&node)
    }

    /// The voter, apart from `node`, that lacks least.
    pub(super) fn nearest_voter(&self, node: NodeId) -> Option<NodeId> {
        let others = self.voters.iter().filter(|voter| **voter != node);
        others.copied().min_by_key(|voter| self.followers.get(voter).map_or(u64::MAX, |progress| progress.behind))
    }
}
