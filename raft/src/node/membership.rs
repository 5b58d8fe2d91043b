//! Who votes: learners, voters, leadership. Orders go to the leader, from whichever node they are given on.
//!
//! This is the Raft group alone. Who is a member of the Collective is in the state; both are changed by whoever admits
//! or removes a Controller: recorded, then learner, then voter; and the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, EmptyNode};
use ringwall_protocol::id::{LogIndex, NodeId};
use tokio::time::{Instant, timeout, timeout_at};

use super::Node;
use crate::network::link::LinkError;
use crate::network::message::{Reconfigure, Request, RequestRefusal, Response};
use crate::types::Types;

/// For a change of the group to be committed: two entries and a quorum each.
const TIME: Duration = Duration::from_secs(10);
/// Entries that a learner may be behind when it gets a vote.
const MAX_BEHIND: u64 = 1_000;

/// Why the group was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconfigureError {
    /// No leader with a quorum was found in time. If the order reached one, it may still take effect; repeating is safe.
    #[error("no quorum; last known leader: {}", .leader.map_or_else(|| "none".to_owned(), |node| node.to_string()))]
    NoQuorum {
        /// Who may know more.
        leader: Option<NodeId>,
    },
    /// The order makes no sense now: not a learner, too far behind, the last voter, another change under way.
    #[error("{0}")]
    Refused(String),
}

impl Node {
    /// Lets a node receive entries, without a vote. Already in the group: nothing changes.
    ///
    /// # Errors
    /// [`ReconfigureError`].
    pub async fn add_learner(&self, node: NodeId) -> Result<(), ReconfigureError> {
        self.reconfigure(Reconfigure::AddLearner(node)).await
    }

    /// Gives a learner a vote, if it has acknowledged entries and is at most 1,000 behind.
    ///
    /// # Errors
    /// [`ReconfigureError`].
    pub async fn promote(&self, node: NodeId) -> Result<(), ReconfigureError> {
        self.reconfigure(Reconfigure::Promote(node)).await
    }

    /// Takes a node, voter or learner, out of the group. A leader that is removed hands over first. The last voter stays.
    ///
    /// # Errors
    /// [`ReconfigureError`].
    pub async fn remove_voter(&self, node: NodeId) -> Result<(), ReconfigureError> {
        self.reconfigure(Reconfigure::Remove(node)).await
    }

