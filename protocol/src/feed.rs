//! The revocation feed between a Controller and a Gateway.
//!
//! One ordered stream each way on the peer port (ALPN `ringwall/feed/1`): 4 bytes of length, then MessagePack of a
//! [`FromGateway`] or [`FromController`]. Changes come in log order, without gap or duplicate; confirmations of polls
//! travel in the same stream, behind every change that they vouch for (T1).

mod session;
mod view;

use serde::{Deserialize, Serialize};

use crate::connection::ConnectionProof;
use crate::id::{ApplianceId, CommandId, LogIndex, SessionId, SignInId, Thumbprint};
use crate::membership::{ControllerRecord, GatewayRecord, KeyRecord};
use crate::name::{DnScope, SessionDn};
use crate::object::settings::SpaMode;
use crate::revocation::Revocation;
use crate::spa::KnockKey;
use crate::time::UnixMillis;
use crate::wire::error::ErrorCode;

pub use session::{MAX_REFUSED_NAMES, NameRefusal, RefusedName, SessionSummary};
pub use view::{FeedPosition, FeedSite, FeedView, members_digest, own_state};

/// Longest frame of a feed, in bytes.
pub const MAX_FEED_FRAME: usize = 1024 * 1024;
/// Changes that may be sent and not yet acknowledged; beyond it the Controller disconnects and sends the full state.
pub const MAX_UNACKNOWLEDGED: usize = 8_192;
/// Version of this protocol.
pub const FEED_VERSION: u16 = 1;

/// One change, at one log index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum FeedEvent {
    /// A new revocation.
    RevocationAdded {
        /// It.
        revocation: Revocation,
    },
    /// A revocation moved on: slices below `told` are told, below `effective` invalid.
    #[serde(rename_all = "camelCase")]
    RevocationAdvanced {
        /// Log index of the revocation.
        revocation: LogIndex,
        /// Told slices.
        told: u16,
        /// Effective slices.
        effective: u16,
    },
    /// No living token can be older than this revocation.
    RevocationForgotten {
        /// Log index of the revocation.
        revocation: LogIndex,
    },
    /// A key was added, retired or removed.
    KeyChanged {
        /// Its record now.
        key: KeyRecord,
    },
    /// A Controller joined, changed or was removed.
    ControllerChanged {
        /// Its record now.
        controller: ControllerRecord,
    },
    /// A Gateway of the Site joined, changed or was removed; about the Gateway itself too.
    GatewayChanged {
        /// Its record now.
        gateway: GatewayRecord,
    },
    /// The Site changed.
    SiteChanged {
        /// It now.
        site: FeedSite,
    },
    /// Keys or mode of knocks changed.
    #[serde(rename_all = "camelCase")]
    SpaChanged {
        /// Mode.
        mode: SpaMode,
        /// Keys of this Gateway, newest first.
        keys: Vec<KnockKey>,
        /// Window, seconds.
        window_seconds: u32,
        /// Key with which the Gateway knocks on Controllers; absent: as before.
        #[serde(default)]
        peer_key: Option<KnockKey>,
    },
    /// A session is at this Gateway of the Site; others end theirs of the same DN.
    #[serde(rename_all = "camelCase")]
    SessionBound {
        /// DN of the session: provider, user and device.
        dn: SessionDn,
        /// Where.
        gateway: ApplianceId,
        /// Orders sign-ins.
        sign_in_idx: LogIndex,
        /// Orders connections of one sign-in.
        connect_seq: u64,
        /// Its sign-in.
        sid: SignInId,
        /// The Client's signature over all of this; without it nobody's session ends (T67).
        proof: ConnectionProof,
    },
    /// Sessions are to be evaluated anew (S34).
    Reevaluate {
        /// Sessions whose DN ends with this.
        scope: DnScope,
    },
}

