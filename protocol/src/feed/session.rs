//! What a Gateway tells of a live session.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::authorize::EntitlementState;
use crate::claims::{ClaimMap, Reason, StepUp};
use crate::connection::ConnectionProof;
use crate::id::{ApplianceId, LogIndex, SessionId, SignInId, SiteId, UserId};
use crate::name::SessionDn;
use crate::time::UnixMillis;

/// Refused answers that a session tells of.
pub const MAX_REFUSED_NAMES: usize = 16;

/// A name of a session's entitlements, and an address in a name server's answer that the Gateway ignores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedName {
    /// The name, in lower case.
    pub name: String,
    /// What the name server said.
    pub address: IpAddr,
    /// Why it does not count.
    pub reason: NameRefusal,
}

/// Why no name may stand for an address (T79).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NameRefusal {
    /// Loopback, link-local (cloud metadata), multicast, or another range that is no host's (RFC 6890).
    SpecialPurpose,
    /// A Controller, or a Gateway of the Site.
    Appliance,
    /// In a pool of tunnel addresses: a Client.
    TunnelPool,
    /// Outside of the Site's networks.
    OutsideSite,
}

impl NameRefusal {
    /// As metrics and logs name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SpecialPurpose => "special_purpose",
            Self::Appliance => "appliance",
            Self::TunnelPool => "tunnel_pool",
            Self::OutsideSite => "outside_site",
        }
    }

    /// What is wrong with the address, and what to do, for operators.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::SpecialPurpose => "a special-purpose address, which no protected host has: correct the DNS record",
            Self::Appliance => "the address of a Controller or Gateway: correct the DNS record",
            Self::TunnelPool => "in a pool of tunnel addresses: correct the DNS record",
            Self::OutsideSite => {
                "outside of the Site's networks: add its network to networkSubnets, or correct the DNS record"
            }
        }
    }
}

/// What the Collective shows of a live session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionSummary {
    /// Id of the session.
    pub session: SessionId,
    /// DN of the session: provider, user and device.
    pub dn: SessionDn,
    /// The sign-in from which its tokens stem.
    pub sid: SignInId,
    /// Log index at which that sign-in began: of two sign-ins of a device, the higher one counts.
    pub sign_in_idx: LogIndex,
    /// The Client's number of this connection: of two connections of one sign-in, the higher one counts.
    pub connect_seq: u64,
    /// The Client's signature over that number.
    pub proof: ConnectionProof,
    /// The user of the DN, whatever he is called later.
    pub user_id: UserId,
    /// The Site whose hosts it may reach.
    pub site: SiteId,
    /// At which Gateway.
    pub gateway: ApplianceId,
    /// When it was admitted.
    pub since: UnixMillis,
    /// Address that it comes from.
    pub client_address: String,
    /// Addresses of the Client inside the tunnel, at most one of each family.
    pub tunnel_addresses: Vec<IpAddr>,
    /// Per entitlement: open or not, and which conditions fail.
    pub entitlements: Vec<EntitlementState>,
    /// Device claims last heard.
    #[serde(default)]
    pub device: ClaimMap,
    /// Reasons given, by suffix.
    #[serde(default)]
    pub reasons: BTreeMap<String, Reason>,
    /// User claims of its claims token.
    #[serde(default)]
    pub user: ClaimMap,
    /// Proofs in its claims token, by suffix.
    #[serde(default)]
    pub step_ups: BTreeMap<String, StepUp>,
    /// Answers of name servers that did not count, the latest last; at most [`MAX_REFUSED_NAMES`].
    #[serde(default)]
    pub refused_names: Vec<RefusedName>,
    /// Elements in its rule set.
    pub rules: u32,
    /// Counts up with every change.
    pub generation: u64,
}
