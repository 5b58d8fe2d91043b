//! Messages on a session's websocket: JSON, one object per message, `type` first (`docs/token-flow.md`).
//!
//! A binary message is one DNS message: a question of the Client about a name of its entitlements, or the answer to one;
//! the id in its header says which. Everything else is text. Before `hello` is verified a message may have 512 KiB, afterwards 64 KiB; an entitlement token
//! 512 KiB. An unknown `type` ends the connection.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::error::ErrorCode;
use crate::authorize::EntitlementState;
use crate::claims::UntrustedClaims;
use crate::connection::ConnectionProof;
use crate::id::{PromptId, SessionId};
use crate::interaction::Prompt;
use crate::policy::DnsSetting;
use crate::revocation::TokenKind;
use crate::time::UnixMillis;
use crate::token::Routes;

/// Version of this protocol.
pub const SESSION_VERSION: u16 = 1;
/// Longest `hello`, and longest message with an entitlement token, in bytes.
pub const MAX_TOKEN_MESSAGE: usize = 640 * 1024;
/// Longest message otherwise, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Longest binary message, either way: one DNS message (RFC 1035 §4), in bytes. Above any answer that is not a zone.
pub const MAX_DNS_MESSAGE: usize = 16 * 1024;

/// Client → Gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum FromClient {
    /// First message.
    Hello(Hello),
    /// A further attach token is wanted; answered by `attach`.
    AttachRequest {},
    /// The Client's DTLS fingerprint, SHA-256 of the certificate, base64url.
    Datagram {
        /// Fingerprint.
        fingerprint: String,
    },
    /// A newer claims token.
    ClaimsToken {
        /// JWT.
        token: String,
    },
    /// A newer entitlement token.
    EntitlementToken {
        /// JWT.
        token: String,
    },
    /// Device claims; on change and every 5 minutes.
    DeviceClaims {
        /// All of them.
        claims: UntrustedClaims,
    },
    /// The answer to an open `Reason` prompt.
    #[serde(rename_all = "camelCase")]
    Reason {
        /// Which prompt.
        prompt_id: PromptId,
        /// At most 1 KiB.
        text: String,
    },
    /// The session is over.
    Goodbye {},
}

/// Opens a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// Versions that the Client speaks.
    pub versions: Vec<u16>,
    /// Counts up per sign-in and Site; kept on disk.
    pub connect_seq: u64,
    /// The Client's signature over that number, for this Gateway.
    pub proof: ConnectionProof,
    /// JWT.
    pub claims_token: String,
    /// JWT for this Gateway's Site.
    pub entitlement_token: String,
    /// What the device says of itself.
    pub device_claims: UntrustedClaims,
    /// The session to resume, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_session_id: Option<SessionId>,
}

/// Gateway → Client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum FromGateway {
    /// The session is admitted and its rules are in force.
    Welcome(Welcome),
    /// A single-use token for the first frame of a tunnel, 32 bytes, base64url, valid 30 s.
    Attach {
        /// The token.
        token: String,
    },
    /// A blocked packet could be unblocked.
    Interaction(Prompt),
    /// A prompt needs no answer any more.
    #[serde(rename_all = "camelCase")]
    InteractionClosed {
        /// Id of the prompt.
        prompt_id: PromptId,
    },
    /// Tokens end soon; the Client renews them.
    #[serde(rename_all = "camelCase")]
    TokensExpiring {
        /// Which kinds.
        kinds: Vec<TokenKind>,
        /// They are invalid from here on.
        not_after: UnixMillis,
        /// Reason of the renewal.
        reason: ExpiryReason,
    },
    /// What the session may reach now.
    Entitlements {
        /// One by one.
        entitlements: Vec<EntitlementState>,
    },
    /// A presented token was refused; the session goes on with what it had.
    Refused {
        /// Code of the reason.
        code: ErrorCode,
        /// For people.
        message: String,
    },
    /// The session is over.
    End {
        /// Code of the reason.
        code: ErrorCode,
        /// For people.
        message: String,
    },
}

/// Why tokens end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExpiryReason {
    /// Their time.
    Expiry,
    /// An administrator wants them renewed.
    Revocation,
    /// Policies changed.
    PolicyChange,
}

/// Answers `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The session.
    pub session_id: SessionId,
    /// True if the session of `lastSessionId` goes on.
    pub resumed: bool,
    /// Version that is spoken.
    pub version: u16,
    /// First attach token, base64url.
    pub attach_token: String,
    /// MTU inside the tunnel, bytes.
    pub mtu: u16,
    /// Tunnel address, IPv4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tun_ipv4: Option<Ipv4Addr>,
    /// Tunnel address, IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tun_ipv6: Option<Ipv6Addr>,
    /// Lie within the signed token's routes; the Client checks.
    pub routes: Routes,
    /// Resolvers by domain.
    #[serde(default)]
    pub dns: Vec<DnsSetting>,
    /// Idle seconds until the Client sends a keep-alive.
    pub keep_alive_seconds: u16,
    /// The Gateway's security time.
    pub controller_time: UnixMillis,
    /// What the session may reach now.
    pub entitlements: Vec<EntitlementState>,
}
