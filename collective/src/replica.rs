//! The replicated state as services use it: read at a current index, changed by proposals in this node's name.
//!
//! Owns the handle of the Raft node, the clock that stamps proposals, and the key of sealed secrets (`vault`). Promises that a state from [`Replica::current`]
//! contains everything that was committed before the call, and that a proposal repeated under one id within 24 hours
//! happens once. What is proposed, and who may, is left to the services.

pub(crate) mod key_ring;
pub(crate) mod key_rotation;
pub(crate) mod vault;

use std::sync::Arc;

use ringwall_protocol::id::{CommandId, LogIndex, NodeId};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::{Applied, Command, CommandEnvelope, Node, ProposeError, Reply, RequestDigest, State, Status};
use tokio::sync::watch;
use uuid::Uuid;

use crate::refusal::Refusal;

/// This node's part in the Collective.
#[derive(Debug, Clone)]
pub struct Replica {
    node: Node,
    clock: fn() -> UnixMillis,
}

impl Replica {
    /// The part of `node`, whose proposals are stamped by `clock`.
    pub(crate) const fn new(node: Node, clock: fn() -> UnixMillis) -> Self {
        Self { node, clock }
    }

    /// This node's number.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.node.id()
    }

    /// The Raft node, for what is no service's: membership of the group, peers, changes as they come.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The time, for what is decided after waiting for others.
    pub(crate) fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// The state as it is applied here, which may be behind.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.node.state()
    }

    /// How this node stands in the Raft group.
    #[must_use]
    pub fn status(&self) -> Status {
        self.node.status()
    }

    /// Hears of every index that is applied here.
    pub(crate) fn watch_applied(&self) -> watch::Receiver<LogIndex> {
        self.node.watch_applied()
    }

    /// A state at least as new as everything that was committed when this was called (ReadIndex).
    ///
    /// # Errors
    /// `noQuorum`.
    pub async fn current(&self) -> Result<Arc<State>, Refusal> {
        self.node.read().await.map_err(|error| {
            tracing::debug!(%error, "no linearizable read");
            Refusal::no_quorum()
        })
    }

    /// Proposes a command under a fresh id and waits until it is applied.
    ///
    /// # Errors
    /// `noQuorum`, `busy`; `unknownOutcome` if it may or may not have happened.
    pub(crate) async fn propose(&self, command: Command) -> Result<Applied, Refusal> {
        self.propose_as(CommandId::new(Uuid::new_v4()), None, command).await
    }

    /// Proposes a command under a caller's id: repeated within 24 h, it happens once.
    ///
    /// # Errors
    /// As [`Replica::propose`].
    pub(crate) async fn propose_as(
        &self,
        id: CommandId,
        request: Option<RequestDigest>,
        command: Command,
    ) -> Result<Applied, Refusal> {
        let envelope = CommandEnvelope { request, ..CommandEnvelope::new(id, self.me(), self.now(), command) };
        self.node.propose(envelope).await.map_err(|error| not_proposed(&error))
    }

    /// Proposes a command that is expected to be accepted; a rejection becomes a refusal with its code.
    ///
    /// # Errors
    /// As [`Replica::propose`], and the rejection.
    pub async fn change(&self, command: impl Into<Command>) -> Result<Reply, Refusal> {
        let outcome = self.propose(command.into()).await?;
        outcome.reply.accepted().map_err(|rejection| Refusal::rejected(&rejection))
    }
}

/// The id of a command that somebody else chose, as it is proposed: nobody's choice takes an id away from others (T59).
pub(crate) fn scoped_id(chooser: &str, chosen: CommandId) -> CommandId {
    CommandId::from_random(half(&[b"command id", chooser.as_bytes(), chosen.uuid().as_bytes()]))
}

/// The first 16 bytes of a hash over parts that cannot run into each other.
pub(crate) fn half(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut bits = [0; 16];
    bits.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bits
}

fn not_proposed(error: &ProposeError) -> Refusal {
    tracing::debug!(%error, "command has no answer");
    match error {
        ProposeError::NoQuorum { .. } | ProposeError::Stopped => Refusal::no_quorum(),
        ProposeError::UnknownOutcome => Refusal::unknown_outcome(),
        ProposeError::Busy => Refusal::busy(),
        ProposeError::TooLong { .. } => Refusal::invalid(error.to_string()),
    }
}
