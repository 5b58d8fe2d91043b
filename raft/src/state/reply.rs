//! What a command answers.

use ringwall_protocol::device::DeviceRegistration;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::membership::{ControllerRecord, GatewayRecord, KeyRecord};
use serde::{Deserialize, Serialize};

use super::address::Addresses;
use super::rejection::Rejection;
use super::transaction::Transaction;

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// It is done; there is nothing to tell.
    Done,
    /// It changed nothing.
    Refused(Rejection),
    /// An object, the settings or a local password was written or removed.
    #[serde(rename_all = "camelCase")]
    Changed {
        /// Its version from now on.
        version: LogIndex,
        /// The revocation that carries the change to live sessions, if one was needed.
        revocation: Option<LogIndex>,
    },
    /// Tokens were revoked, and what the command else says was done.
    Revoked(LogIndex),
    /// A Controller as it is recorded now.
    Controller(Box<ControllerRecord>),
    /// A Gateway as it is recorded now.
    Gateway(Box<GatewayRecord>),
    /// A signing key as it is recorded now.
    Key(Box<KeyRecord>),
    /// A device, registered or matched.
    #[serde(rename_all = "camelCase")]
    Device {
        /// Its registration now.
        registration: Box<DeviceRegistration>,
        /// It was known by cookie and key.
        matched: bool,
        /// The revocation of a registration that gave way.
        revocation: Option<LogIndex>,
    },
    /// Tunnel addresses.
    Addresses(Addresses),
    /// A transaction as it is now; of a finished one, as it was at the end.
    Transaction(Box<Transaction>),
    /// Per binding, in order: whether it won over what was known.
    Bound(Vec<bool>),
    /// Per part of a group, in order.
    Group(Vec<Self>),
}

impl Reply {
    /// The reply, or the refusal as an error.
    ///
    /// # Errors
    /// The rejection of [`Reply::Refused`].
    pub fn accepted(self) -> Result<Self, Rejection> {
        match self {
            Self::Refused(rejection) => Err(rejection),
            other => Ok(other),
        }
    }

    /// The revocation that the command made, if it made one.
    #[must_use]
    pub fn revocation(&self) -> Option<LogIndex> {
        match self {
            Self::Revoked(index) => Some(*index),
            Self::Changed { revocation, .. } | Self::Device { revocation, .. } => *revocation,
            Self::Group(parts) => parts.iter().find_map(Self::revocation),
            _ => None,
        }
    }
}

/// What became of a command: where it stands in the log, and its answer. A repeated command has both from the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Index of the entry that was carried out.
    pub index: LogIndex,
    /// The answer.
    pub reply: Reply,
}
