//! Settings of RADIUS servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PORT, SERVER, SERVERS, TIMEOUT_SECONDS};
use crate::form::{Count, Each, Within};

/// Settings of a RADIUS provider. The secret `sharedSecret` is kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RadiusSettings {
    /// Servers, tried in this order.
    #[schemars(transform = Count(SERVERS), transform = Each(SERVER))]
    pub hostnames: Vec<String>,
    /// Port of all of them.
    #[serde(default = "default_port")]
    #[schemars(transform = Within(PORT))]
    pub port: u16,
    /// How the password travels.
    #[serde(default)]
    pub authentication_protocol: RadiusProtocol,
    /// Seconds until all servers together count as unreachable.
    #[serde(default = "default_timeout")]
    #[schemars(transform = Within(TIMEOUT_SECONDS))]
    pub timeout: u32,
}

/// How a password travels to a RADIUS server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RadiusProtocol {
    /// Hidden by the shared secret (RFC 2865 §5.2).
    #[serde(rename = "PAP")]
    Pap,
    /// As the answer to a challenge (RFC 2865 §5.3).
    #[default]
    #[serde(rename = "CHAP")]
    Chap,
}

pub(super) const fn default_port() -> u16 {
    1812
}
pub(super) const fn default_timeout() -> u32 {
    6
}
