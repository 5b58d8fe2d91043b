//! What a Gateway knows of the Collective, and how a change moves it on.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::FeedEvent;
use crate::id::{ApplianceId, CollectiveId, Incarnation, LogIndex, NodeId, SiteId};
use crate::membership::{ControllerRecord, GatewayRecord, KeyRecord};
use crate::object::appliance::ApplianceState;
use crate::object::settings::SpaMode;
use crate::revocation::Revocation;
use crate::spa::KnockKey;

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
