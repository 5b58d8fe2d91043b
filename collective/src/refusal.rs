//! Why a service refused: a code of the closed set, and a text for people. How HTTP says it is left to `api::refusal`.

use std::time::Duration;

use ringwall_protocol::wire::error::{ErrorBody, ErrorCode};
use ringwall_raft::Rejection;

/// A refusal. Its text reaches the caller: never a secret, before authentication never a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {message}")]
pub struct Refusal {
    /// What the caller's program looks at.
    pub code: ErrorCode,
    /// What people read.
    pub message: String,
    /// How long the caller should wait.
    pub retry_after: Option<Duration>,
    /// Whether the same request may succeed later, or at another Controller. As the code says it, unless a person would be
    /// asked anew.
    pub retryable: bool,
}

impl Refusal {
    /// A refusal with a code and a text.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None, retryable: code.retryable() }
    }

    /// The one answer to a failed sign-in, whatever was wrong (T39).
    #[must_use]
    pub fn sign_in() -> Self {
        Self::new(ErrorCode::SignInRefused, "user name, password or device was not accepted")
    }

    /// A provider does not answer; which one and why belongs into the log.
    #[must_use]
    pub fn provider_unavailable() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(5)),
            ..Self::new(
                ErrorCode::ProviderUnavailable,
                "the provider that would verify this does not answer; try later",
            )
        }
    }

    /// The same, not to be tried again by a program: a person decides about that.
    #[must_use]
    pub fn for_good(self) -> Self {
        Self { retry_after: None, retryable: false, ..self }
    }

    /// Too much at once.
    #[must_use]
    pub fn busy() -> Self {
        Self { retry_after: Some(Duration::from_secs(1)), ..Self::new(ErrorCode::Busy, "too many requests at once") }
    }

    /// This Controller cannot decide anything now.
    #[must_use]
    pub fn no_quorum() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(ErrorCode::NoQuorum, "this controller has no quorum; try another one")
        }
    }

    /// A defect or a broken disk; the cause belongs into the log, which the caller of this writes.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "the controller could not do this; its log says why")
    }

    /// It may or may not have happened.
    #[must_use]
    pub fn unknown_outcome() -> Self {
        Self::new(ErrorCode::UnknownOutcome, "the outcome is not known; ask again with the same id")
    }

    /// A rejection by the replicated state, as a caller sees it.
    #[must_use]
    pub fn rejected(rejection: &Rejection) -> Self {
        Self::new(rejection.code(), rejection.to_string())
    }

    /// The request makes no sense.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    /// The body that goes over the wire.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            retry_after_ms: self.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            retryable: self.retryable,
            ..ErrorBody::new(self.code, self.message.clone())
        }
    }
}
