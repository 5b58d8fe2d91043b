//! What nodes ask each other, and answer.

use std::fmt;
use std::sync::Arc;

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use ringwall_protocol::id::{LogIndex, NodeId};
use ringwall_protocol::time::UnixMillis;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::state::command::CommandEnvelope;
use crate::state::reply::Outcome;
use crate::types::{SnapshotMeta, Types, Vote};

/// A request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Raft: entries, or a heartbeat.
    Append(AppendEntriesRequest<Types>),
    /// Raft: an election.
    Vote(VoteRequest<Types>),
    /// Raft: would you vote?
    PreVote(VoteRequest<Types>),
    /// Raft: become leader.
    TransferLeader(TransferLeaderRequest<Types>),
    /// A snapshot begins on this stream.
    SnapshotBegin(SnapshotHead),
    /// Bytes of it.
    SnapshotChunk(Chunk),
    /// It is complete: install it.
    SnapshotEnd,
    /// To the leader: append this command.
    Propose(Arc<CommandEnvelope>),
    /// To the leader: confirm that you lead, and say up to where a read must wait.
    ReadIndex,
    /// To the leader: change the group.
    Reconfigure(Reconfigure),
    /// What does your clock show?
    Clock,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Append(AppendEntriesResponse<Types>),
    Vote(VoteResponse<Types>),
    TransferLeader(TransferLeaderResponse<Types>),
    ChunkTaken,
    Snapshot(SnapshotResponse<Types>),
    Applied(Outcome),
    ReadIndex(LogIndex),
    Reconfigured,
    Clock(UnixMillis),
    Refused(RequestRefusal),
}

/// What comes before a snapshot's bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    /// The leader's vote.
    pub(crate) vote: Vote,
    /// Where the snapshot stands.
    pub(crate) meta: SnapshotMeta,
    /// Bytes that follow.
    pub(crate) length: u64,
}

/// Bytes of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) offset: u64,
    pub(crate) bytes: Blob,
}

/// A change of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reconfigure {
    /// The node gets entries, and has no vote.
    AddLearner(NodeId),
    /// The learner gets a vote.
    Promote(NodeId),
    /// The node is no longer in the group.
    Remove(NodeId),
    /// The voter is to lead.
    TransferTo(NodeId),
}

/// Why a request was not done here and now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum RequestRefusal {
    /// Another leads, or nobody is known to. Nothing was appended.
    #[error("not the leader")]
    NotLeader(Option<NodeId>),
    /// The command may or may not be applied.
    #[error("the outcome is unknown")]
    Unknown,
    /// Too much is in flight.
    #[error("busy")]
    Busy,
    /// The node is ending or broken.
    #[error("the node has stopped")]
    Stopped,
    /// Against the rules, and will stay so.
    #[error("{0}")]
    Refused(String),
}

/// Bytes that are encoded as bytes, not as a list of numbers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Blob, A::Error> {
                Err(Error::custom("expected bytes, got a list"))
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}
