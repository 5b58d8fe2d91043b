//! Pools of tunnel addresses.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::EntityBase;
use crate::form::{self, Count, Prefix, Within};
use crate::id::IpPoolId;

/// Most ranges of a pool, and most exclusions.
pub const MAX_RANGES: usize = 64;
/// Days after its last use until an address is free again: above every token's lifetime, and at most ten years.
pub const LEASE_DAYS: RangeInclusive<u32> = 8..=3_660;

/// A pool. All ranges are of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpPool {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<IpPoolId>,
    /// IPv6 instead of IPv4.
    #[serde(default)]
    pub ip_version6: bool,
    /// Addresses of the pool, as CIDR or first–last.
    #[schemars(transform = Count(1..=MAX_RANGES))]
    pub ranges: Vec<IpRange>,
    /// Addresses that are never given out.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_RANGES))]
    pub excluded_ranges: Vec<IpRange>,
    /// Days after the last use until an address is free again; at least 8.
    #[serde(default = "default_lease")]
    #[schemars(transform = Within(LEASE_DAYS))]
    pub lease_time_days: u32,
}

/// A range: `{cidr}` or `{first, last}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpRange {
    /// The range as a prefix.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "form::optional_network")]
    #[schemars(with = "Option<Prefix>")]
    pub cidr: Option<IpNet>,
    /// First address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<IpAddr>,
    /// Last address, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<IpAddr>,
}

impl IpRange {
    /// First and last address, if the range is well formed (one family, first ≤ last).
    #[must_use]
    pub fn bounds(&self) -> Option<(IpAddr, IpAddr)> {
        match (self.cidr, self.first, self.last) {
            (Some(net), None, None) => Some(match net {
                IpNet::V4(v4) => (v4.network().into(), v4.broadcast().into()),
                IpNet::V6(v6) => (v6.network().into(), v6.broadcast().into()),
            }),
            (None, Some(first), Some(last)) if first.is_ipv4() == last.is_ipv4() && first <= last => {
                Some((first, last))
            }
            _ => None,
        }
    }
}

const fn default_lease() -> u32 {
    30
}
