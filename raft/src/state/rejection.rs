//! Why a command was refused. A refusal is a reply, recorded like any other: every Controller refuses the same.

use ringwall_protocol::id::{IpPoolId, LogIndex};
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::error::ErrorCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An object that refers to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// Its kind.
    pub(crate) kind: ObjectKind,
    /// Id of the object.
    pub(crate) id: Uuid,
    /// For people.
    pub(crate) name: String,
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum Rejection {
    /// Nothing can be done before the Collective is founded.
    #[error("the collective is not founded yet")]
    NotFounded,
    /// It is founded once.
    #[error("the collective is founded already")]
    AlreadyFounded,
    /// What the command names does not exist.
    #[error("no {what} {id}")]
    NotFound {
        /// Kind of thing.
        what: String,
        /// As it was named.
        id: String,
    },
    /// It exists already.
    #[error("{what} {id} exists already")]
    Exists {
        /// Kind of thing.
        what: String,
        /// As it was named.
        id: String,
    },
    /// Another object of the kind has the name.
    #[error("another {kind} is named {name:?}")]
    NameTaken {
        /// Kind.
        kind: ObjectKind,
        /// The name.
        name: String,
        /// Who has it.
        holder: Uuid,
    },
    /// The object changed since the caller read it.
    #[error("expected version {expected}, it is at {actual}")]
    Stale {
        /// What the caller had read.
        expected: LogIndex,
        /// What it is at.
        actual: LogIndex,
    },
    /// The object refers to one that does not exist.
    #[error("{field} refers to a {kind} {id} that does not exist")]
    MissingReference {
        /// Where, as the admin API writes it.
        field: String,
        /// Kind of the missing object.
        kind: ObjectKind,
        /// The missing object.
        id: Uuid,
    },
    /// Others refer to the object.
    #[error("still in use by {}", names(.by))]
    Referenced {
        /// Who, at most 20.
        by: Vec<Referrer>,
    },
    /// A field breaks a rule.
    #[error("{field} {message}")]
    Invalid {
        /// Where, as the admin API writes it.
        field: String,
        /// The rule.
        message: String,
    },
    /// A bound on memory would be exceeded.
    #[error("there are at most {limit} {what}")]
    TooMany {
        /// Of what.
        what: String,
        /// How many.
        limit: u64,
    },
    /// The state does not permit the step (an appliance's lifecycle, a transaction's, a key's).
    #[error("{what} is {state}, which does not permit this")]
    WrongState {
        /// What.
        what: String,
        /// Its state.
        state: String,
    },
    /// The device id of this user is registered with another key or cookie.
    #[error("this device is registered with another key or cookie")]
    DeviceConflict,
    /// A cookie that had been replaced was presented again: audit `device_cookie_reused`.
    #[error("the device presented a cookie that was replaced before")]
    DeviceCookieReused,
    /// The user has as many devices as the provider permits.
    #[error("the user may register no more than {limit} devices")]
    DeviceLimit {
        /// Of the provider.
        limit: u32,
    },
    /// The user is on the blocklist.
    #[error("the user is blocked")]
    Blocked,
    /// The transaction does not exist, is over or has expired.
    #[error("the transaction is over")]
    TransactionOver,
    /// The transaction's attempts are used up.
    #[error("no attempt is left")]
    NoAttemptLeft,
    /// The one-time password was used before.
    #[error("the one-time password was used before")]
    CodeUsed,
    /// No address of the pool is free.
    #[error("no address of pool {pool} is free")]
    NoAddress {
        /// The pool.
        pool: IpPoolId,
    },
    /// No such join token.
    #[error("the join token is unknown")]
    JoinTokenUnknown,
    /// Its time has passed.
    #[error("the join token has expired")]
    JoinTokenExpired,
    /// It was used, by another command or key: audit `join_token_reused`.
    #[error("the join token was used before")]
    JoinTokenUsed,
    /// The command id was used for another request.
    #[error("the command id was used for another request")]
    CommandIdReused,
    /// A command inside a group was refused, and so the whole group.
    #[error("part {at} of the group: {why}")]
    InGroup {
        /// From 0.
        at: u32,
        /// Its refusal.
        why: Box<Self>,
    },
    /// A group of commands holds another group, or the founding.
    #[error("a group holds neither groups nor the founding")]
    Nested,
    /// Two parts of a group would revoke tokens of different users: a log entry is one cut-off.
    #[error("one entry makes one revocation; send the parts one by one")]
    TwoRevocations,
}

impl Rejection {
    pub(crate) fn not_found(what: &str, id: impl ToString) -> Self {
        Self::NotFound { what: what.to_owned(), id: id.to_string() }
    }

    pub(crate) fn exists(what: &str, id: impl ToString) -> Self {
        Self::Exists { what: what.to_owned(), id: id.to_string() }
    }

    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    pub(crate) fn too_many(what: &str, limit: usize) -> Self {
        Self::TooMany { what: what.to_owned(), limit: limit as u64 }
    }

    /// The closed code that stands for it across processes.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFounded => ErrorCode::NoQuorum,
            Self::NotFound { .. } => ErrorCode::NotFound,
            Self::DeviceConflict | Self::DeviceCookieReused => ErrorCode::DeviceConflict,
            Self::DeviceLimit { .. } => ErrorCode::DeviceLimit,
            Self::Blocked => ErrorCode::SignInRefused,
            Self::TransactionOver | Self::NoAttemptLeft | Self::CodeUsed => ErrorCode::MfaRefused,
            Self::NoAddress { .. } => ErrorCode::NoAddress,
            Self::JoinTokenUnknown | Self::JoinTokenExpired | Self::JoinTokenUsed => ErrorCode::Unauthorized,
            Self::Invalid { .. } | Self::MissingReference { .. } | Self::Nested | Self::TwoRevocations => {
                ErrorCode::Invalid
            }
            Self::TooMany { .. } => ErrorCode::Busy,
            Self::InGroup { why, .. } => why.code(),
            Self::AlreadyFounded
            | Self::Exists { .. }
            | Self::NameTaken { .. }
            | Self::Stale { .. }
            | Self::Referenced { .. }
            | Self::WrongState { .. }
            | Self::CommandIdReused => ErrorCode::Conflict,
        }
    }
}

fn names(referrers: &[Referrer]) -> String {
    let names: Vec<String> = referrers.iter().map(|one| format!("{} {:?}", one.kind, one.name)).collect();
    names.join(", ")
}