/// Gateway → Controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum FromGateway {
    /// First message: who asks, and from where on.
    Subscribe {
        /// Versions that it speaks.
        versions: Vec<u16>,
        /// Who; must be the identity of its certificate.
        gateway: ApplianceId,
        /// Absent on first contact.
        #[serde(default)]
        position: Option<FeedPosition>,
        /// Nothing is to be sent but answers to polls: another Controller has the feed (T23).
        #[serde(default)]
        witness: bool,
    },
    /// Asks for a confirmation; `lease ÷ 3` apart.
    Poll {
        /// Comes back in [`FromController::Confirmed`].
        nonce: u64,
    },
    /// The kernel enforces every change up to `index`.
    Enforced {
        /// Up to here.
        index: LogIndex,
        /// Sessions whose rules could not be changed; their tunnels are cut.
        #[serde(default)]
        failed: Vec<SessionId>,
    },
    /// A session was admitted.
    #[serde(rename_all = "camelCase")]
    SessionOpened {
        /// It.
        session: SessionSummary,
    },
    /// A session changed what it tells of itself (claims, rules, traffic).
    #[serde(rename_all = "camelCase")]
    SessionUpdated {
        /// It.
        session: SessionSummary,
    },
    /// A session ended.
    #[serde(rename_all = "camelCase")]
    SessionEnded {
        /// Id of the session.
        session: SessionId,
        /// DN of the session: provider, user and device.
        dn: SessionDn,
        /// Code of the reason.
        code: ErrorCode,
    },
    /// Every 10 s.
    #[serde(rename_all = "camelCase")]
    Load {
        /// Live sessions.
        sessions: u32,
        /// Rule sets in use.
        rule_sets: u32,
    },
    /// Addresses of the Gateway's host: told on every new connection, and when they change.
    Interfaces {
        /// At most [`crate::membership::MAX_INTERFACE_ADDRESSES`].
        addresses: Vec<std::net::IpAddr>,
    },
    /// The Gateway keeps this key for knocking on Controllers: told on every new connection, and when it is replaced.
    PeerKey {
        /// SHA-256 of the key's 32 bytes.
        digest: Thumbprint,
    },
    /// Audit records, at least once each.
    Audit {
        /// Counts up per Gateway.
        seq: u64,
        /// JSON objects, one audit record each.
        records: Vec<String>,
    },
    /// Asks for a further certificate, at 2/3 of the lifetime of the present one; a new key each time.
    #[serde(rename_all = "camelCase")]
    RenewCertificate {
        /// Retries carry the same one and get the same answer.
        command_id: CommandId,
        /// PKCS#10 request in DER, base64url; only its key is used.
        csr: String,
    },
}

/// Controller → Gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum FromController {
    /// A part of the full state's encoding; parts are joined in order.
    Full {
        /// Where the state stands.
        position: FeedPosition,
        /// From 0.
        part: u32,
        /// How many.
        parts: u32,
        /// Bytes of the MessagePack of a [`FeedView`].
        bytes: Vec<u8>,
    },
    /// A change.
    Change {
        /// Log index.
        index: LogIndex,
        /// What.
        event: FeedEvent,
    },
    /// Every second: nothing is missing up to here.
    #[serde(rename_all = "camelCase")]
    Bookmark {
        /// Everything up to here was sent.
        index: LogIndex,
        /// The Controller's clock.
        controller_time: UnixMillis,
        /// Raft term.
        term: u64,
    },
    /// Answer to a poll, behind every change up to `readIndex`.
    #[serde(rename_all = "camelCase")]
    Confirmed {
        /// From the poll.
        nonce: u64,
        /// Linearizable read at or after the poll's arrival.
        read_index: LogIndex,
    },
    /// Answer to a poll of a Gateway whose feed is elsewhere: what this Controller knows.
    #[serde(rename_all = "camelCase")]
    Witnessed {
        /// From the poll.
        nonce: u64,
        /// A state at or after the poll's arrival, read by a quorum.
        read_index: LogIndex,
        /// [`members_digest`] of that state.
        members: String,
    },
    /// Another Controller serves better.
    #[serde(rename_all = "camelCase")]
    UseAnother {
        /// `host:port` of peer listeners.
        controllers: Vec<String>,
    },
    /// The end.
    Refused {
        /// Code of the reason.
        code: ErrorCode,
    },
    /// Audit records up to here are safe.
    AuditStored {
        /// From [`FromGateway::Audit`].
        seq: u64,
    },
    /// Answers [`FromGateway::RenewCertificate`].
    #[serde(rename_all = "camelCase")]
    Certificate {
        /// From the request.
        command_id: CommandId,
        /// Certificate, issuer and root, each DER, base64url, in this order.
        chain: Vec<String>,
    },
}
