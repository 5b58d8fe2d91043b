//! Sites: protected networks, the Gateways in front of them, and how long those may act without the Controllers.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EntityBase;
use crate::form::{self, Count, Each, Form, Is, Prefix, Within};
use crate::id::{IpPoolId, SiteId};

/// Default lease of a Gateway, in seconds.
pub const DEFAULT_LEASE_SECONDS: u32 = 15;
/// Description of a Site.
pub const DESCRIPTION: Form = Form::text(2_048, "has at most 2048 characters");
/// Length of a lease, in seconds.
pub const LEASE_SECONDS: RangeInclusive<u32> = 5..=60;
/// Length of the grace, in seconds; never shorter than the lease (T41).
pub const GRACE_SECONDS: RangeInclusive<u32> = 5..=MAX_GRACE_SECONDS;
/// Controllers whose confirmation a lease needs.
pub const WITNESSES: RangeInclusive<u32> = 1..=2;
/// Seconds between look-ups of a resolver.
pub const UPDATE_SECONDS: RangeInclusive<u32> = 5..=3_600;
/// Most networks of a Site: as many as a Client's routes.
pub const MAX_SUBNETS: usize = 4_096;
/// Most resolvers of a Site, and most servers and domains of one.
pub const MAX_RESOLVERS: usize = 64;
/// Longest grace, in seconds (T41).
pub const MAX_GRACE_SECONDS: u32 = 10_800;

/// A Site, as the admin API writes it; `leaseSeconds`, `graceSeconds` and `witnesses` are Ringwall's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Site {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<SiteId>,
    /// For people: it is read back, and changes nothing.
    #[serde(default)]
    #[schemars(transform = Is(DESCRIPTION))]
    pub description: String,
    /// Networks that Clients route to this Site.
    #[serde(default, deserialize_with = "form::networks")]
    #[schemars(with = "Vec<Prefix>", transform = Count(0..=MAX_SUBNETS))]
    pub network_subnets: Vec<IpNet>,
    /// Clients route what their entitlements name instead of `networkSubnets`.
    #[serde(default)]
    pub entitlement_based_routing: bool,
    /// Where entitlements would go when no Gateway of this Site answers. Not supported: refused unless it is absent.
    #[serde(default)]
    #[schemars(with = "()")]
    pub fallback_site: Option<SiteId>,
    /// Tunnel settings.
    #[serde(default)]
    pub vpn: VpnSettings,
    /// Name resolution.
    #[serde(default)]
    pub name_resolution: NameResolution,
    /// Pools of other addresses for this Site. Not supported: refused unless it is empty.
    #[serde(default)]
    #[schemars(transform = Count(0..=0))]
    pub ip_pool_mappings: Vec<IpPoolMapping>,
    /// How long a Gateway acts on one confirmation, 5–60 s.
    #[serde(default = "default_lease")]
    #[schemars(transform = Within(LEASE_SECONDS))]
    pub lease_seconds: u32,
    /// If set: sessions that live go on that long without confirmation, up to 3 h. Availability before security.
    #[serde(default)]
    #[schemars(transform = Within(GRACE_SECONDS))]
    pub grace_seconds: Option<u32>,
    /// Controllers whose confirmation a lease needs: 1, or 2 where at least two are active. With 2 the Site closes when a
    /// Gateway reaches only one of them. Security before availability.
    #[serde(default = "default_witnesses")]
    #[schemars(transform = Within(WITNESSES))]
    pub witnesses: u8,
}

/// Tunnel settings of a Site (`vpn`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpnSettings {
    /// Protected hosts see the Gateway's address instead of the tunnel address.
    #[serde(default = "yes")]
    pub snat: bool,
    /// DTLS beside TLS. Not supported: refused unless it is off.
    #[serde(default)]
    pub dtls: Toggle,
}

impl Default for VpnSettings {
    fn default() -> Self {
        Self { snat: true, dtls: Toggle::default() }
    }
}

/// On or off, as the admin API nests it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Toggle {
    /// On?
    #[serde(default)]
    #[schemars(extend("const" = false))]
    pub enabled: bool,
}

/// Name resolution of a Site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameResolution {
    /// DNS servers by domain.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_RESOLVERS))]
    pub dns_resolvers: Vec<DnsResolver>,
}

/// One DNS resolver of a Site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsResolver {
    /// For people.
    #[schemars(transform = Is(form::OBJECT_NAME))]
    pub name: String,
    /// Seconds between look-ups, 5–3,600.
    #[serde(default = "default_update")]
    #[schemars(transform = Within(UPDATE_SECONDS))]
    pub update_interval: u32,
    /// Also ask for IPv6 addresses.
    #[serde(default, rename = "queryAAAA")]
    pub query_aaaa: bool,
    /// Servers; empty: those of the Gateway's host.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_RESOLVERS))]
    pub servers: Vec<std::net::IpAddr>,
    /// Domains that it resolves; empty: all.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_RESOLVERS), transform = Each(form::DOMAIN))]
    pub match_domains: Vec<String>,
}

/// Addresses of one pool become those of another at this Site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpPoolMapping {
    /// Pool of the identity provider.
    pub from: IpPoolId,
    /// Pool at this Site.
    pub to: IpPoolId,
}

const fn yes() -> bool {
    true
}
const fn default_lease() -> u32 {
    DEFAULT_LEASE_SECONDS
}
const fn default_witnesses() -> u8 {
    1
}
const fn default_update() -> u32 {
    60
}
