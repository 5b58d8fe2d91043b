//! The replicated state: one immutable value per log index.
//!
//! Cloning costs nanoseconds; readers keep a version as long as they like. Each aggregate has a file of its own with
//! its types, its commands, and what the state can be asked about it. Nothing here knows a clock, chance, configuration
//! or openraft: times, ids and random values are chosen by the proposer and travel in the command.

pub mod address;
pub mod admin_session;
pub mod apply;
pub mod approval;
pub mod binding;
pub mod blocklist;
pub mod break_glass;
pub mod candidate;
pub mod collective;
pub mod command;
pub mod device;
pub(crate) mod encoding;
pub mod feed;
pub mod gateway;
pub(crate) mod housekeeping;
pub mod join_token;
pub mod kek;
pub mod local_password;
pub mod lockout;
pub(crate) mod map;
pub mod member;
pub mod object;
pub mod profile_export;
pub(crate) mod rejection;
pub(crate) mod reply;
pub(crate) mod result;
pub mod revocation;
pub mod secret;
pub mod secret_place;
pub mod security_key;
pub mod signing_key;
pub mod spa;
pub mod spa_master;
pub mod spa_name;
mod step;
pub mod totp;
pub mod transaction;

use std::sync::{Arc, LazyLock};

use ringwall_protocol::id::{
    AdminSessionId, ApplianceId, Incarnation, LogIndex, NodeId, ProfileId, Thumbprint, TransactionId, UserId,
};
use ringwall_protocol::membership::{ControllerRecord, GatewayRecord, KeyRecord};
use ringwall_protocol::name::UserDn;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::{GlobalSettings, IdentityProvider, LocalUser, Object, ObjectKind};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use address::AddressTable;
use admin_session::AdminSession;
use approval::WaitingOrder;
use binding::Bindings;
use blocklist::BlockEntry;
use break_glass::BreakGlass;
use candidate::Candidate;
use collective::Collective;
use device::Registrations;
use join_token::{JoinToken, JoinTokenHash};
use kek::Kek;
use local_password::LocalPassword;
use lockout::{Lockout, LockoutSubject};
use map::Map;
use object::batch::AppliedFields;
use object::{Objects, Stored};
use rejection::Rejection;
use result::Results;
use revocation::{Revocations, Revoke};
use secret::{Sealed, Secrets};
use security_key::SecurityKeys;
use signing_key::KeptKey;
use spa::SpaKey;
use spa_master::SpaMasters;
use spa_name::SpaName;
use totp::TotpRecord;
use transaction::Transaction;

pub use apply::{Transition, apply};
pub use step::{Change, Scoped};

/// Everything that the Controllers of a Collective have agreed on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    index: LogIndex,
    clock: UnixMillis,
    collective: Option<Arc<Collective>>,
    controllers: Map<NodeId, ControllerRecord>,
    /// Controllers that are on their way out, and since when.
    retiring: Map<NodeId, UnixMillis>,
    gateways: Map<ApplianceId, GatewayRecord>,
    join_tokens: Map<JoinTokenHash, JoinToken>,
    signing_keys: Map<String, KeptKey>,
    objects: Objects,
    local_passwords: Map<UserId, LocalPassword>,
    devices: Registrations,
    addresses: AddressTable,
    revocations: Revocations,
    blocklist: Map<UserDn, BlockEntry>,
    transactions: Map<TransactionId, Transaction>,
    totp: Map<UserId, TotpRecord>,
    lockouts: Map<LockoutSubject, Lockout>,
    admin_sessions: Map<AdminSessionId, AdminSession>,
    secrets: Secrets,
    spa: Map<ApplianceId, Vec<SpaKey>>,
    spa_names: Map<String, SpaName>,
    bindings: Bindings,
    results: Results,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    profile_exports: Map<ProfileId, UnixMillis>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    security_keys: Map<UserId, SecurityKeys>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    candidates: Map<ApplianceId, Candidate>,
    #[serde(default)]
    break_glass: Option<BreakGlass>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    admin_keys: Map<UserId, Vec<Thumbprint>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    waiting_orders: Map<Uuid, WaitingOrder>,
    /// How files left objects.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    applied: Map<(ObjectKind, Uuid), AppliedFields>,
    /// Revocations that batches owe, by entry and number.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    owed_revocations: Map<(LogIndex, u32), Revoke>,
    kek: Kek,
    /// Public keys with which secrets are wrapped for members.
    wrap_keys: Map<NodeId, String>,
    spa_masters: SpaMasters,
}

impl State {
    /// Log index that made this state: the `idx` of what is checked in it.
    #[must_use]
    pub const fn index(&self) -> LogIndex {
        self.index
    }

