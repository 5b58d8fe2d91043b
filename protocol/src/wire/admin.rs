//! Bodies of the admin API that are not objects: lists, errors, sign-in, devices, revocation, sessions, membership.
//!
//! Base path `/admin`; `Accept: application/vnd.appgate.peer-v<N>+json` with N from [`LOWEST_VERSION`] to
//! [`VERSION`], else 406. Names, paths and codes follow the vendor's OpenAPI so that existing tools can drive Ringwall;
//! what only Ringwall has (`mode`, `wait`, `/collective`, `/explain`) is additional.

mod administrator;
mod admission;
mod approval;
mod device;
mod fido2;
mod otp;
mod profile;
mod status;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::authorize::EntitlementState;
use crate::claims::{ClaimMap, Reason};
use crate::form::{self, Is, Within};
use crate::id::{ApplianceId, DeviceId, SessionId, SiteId};
use crate::name::{SessionDn, UserDn};
use crate::object::role::Privilege;
use crate::spa::KnockKey;
use crate::time::{Rfc3339, UnixMillis, rfc3339};

pub use administrator::{AdministratorSession, BreakGlassCode, BreakGlassStatus};
pub use admission::{AdmitRequest, FINGERPRINT, WaitingController};
pub use approval::{ApprovedOrder, WaitingOrder};
pub use device::{
    GatewayEnforcement, MAX_DELAY_MINUTES, MAX_SPECIFIC, OnBoardedDevice, REASON, RevokeAnswer, RevokeRequest,
};
pub use fido2::{Fido2Code, Fido2Device, Fido2Permit, MAX_REGISTRATION_HOURS};
pub use otp::{OtpCode, OtpHolder, OtpPermit};
pub use profile::{
    BarcodeFormat, MAX_ON_BOARDING_HOURS, OnBoarding, OnBoardingRequest, ProfileBarcode, ProfileEmail, ProfilePage,
    ProfileUrl,
};
pub use status::{CollectiveStatus, ControllerStatus, GatewayStatus, SharedKeys};

/// Lowest version that is served.
pub const LOWEST_VERSION: u16 = 18;
/// Highest version that is served.
pub const VERSION: u16 = 24;
/// Longest body of a request, in bytes.
pub const MAX_ADMIN_BODY: usize = 1024 * 1024;

/// Most days that the token of a seed is valid.
pub const MAX_SEED_DAYS: u32 = 30;

/// `GET /admin/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionAnswer {
    /// Highest.
    pub peer_version: u16,
    /// Lowest.
    pub lowest_peer_version_supported: u16,
}

/// The body of every refusal: `{id, message}`, with more where it helps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminError {
    /// Machine readable code.
    pub id: String,
    /// For people: what was wrong and what to do.
    pub message: String,
    /// 422: field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// 406: lowest version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_supported_version: Option<u16>,
    /// 406: highest version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_supported_version: Option<u16>,
    /// 202: the order that waits for a second administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Uuid>,
}

/// One field that fails validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// Its name, with the position in lists: `actions[0].hosts`.
    pub field: String,
    /// Explanation in words, for people.
    pub message: String,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The items.
    pub data: Vec<T>,
    /// `first-last/total`.
    pub range: String,
    /// All that the caller may read.
    pub total_count: usize,
    /// Field that it is sorted by.
    pub order_by: String,
    /// Downwards.
    pub descending: bool,
    /// Texts that were looked for.
    #[serde(default)]
    pub queries: Vec<String>,
    /// Filters.
    #[serde(default)]
    pub filter_by: Vec<Filter>,
}

/// A filter of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Filter {
    /// Field.
    pub name: String,
    /// Text that it must contain.
    pub value: String,
}

/// `POST /admin/login` and `/admin/authentication`. No `Debug`: it holds a password.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginRequest {
    /// Name of the identity provider.
    pub provider_name: String,
    /// Name.
    #[serde(default)]
    pub username: String,
    /// Password.
    #[serde(default)]
    pub password: String,
    /// The same at every login from the same machine.
    pub device_id: DeviceId,
}

/// Answer to a login.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginAnswer {
    /// The administrator.
    pub user: AdminUser,
    /// The token: a bearer token, or bound to the key whose proof came with the request (RFC 9449).
    pub token: String,
    /// Until when.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub expires: UnixMillis,
    /// For people.
    #[serde(default)]
    pub message_of_the_day: String,
}

