//! What goes into a link's core, and what comes out of it.

use std::time::Instant;

use ringwall_protocol::feed::{FromController, FromGateway, MAX_UNACKNOWLEDGED};
use ringwall_protocol::id::{CommandId, LogIndex, SessionId};

use super::SILENCE;
use crate::link::ports::{GatewayReport, NoQuorum};

/// What happens to a link.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made where it is taken, one at a time")]
pub(crate) enum LinkInput {
    /// A frame arrived.
    Arrived(FromGateway),
    /// More was applied to the state.
    Applied,
    /// The answer to [`LinkEffect::AskReadIndex`].
    ReadIndex(Result<LogIndex, NoQuorum>),
    /// [`LinkEffect::StoreAudit`] is done.
    AuditStored {
        /// Number of the batch.
        seq: u64,
    },
    /// A deadline passed.
    Tick,
}

/// What a link wants done, in this order.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made where it is taken, one at a time")]
pub(crate) enum LinkEffect {
    /// Put a frame into the stream.
    Send(FromController),
    /// Ask for a read index, once; the answer comes back as [`LinkInput::ReadIndex`].
    AskReadIndex,
    /// Tell whoever hears Gateways.
    Report(GatewayReport),
    /// Make audit records durable, then answer.
    StoreAudit {
        /// Number of the batch.
        seq: u64,
        /// Records.
        records: Vec<String>,
    },
    /// Issue a certificate, then answer.
    RenewCertificate {
        /// Id of the request.
        command: CommandId,
        /// Request.
        csr: String,
    },
    /// The Gateway's kernel enforces everything up to here.
    Enforced {
        /// Up to here.
        index: LogIndex,
        /// Sessions that had to be cut otherwise.
        failed: Vec<SessionId>,
    },
    /// A poll that arrived then was confirmed: the Gateway's lease ends at most one lease later.
    ConfirmedPollOf(Instant),
    /// End the connection, after what was sent before.
    Close(CloseReason),
}

/// Why a link ends from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloseReason {
    /// It broke the protocol.
    #[error("the gateway broke the feed's protocol: {0}")]
    Protocol(&'static str),
    /// It is no member, or another than its certificate says.
    #[error("the gateway is no member of the collective")]
    NotAMember,
    /// Another Controller serves better.
    #[error("another controller serves the gateway: this one is behind, or retires")]
    Behind,
    /// It does not acknowledge.
    #[error("more than {MAX_UNACKNOWLEDGED} changes are not acknowledged")]
    Unacknowledged,
    /// It says nothing.
    #[error("the gateway was silent for {} s", SILENCE.as_secs())]
    Silent,
    /// The connection does not take what it must.
    #[error("the connection does not keep up")]
    Slow,
    /// The state cannot be sent.
    #[error("the full state could not be encoded")]
    Encoding,
}
