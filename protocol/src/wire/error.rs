//! The closed set of codes that one Ringwall program gives another, and the body that carries them.

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident $(retryable $yes:literal)?;)*) => {
        /// Why something was refused or ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Whether the same request may succeed later, or elsewhere, without anything being changed first.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => false $(|| $yes)?,)* }
            }
        }
    };
}

error_codes! {
    /// Credentials, blocklist, lock-out: one answer for all, so that an unauthenticated peer learns nothing.
    SignInRefused;
    /// Another factor is wanted first.
    MfaRequired;
    /// The other factor was wrong.
    MfaRefused;
    /// An identity provider or MFA provider does not answer: nobody is let in by it.
    ProviderUnavailable retryable true;
    /// The user's device id is registered with another key or cookie.
    DeviceConflict;
    /// The user may register no further device.
    DeviceLimit;
    /// Too much at once; later.
    Busy retryable true;
    /// This Controller has no quorum; others may have.
    NoQuorum retryable true;
    /// This Controller's clock differs too much from its peers'.
    ClockSuspect retryable true;
    /// No common version of the protocol.
    VersionUnsupported;
    /// The token's time has passed.
    TokenExpired;
    /// A revocation covers the token.
    TokenRevoked;
    /// Token, certificate and request do not belong together.
    TokenMismatch;
    /// The token is malformed, of another kind, or its signature is wrong.
    TokenInvalid;
    /// Nothing entitles the caller to this.
    NotEntitled;
    /// A newer connection of the same sign-in took over.
    Superseded;
    /// The session's former tunnel gave way to a new one.
    Replaced;
    /// The session continues at another Gateway of the Site.
    MovedAway retryable true;
    /// Too many resumptions in a short time.
    Flapping;
    /// The Gateway's feed is behind the token.
    FeedBehind retryable true;
    /// The Gateway takes no new sessions.
    Suspended retryable true;
    /// The Gateway has lost contact with the Collective.
    LeaseLapsed retryable true;
    /// The kernel refused the session's rules.
    InstallFailed;
    /// Too many different rule sets on this Gateway.
    TooManyRuleSets;
    /// The session's address is in use by another device.
    AddressHeld;
    /// No free tunnel address.
    NoAddress;
    /// The peer broke the protocol.
    ProtocolError;
    /// The entitlement token would be too large.
    PolicyTooLarge;
    /// An action that cannot be enforced yet.
    UnsupportedAction;
    /// The object changed in between, or exists.
    Conflict;
    /// The outcome is not known; ask again with the same command id.
    UnknownOutcome retryable true;
    /// Revoked by an administrator.
    Revoked;
    /// Ended by an administrator.
    AdministratorEnded;
    /// No such object.
    NotFound;
    /// The request is malformed or fails validation.
    Invalid;
    /// The caller lacks the privilege.
    Forbidden;
    /// The caller is not signed in.
    Unauthorized;
    /// A defect or a broken disk on this side.
    Internal;
    /// The Client ended the session (`goodbye`).
    ClientLeft;
    /// The session's connections were lost for longer than it may be detached.
    ConnectionLost retryable true;
    /// The other side is going down in good order.
    ShuttingDown retryable true;
}

/// The body of every refusal: `{code, message, retryable, retryAfterMs?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// Closed code.
    pub code: ErrorCode,
    /// For people; says what was wrong and what to do, never a secret.
    pub message: String,
    /// As [`ErrorCode::retryable`]; false also where another attempt would ask a person again who did not answer.
    pub retryable: bool,
    /// Milliseconds to wait first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorBody {
    /// A body for `code` with a message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: code.retryable(), retry_after_ms: None }
    }
}
