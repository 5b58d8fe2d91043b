//! The one place where openraft learns our types. Nothing of it is visible outside this package.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::state::command::CommandEnvelope;
use crate::state::reply::Outcome;

/// What a log entry carries; shared, because log, cache, replication and machine hold it at the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Proposal(pub(crate) Arc<CommandEnvelope>);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What applying an entry answers: nothing for entries without command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer(pub(crate) Option<Outcome>);

openraft::declare_raft_types!(
    pub(crate) Types:
        D = Proposal,
        R = Answer,
        NodeId = u64,
        Node = openraft::EmptyNode,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Entry = openraft::alias::EntryOf<Types>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type Membership = openraft::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
