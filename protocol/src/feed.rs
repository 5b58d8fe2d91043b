//! The revocation feed between a Controller and a Gateway.
//!
//! One ordered stream each way on the peer port (ALPN `ringwall/feed/1`): 4 bytes of length, then MessagePack of a
//! [`FromGateway`] or [`FromController`]. Changes come in log order, without gap or duplicate; confirmations of polls
//! travel in the same stream, behind every change that they vouch for (T1).

mod session;

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::connection::ConnectionProof;
use crate::id::{
    ApplianceId, CollectiveId, CommandId, Incarnation, LogIndex, NodeId, SessionId, SignInId, SiteId, Thumbprint,
};
use crate::membership::{ControllerRecord, GatewayRecord, KeyRecord};
use crate::name::{DnScope, SessionDn};
use crate::object::appliance::ApplianceState;
use crate::object::settings::SpaMode;
use crate::revocation::Revocation;
use crate::spa::KnockKey;
use crate::time::UnixMillis;
use crate::wire::error::ErrorCode;

pub use session::{MAX_REFUSED_NAMES, NameRefusal, RefusedName, SessionSummary};

/// Longest frame of a feed, in bytes.
pub const MAX_FEED_FRAME: usize = 1024 * 1024;
/// Changes that may be sent and not yet acknowledged; beyond it the Controller disconnects and sends the full state.
pub const MAX_UNACKNOWLEDGED: usize = 8_192;
/// Version of this protocol.
pub const FEED_VERSION: u16 = 1;

/// Where a Gateway stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedPosition {
    /// Incarnation of the Collective.
    pub incarnation: Incarnation,
    /// Every change up to here is known.
    pub index: LogIndex,
}

/// Everything that a Gateway knows of the Collective, at one index. Changes are applied to it by [`FeedView::apply`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedView {
    /// The Collective.
    pub collective: CollectiveId,
    /// Its root certificate, DER, base64url.
    pub root_certificate: String,
    /// Where this view stands.
    pub position: FeedPosition,
    /// Controllers, removed ones included while their tokens could live.
    pub controllers: BTreeMap<NodeId, ControllerRecord>,
    /// Gateways of the same Site.
    pub gateways: BTreeMap<ApplianceId, GatewayRecord>,
    /// Keys that sign tokens, by `kid`.
    pub keys: BTreeMap<String, KeyRecord>,
    /// Revocations in force.
    pub revocations: Vec<Revocation>,
    /// The highest revocation that was forgotten: tokens with a lower `idx` are invalid (T69).
    pub forgotten_up_to: LogIndex,
    /// The Gateway's Site.
    pub site: FeedSite,
    /// Whether knocks are wanted.
    pub spa_mode: SpaMode,
    /// Keys with which Clients knock on this Gateway, newest first, 32 bytes base64url.
    #[serde(default)]
    pub spa_keys: Vec<KnockKey>,
    /// Window of a knock, seconds.
    pub spa_window_seconds: u32,
    /// Key with which the Gateway knocks on the Controllers' peer ports, 32 bytes base64url.
    #[serde(default)]
    pub peer_spa_key: Option<KnockKey>,
}

/// What a Gateway must know of its Site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedSite {
    /// Id of the Site.
    pub id: SiteId,
    /// For people.
    pub name: String,
    /// All pools of tunnel addresses: what may be a session's address at all.
    pub pools: Vec<IpNet>,
    /// The Site's networks: names stand for addresses in them and for no others (T79).
    pub networks: Vec<IpNet>,
    /// Protected hosts see the Gateway's address.
    pub snat: bool,
    /// Length of a lease, seconds.
    pub lease_seconds: u32,
    /// Grace of live sessions, seconds.
    #[serde(default)]
    pub grace_seconds: Option<u32>,
    /// Controllers that a lease needs.
    pub witnesses: u8,
    /// DTLS is offered.
    pub dtls: bool,
    /// DNS resolvers by domain.
    #[serde(default)]
    pub name_resolution: crate::object::site::NameResolution,
}

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

impl FeedView {
    /// Applies the events of one log index. Events that only concern sessions leave the view as it is.
    pub fn apply(&mut self, index: LogIndex, event: &FeedEvent) {
        self.position.index = self.position.index.max(index);
        match event {
            FeedEvent::RevocationAdded { revocation } => self.revocations.push(revocation.clone()),
            FeedEvent::RevocationAdvanced { revocation, told, effective } => {
                for known in self.revocations.iter_mut().filter(|known| known.index == *revocation) {
                    known.told = known.told.max(*told).max(*effective);
                    known.effective = known.effective.max(*effective);
                }
            }
            FeedEvent::RevocationForgotten { revocation } => {
                self.revocations.retain(|known| known.index != *revocation);
                self.forgotten_up_to = self.forgotten_up_to.max(*revocation);
            }
            FeedEvent::KeyChanged { key } => {
                self.keys.insert(key.kid.clone(), key.clone());
            }
            FeedEvent::ControllerChanged { controller } => {
                self.controllers.insert(controller.node, controller.clone());
            }
            FeedEvent::GatewayChanged { gateway } => {
                self.gateways.insert(gateway.appliance, gateway.clone());
            }
            FeedEvent::SiteChanged { site } => self.site = site.clone(),
            FeedEvent::SpaChanged { mode, keys, window_seconds, peer_key } => {
                self.spa_mode = *mode;
                self.spa_keys.clone_from(keys);
                self.spa_window_seconds = *window_seconds;
                if peer_key.is_some() {
                    self.peer_spa_key.clone_from(peer_key);
                }
            }
            FeedEvent::SessionBound { .. } | FeedEvent::Reevaluate { .. } => {}
        }
    }
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

/// BLAKE3 of all Controllers and all keys that sign tokens, 64 hex digits: two who know the same members have the same. Both
/// are given in order of their ids.
#[must_use]
pub fn members_digest<'a>(
    controllers: impl IntoIterator<Item = &'a ControllerRecord>,
    keys: impl IntoIterator<Item = &'a KeyRecord>,
) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: Vec<u8>| {
        hasher.update(&(bytes.len() as u64).to_be_bytes());
        hasher.update(&bytes);
    };
    controllers.into_iter().for_each(|one| add(serde_json::to_vec(one).unwrap_or_default()));
    keys.into_iter().for_each(|one| add(serde_json::to_vec(one).unwrap_or_default()));
    hasher.finalize().to_hex().to_string()
}

/// State of an appliance as a Gateway sees its own.
#[must_use]
pub fn own_state(view: &FeedView, me: ApplianceId) -> ApplianceState {
    view.gateways.get(&me).map_or(ApplianceState::Removed, |gateway| gateway.state)
}