    /// Makes another voter the leader, and returns when it is.
    ///
    /// # Errors
    /// [`ReconfigureError`].
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), ReconfigureError> {
        self.reconfigure(Reconfigure::TransferTo(to)).await?;
        match timeout(TIME, self.until_leads(to)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(ReconfigureError::NoQuorum { leader: self.leader() }),
        }
    }

    async fn until_leads(&self, node: NodeId) {
        while self.leader() != Some(node) {
            self.news_of_leader().await;
        }
    }

    async fn reconfigure(&self, change: Reconfigure) -> Result<(), ReconfigureError> {
        let deadline = Instant::now() + TIME;
        loop {
            let refusal = match self.leader() {
                Some(leader) if leader != self.id() => {
                    match self.ask_leader(leader, &Request::Reconfigure(change), deadline).await {
                        Ok(Response::Reconfigured) => return Ok(()),
                        Ok(Response::Refused(refusal)) => refusal,
                        Ok(_) | Err(LinkError::NoAnswer { .. } | LinkError::Unreachable { .. }) => {
                            RequestRefusal::Unknown
                        }
                    }
                }
                _ => match timeout_at(deadline, self.reconfigure_as_leader(change)).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(refusal)) => refusal,
                    Err(_) => RequestRefusal::Unknown,
                },
            };
            if let RequestRefusal::Refused(why) = refusal {
                return Err(ReconfigureError::Refused(why));
            }
            if Instant::now() >= deadline {
                return Err(ReconfigureError::NoQuorum { leader: self.leader() });
            }
            self.news_of_leader().await;
        }
    }

    /// Carries out a change if this node leads.
    pub(crate) async fn reconfigure_as_leader(&self, change: Reconfigure) -> Result<(), RequestRefusal> {
        match change {
            Reconfigure::AddLearner(node) => self.add(node).await,
            Reconfigure::Promote(node) => self.give_vote(node).await,
            Reconfigure::Remove(node) => self.remove(node).await,
            Reconfigure::TransferTo(node) => self.hand_over(node).await,
        }
    }

    async fn add(&self, node: NodeId) -> Result<(), RequestRefusal> {
        if self.status().has_member(node) && self.leader() == Some(self.id()) {
            return Ok(());
        }
        let nodes = BTreeMap::from([(node.0, EmptyNode::new())]);
        self.change(ChangeMembers::AddNodes(nodes)).await
    }

    async fn give_vote(&self, node: NodeId) -> Result<(), RequestRefusal> {
        let status = self.status();
        if status.leader == Some(self.id()) {
            if status.voters.contains(&node) {
                return Ok(());
            }
            let progress = status.followers.get(&node).map(|progress| (progress.matched, progress.behind));
            match progress {
                None => return Err(RequestRefusal::Refused(format!("node {node} is no learner"))),
                // In a log of fewer entries than it may be behind, one that nobody has ever reached is not far behind.
                Some((LogIndex(0), _)) => {
                    return Err(RequestRefusal::Refused(format!("node {node} has acknowledged no entry yet")));
                }
                Some((_, behind)) if behind > MAX_BEHIND => {
                    return Err(RequestRefusal::Refused(format!("node {node} is {behind} entries behind")));
                }
                Some(_) => {}
            }
        }
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([node.0]))).await
    }

    async fn remove(&self, node: NodeId) -> Result<(), RequestRefusal> {
        let status = self.status();
        if status.leader != Some(self.id()) {
            return Err(RequestRefusal::NotLeader(status.leader));
        }
        if !status.has_member(node) {
            return Ok(());
        }
        if !status.voters.contains(&node) {
            return self.change(ChangeMembers::RemoveNodes(BTreeSet::from([node.0]))).await;
        }
        if status.voters.len() == 1 {
            return Err(RequestRefusal::Refused("the last voter stays".to_owned()));
        }
        if node == self.id() {
            let next = status.nearest_voter(node).ok_or(RequestRefusal::Unknown)?;
            self.hand_over(next).await?;
            // Whoever asked asks again, and reaches the new leader.
            return Err(RequestRefusal::NotLeader(Some(next)));
        }
        self.change(ChangeMembers::RemoveVoters(BTreeSet::from([node.0]))).await
    }

    async fn hand_over(&self, to: NodeId) -> Result<(), RequestRefusal> {
        let status = self.status();
        match status.leader {
            Some(leader) if leader == to => Ok(()),
            Some(leader) if leader == self.id() => {
                if !status.voters.contains(&to) {
                    return Err(RequestRefusal::Refused(format!("node {to} is no voter")));
                }
                self.inner.raft.trigger().transfer_leader(to.0).await.map_err(|_| RequestRefusal::Stopped)
            }
            other => Err(RequestRefusal::NotLeader(other)),
        }
    }

    async fn change(&self, change: ChangeMembers<u64, EmptyNode>) -> Result<(), RequestRefusal> {
        match self.inner.raft.change_membership(change, false).await {
            // What the next order is judged by is published after the answer: whoever gives one now must not meet the former
            // members.
            Ok(done) => {
                let published = self.inner.raft.wait(Some(TIME));
                let published = published.applied_index_at_least(Some(done.log_id.index), "members").await;
                published.map(drop).map_err(|_| RequestRefusal::Unknown)
            }
            Err(RaftError::Fatal(_)) => Err(RequestRefusal::Stopped),
            Err(RaftError::APIError(why)) => Err(refusal(&why)),
        }
    }
}

fn refusal(why: &ClientWriteError<Types>) -> RequestRefusal {
    use openraft::errors::ChangeMembershipError;
    match why {
        // Another change, or this one from an earlier attempt, is on its way: it will be over soon.
        ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_),
        ) => RequestRefusal::Unknown,
        other => super::propose::refusal_of(other),
    }
}