    /// The Collective, once it is founded.
    #[must_use]
    pub fn collective(&self) -> Option<&Collective> {
        self.collective.as_deref()
    }

    /// The Collective's present incarnation, once it is founded.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.collective().map(|collective| collective.incarnation)
    }

    /// Global settings; defaults before the founding.
    #[must_use]
    pub fn settings(&self) -> &GlobalSettings {
        static DEFAULT: LazyLock<GlobalSettings> = LazyLock::new(GlobalSettings::default);
        self.collective().map_or(&DEFAULT, |collective| &collective.settings)
    }

    /// A Controller, removed ones included.
    #[must_use]
    pub fn controller(&self, node: NodeId) -> Option<&ControllerRecord> {
        self.controllers.find(&node)
    }

    /// All Controllers, removed ones included, by node id.
    pub fn controllers(&self) -> impl DoubleEndedIterator<Item = &ControllerRecord> {
        self.controllers.values()
    }

    /// All Controllers that are not removed, by node id.
    pub fn living_controllers(&self) -> impl DoubleEndedIterator<Item = &ControllerRecord> {
        self.controllers().filter(|one| one.state != ApplianceState::Removed)
    }

    /// A Gateway that joined, removed ones included.
    #[must_use]
    pub fn gateway(&self, appliance: ApplianceId) -> Option<&GatewayRecord> {
        self.gateways.find(&appliance)
    }

    /// All Gateways that joined, removed ones included.
    pub fn gateways(&self) -> impl DoubleEndedIterator<Item = &GatewayRecord> {
        self.gateways.values()
    }

    /// All Gateways that joined and are not removed.
    pub fn living_gateways(&self) -> impl DoubleEndedIterator<Item = &GatewayRecord> {
        self.gateways().filter(|one| one.state != ApplianceState::Removed)
    }

    /// A join token, also a used one.
    #[must_use]
    pub fn join_token(&self, hash: &JoinTokenHash) -> Option<&JoinToken> {
        self.join_tokens.find(hash)
    }

    /// A key that signs tokens.
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<&KeyRecord> {
        self.signing_keys.find(&kid.to_owned()).map(|kept| &kept.record)
    }

    /// Since when a key that signs tokens is what it is.
    #[must_use]
    pub fn key_since(&self, kid: &str) -> Option<UnixMillis> {
        self.signing_keys.find(&kid.to_owned()).map(|kept| kept.since)
    }

    /// All keys that sign tokens, removed ones included.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &KeyRecord> {
        self.signing_keys.values().map(|kept| &kept.record)
    }

    /// All administered objects.
    #[must_use]
    pub const fn objects(&self) -> &Objects {
        &self.objects
    }

    /// An administered object with its version.
    #[must_use]
    pub fn object(&self, kind: ObjectKind, id: Uuid) -> Option<&Stored> {
        self.objects.find(kind, id)
    }

    /// The identity provider whose users are kept in the Collective.
    #[must_use]
    pub fn local_provider(&self) -> Option<&IdentityProvider> {
        self.identity_providers().find(|provider| provider.kind() == IdentityProviderKind::LocalDatabase)
    }

    /// The identity provider with this name.
    #[must_use]
    pub fn identity_provider_named(&self, name: &str) -> Option<&IdentityProvider> {
        match &self.objects.named(ObjectKind::IdentityProvider, name)?.object {
            Object::IdentityProvider(provider) => Some(provider),
            _ => None,
        }
    }

    /// The local user with this name.
    #[must_use]
    pub fn local_user_named(&self, name: &str) -> Option<&LocalUser> {
        match &self.objects.named(ObjectKind::LocalUser, name)?.object {
            Object::LocalUser(user) => Some(user),
            _ => None,
        }
    }

    /// A local user's password hash.
    #[must_use]
    pub fn local_password(&self, user: UserId) -> Option<&LocalPassword> {
        self.local_passwords.find(&user)
    }

    /// A named secret, sealed.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Sealed> {
        self.secrets.find(&name.to_owned())
    }

    /// Answers of the commands of the last 24 h.
    #[must_use]
    pub const fn results(&self) -> &Results {
        &self.results
    }

    /// BLAKE3 of the state's encoding: equal on every Controller at the same index.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        crate::codec::encode_into(&mut hasher, self).expect("every state has an encoding");
        *hasher.finalize().as_bytes()
    }

    fn collective_mut(&mut self) -> Result<&mut Collective, Rejection> {
        self.collective.as_mut().map(Arc::make_mut).ok_or(Rejection::NotFounded)
    }
}
