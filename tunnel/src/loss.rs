//! Why a tunnel ends.

use std::io;

use crate::frame::FrameError;

/// Why a tunnel is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossReason {
    /// The peer closed it.
    Closed,
    /// The Gateway did not reply to the attach token in time. Only a Client sees this.
    NotAttached,
    /// Nothing was heard from the Gateway for too long. Only a Client sees this.
    Silent,
    /// The connection broke, or what came was no TLS record of this connection.
    Broken(io::ErrorKind),
    /// The peer broke the tunnel's protocol.
    Violated(Violation),
    /// A panic on this side ended it.
    Defect,
}

impl LossReason {
    /// The loss that an error of socket or TLS means.
    pub(crate) fn broken(error: &io::Error) -> Self {
        Self::Broken(error.kind())
    }
}

/// What no peer of this version sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame that this version does not know.
    #[error("malformed frame: {0}")]
    Frame(#[from] FrameError),
    /// To a Client: an attach frame where none is due, or anything else before the one that is.
    #[error("attach frame missing, repeated or not empty")]
    Attach,
    /// To a Gateway: a second attach token.
    #[error("an attach frame on an attached tunnel")]
    AttachedTwice,
}
