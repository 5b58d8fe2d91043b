//! Appliances: Controllers and Gateways as the administrator sees them.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EntityBase;
use crate::form::{self, Count, Each, Is, Within};
use crate::id::{ApplianceId, SiteId};

/// Weight of a Gateway.
pub const WEIGHT: RangeInclusive<u32> = 0..=10_000;
/// Most addresses of one listener.
pub const MAX_ADDRESSES: usize = 16;

/// An appliance. Exactly one of `controller.enabled` and `gateway.enabled` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Appliance {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<ApplianceId>,
    /// Name or address of the machine, for people.
    #[serde(default)]
    #[schemars(transform = Is(form::SHORT_LINE))]
    pub hostname: String,
    /// The Site of a Gateway.
    #[serde(default)]
    pub site: Option<SiteId>,
    /// Its role as a Controller.
    #[serde(default)]
    pub controller: Role,
    /// Its role as a Gateway.
    #[serde(default)]
    pub gateway: GatewayRole,
    /// Where Clients reach it: `host:port`, tried in order.
    #[serde(default)]
    pub client_interface: Interface,
    /// Where other appliances reach it (Controllers). What is an IP address here is never given to a tunnel.
    #[serde(default)]
    #[schemars(with = "PeerInterface")]
    pub peer_interface: Interface,
    /// Set by the system: it has joined.
    #[serde(default)]
    pub activated: bool,
    /// Set by the system and by `suspend`/`resume`.
    #[serde(default)]
    pub state: ApplianceState,
}

/// Whether a role is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    /// It is.
    #[serde(default)]
    pub enabled: bool,
}

/// The Gateway role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayRole {
    /// It is played.
    #[serde(default)]
    pub enabled: bool,
    /// Its share of sessions.
    #[serde(default)]
    pub vpn: GatewayWeight,
}

/// A Gateway's share of the sessions of its Site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayWeight {
    /// 0–10,000; 0 means only if no other is left.
    #[serde(default = "default_weight")]
    #[schemars(transform = Within(WEIGHT))]
    pub weight: u32,
}

impl Default for GatewayWeight {
    fn default() -> Self {
        Self { weight: default_weight() }
    }
}

/// Addresses of a listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// `host:port` or `[v6]:port`.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_ADDRESSES), transform = Each(form::HOST_AND_PORT))]
    pub addresses: Vec<String>,
    /// Overrides the Collective's SPA mode for all ports of the appliance; belongs to the client interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_spa_mode: Option<super::settings::SpaMode>,
}

/// The peer interface as the API describes it: an [`Interface`] without what is not supported there.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes another type")]
struct PeerInterface {
    /// `host:port` or `[v6]:port`.
    #[schemars(default, transform = Count(0..=MAX_ADDRESSES), transform = Each(form::HOST_AND_PORT))]
    addresses: Vec<String>,
    /// Not supported: refused unless it is absent. All ports of an appliance have the mode of the client interface.
    #[schemars(default, skip_serializing)]
    override_spa_mode: (),
}

/// The lifecycle of an appliance: `inactive → joining → active ⇄ suspended → retiring → removed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApplianceState {
    /// Known, has never joined.
    #[default]
    Inactive,
    /// Holds a certificate, is not serving yet.
    Joining,
    /// Serving.
    Active,
    /// Keeps its sessions, takes no new ones.
    Suspended,
    /// On its way out: issues nothing new.
    Retiring,
    /// Out for ever.
    Removed,
}

const fn default_weight() -> u32 {
    100
}