/// Answer to `POST /authentication/knock-key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnockKeyAnswer {
    /// The caller's key for knocking on the admin port: 96 bytes, base64url (outer key, handle, key).
    pub knock_key: KnockKey,
}

/// A signed-in administrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminUser {
    /// Name.
    pub name: String,
    /// Another factor is still wanted.
    pub need_two_factor_auth: bool,
    /// May read the audit log.
    pub can_access_audit_logs: bool,
    /// What they may do.
    pub privileges: Vec<Privilege>,
}

/// An item of `GET /admin/identity-providers/names`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderOffer {
    /// Name.
    pub name: String,
    /// Name, for people.
    pub display_name: String,
    /// `Credentials` or `Oidc`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// An item of `GET /admin/blacklist`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlacklistEntry {
    /// `CN=<user>,OU=<provider>`.
    pub user_distinguished_name: UserDn,
    /// The user.
    #[serde(default)]
    pub username: String,
    /// The provider.
    #[serde(default)]
    pub provider_name: String,
    /// Since when; set by the system.
    #[serde(default, with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub blacklisted_at: UnixMillis,
    /// Reason, in words.
    #[serde(default)]
    pub reason: String,
}

/// `POST /admin/blacklist`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockRequest {
    /// `CN=<user>,OU=<provider>`.
    pub user_distinguished_name: UserDn,
    /// Reason, in words.
    #[serde(default)]
    #[schemars(transform = Is(REASON))]
    pub reason: String,
}

/// An item of `GET /admin/stats/active-sessions/dn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveSession {
    /// DN of the session: provider, user and device.
    pub distinguished_name: SessionDn,
    /// Per Site.
    pub sites: Vec<SessionAtSite>,
}

/// A session at one Site, also in `GET /admin/session-info/{dn}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionAtSite {
    /// Id of the session.
    pub session_id: SessionId,
    /// Site.
    pub site_id: SiteId,
    /// For people.
    pub site_name: String,
    /// Gateway.
    pub gateway_id: ApplianceId,
    /// For people.
    pub gateway_name: String,
    /// Since when.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub since: UnixMillis,
    /// Where it comes from.
    pub client_address: String,
    /// Inside the tunnel.
    pub tunnel_addresses: Vec<std::net::IpAddr>,
    /// Entitlement by entitlement.
    pub entitlements: Vec<EntitlementState>,
    /// Elements in its rule set.
    pub rules: u32,
}

/// `GET /admin/session-info/{dn}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// DN of the session: provider, user and device.
    pub distinguished_name: SessionDn,
    /// What the device says.
    pub device_claims: ClaimMap,
    /// Reasons given, by suffix.
    pub reasons: BTreeMap<String, Reason>,
    /// Policies that match now.
    pub policy_names: Vec<String>,
    /// Site by Site.
    pub sites: Vec<SessionAtSite>,
}

/// `POST /admin/explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainRequest {
    /// `CN=<user>,OU=<provider>`, `CN=<device>,CN=<user>,OU=<provider>`, or a bare user name of the local provider.
    pub user: String,
    /// `address:port`, `[v6]:port`, or an address for ping.
    #[schemars(transform = Is(form::DESTINATION))]
    pub destination: String,
    /// `tcp`, `udp` or `icmp`.
    #[serde(default = "default_protocol")]
    #[schemars(extend("enum" = ["tcp", "udp", "icmp", "icmpv6"]))]
    pub protocol: String,
    /// Device claims to assume where no session is live.
    #[serde(default)]
    pub device_claims: ClaimMap,
}

/// `POST /admin/appliances/{id}/export`: options of the seed file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExportRequest {
    /// Days until the join token ends, 1–30; absent: 1.
    #[schemars(transform = Within(1..=MAX_SEED_DAYS))]
    pub validity_days: Option<u32>,
}

/// `POST /admin/otp/seeds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtpSeedRequest {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
}

/// Answer of `POST /admin/otp/seeds`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtpSeed {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
    /// The seed, base32; only in the answer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `otpauth://totp/…`; only in the answer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp_auth_url: Option<String>,
}

/// What a caller of a re-evaluation gets: whose sessions were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReevaluateAnswer {
    /// DNs of live sessions.
    pub reevaluated: Vec<SessionDn>,
    /// The same under the vendor's name.
    #[serde(default)]
    pub reevaluated_distinguished_names: Vec<SessionDn>,
}

fn default_protocol() -> String {
    "tcp".to_owned()
}
