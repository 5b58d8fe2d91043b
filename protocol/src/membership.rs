//! Who belongs to the Collective: the records by which everyone is trusted (T6: membership, never chains).

use serde::{Deserialize, Serialize};

use crate::id::{ApplianceId, LogIndex, NodeId, SiteId, Thumbprint};
use crate::object::appliance::ApplianceState;

/// A Controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControllerRecord {
    /// Its place in the Raft group.
    pub node: NodeId,
    /// Its appliance.
    pub appliance: ApplianceId,
    /// For people.
    pub name: String,
    /// Active, retiring or removed; a removed one stays listed until no token of its can live.
    pub state: ApplianceState,
    /// Keys of its own certificate: the present one and, for 24 h, the next.
    pub keys: Vec<Thumbprint>,
    /// DER of its intermediate that issues client certificates, base64url; absent until the root signed it.
    #[serde(default)]
    pub client_issuer: Option<String>,
    /// DER of its intermediate that issues appliances' certificates.
    #[serde(default)]
    pub appliance_issuer: Option<String>,
    /// `host:port` of its peer listener, tried in order.
    pub peer_addresses: Vec<String>,
    /// `host:port` of its client API.
    pub client_addresses: Vec<String>,
    /// `host:port` of its admin API.
    #[serde(default)]
    pub admin_addresses: Vec<String>,
}

/// Addresses of its interfaces that a Gateway tells of.
pub const MAX_INTERFACE_ADDRESSES: usize = 64;

/// A Gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRecord {
    /// Its appliance.
    pub appliance: ApplianceId,
    /// For people.
    pub name: String,
    /// Its Site.
    pub site: SiteId,
    /// Active, suspended, retiring or removed.
    pub state: ApplianceState,
    /// Keys of its certificate.
    pub keys: Vec<Thumbprint>,
    /// `host:port` where Clients reach it.
    pub addresses: Vec<String>,
    /// Addresses of its interfaces, as it last reported them; at most [`MAX_INTERFACE_ADDRESSES`].
    #[serde(default)]
    pub interface_addresses: Vec<std::net::IpAddr>,
    /// Share of sessions, 0–10,000.
    pub weight: u32,
}

/// A key that signs tokens (T35).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    /// Names it in a token's header.
    pub kid: String,
    /// The Controller that holds its private half.
    pub controller: NodeId,
    /// Ed25519 public key, 32 bytes, base64url.
    pub public_key: String,
    /// Tokens with an `idx` from here on.
    pub from: LogIndex,
    /// Tokens with an `idx` up to here; absent while it is active.
    #[serde(default)]
    pub until: Option<LogIndex>,
    /// What it may still prove.
    pub state: KeyState,
}

/// The lifecycle of a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyState {
    /// Signs and verifies.
    Active,
    /// Verifies tokens up to `until`.
    Retired,
    /// Proves nothing.
    Removed,
}

impl KeyRecord {
    /// Whether a token with this `idx` can have been signed by the key in good order.
    #[must_use]
    pub fn covers(&self, idx: LogIndex) -> bool {
        self.state != KeyState::Removed && self.from <= idx && self.until.is_none_or(|until| idx <= until)
    }
}
