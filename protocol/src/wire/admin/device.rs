//! Bodies about registered devices, and about revoking their tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::{Count, Form, Is, Within};
use crate::id::{ApplianceId, CommandId, DeviceId, LogIndex, SiteId};
use crate::name::{DnScope, SessionDn};
use crate::revocation::TokenKind;
use crate::time::{Rfc3339, UnixMillis, rfc3339};

/// Most devices that one revocation names one by one: each is a log entry.
pub const MAX_SPECIFIC: usize = 1_000;
/// Longest delay of a revocation, in minutes: a day.
pub const MAX_DELAY_MINUTES: u32 = 24 * 60;
/// The reason of a revocation, or of a block.
pub const REASON: Form = Form::text(1_024, "has at most 1024 characters");

/// An item of `GET /admin/on-boarded-devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnBoardedDevice {
    /// `CN=<device>,CN=<user>,OU=<provider>`.
    pub distinguished_name: SessionDn,
    /// The device.
    pub device_id: DeviceId,
    /// The user.
    pub username: String,
    /// The provider.
    pub provider_name: String,
    /// `Client` or `Admin`; snake case as the vendor has it.
    #[serde(rename = "device_type")]
    pub device_type: String,
    /// What the device says.
    pub hostname: String,
    /// First seen.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub on_boarded_at: UnixMillis,
    /// Last seen.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub last_seen_at: UnixMillis,
}

/// `POST /admin/on-boarded-devices/revoke-tokens`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokeRequest {
    /// DN suffix (or the vendor's prefix form); empty: everyone.
    #[schemars(with = "DnScope")]
    pub distinguished_name_filter: String,
    /// Exactly these.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_SPECIFIC))]
    pub specific_distinguished_names: Vec<SessionDn>,
    /// Only entitlement tokens of this Site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteId>,
    /// Only this kind, in any case; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TokenKind>")]
    pub token_type: Option<String>,
    /// Logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = Is(REASON))]
    pub revocation_reason: Option<String>,
    /// Minutes from telling to effect; 0: renewed now, cut after 20 s.
    #[serde(default = "default_delay")]
    #[schemars(transform = Within(0..=MAX_DELAY_MINUTES))]
    pub delay_minutes: u32,
    /// Rate of renewals.
    #[serde(default = "default_rate")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 10_000))]
    pub devices_per_second: f64,
    /// Overrides what delay and rate say: `renewNow`, `renewWindow` or `cut`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["", "renewNow", "renewWindow", "cut", null]))]
    pub mode: Option<String>,
    /// `enforced`: answer once every reachable Gateway enforces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["", "enforced", null]))]
    pub wait: Option<String>,
    /// Makes a retry harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
}

/// Answer to a revocation: the vendor's list, and the proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokeAnswer {
    /// Devices concerned.
    pub data: Vec<OnBoardedDevice>,
    /// Log indexes of the revocations.
    pub indexes: Vec<LogIndex>,
    /// Kinds of tokens.
    pub kinds: Vec<TokenKind>,
    /// Per Gateway; empty unless waited for.
    #[serde(default)]
    pub enforced: Vec<GatewayEnforcement>,
}

/// How a Gateway stands to a revocation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayEnforcement {
    /// Id of the Gateway.
    pub gateway: ApplianceId,
    /// For people.
    pub name: String,
    /// Milliseconds from the API call to the kernel's acknowledgement, if it came.
    #[serde(default)]
    pub enforced_after_ms: Option<f64>,
    /// For a Gateway that did not answer: when its lease ends at the latest.
    #[serde(default)]
    pub lease_ends: Option<String>,
}

const fn default_delay() -> u32 {
    5
}
const fn default_rate() -> f64 {
    2.0
}
