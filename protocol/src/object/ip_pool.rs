//! Pools of tunnel addresses.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use super::EntityBase;
use crate::id::IpPoolId;

/// A pool. All ranges are of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpPool {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<IpPoolId>,
    /// IPv6 instead of IPv4.
    #[serde(default)]
    pub ip_version6: bool,
    /// Addresses of the pool, as CIDR or first–last.
    pub ranges: Vec<IpRange>,
    /// Addresses that are never given out.
    #[serde(default)]
    pub excluded_ranges: Vec<IpRange>,
    /// Days after the last use until an address is free again; at least 8.
    #[serde(default = "default_lease")]
    pub lease_time_days: u32,
}

/// A range: `{cidr}` or `{first, last}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpRange {
    /// The range as a prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
