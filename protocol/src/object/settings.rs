//! Settings of the whole Collective.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::{self, Count, Form, Is, Prefix, Within};

/// Hard cap on the lifetime of a claims token, in minutes (T20).
pub const MAX_CLAIMS_MINUTES: u32 = 24 * 60;
/// Hard cap on the lifetime of an entitlement token, in minutes.
pub const MAX_ENTITLEMENT_MINUTES: u32 = 24 * 60;
/// Hard cap on the lifetime of an administrator's token, in minutes.
pub const MAX_ADMIN_MINUTES: u32 = 12 * 60;
/// Hard cap on the lifetime of a client certificate, in minutes.
pub const MAX_CERTIFICATE_MINUTES: u32 = 7 * 24 * 60;

/// Minutes without a request after which a bearer token of the admin API may be set to end. One that is bound to a key ends
/// after 60.
pub const BEARER_IDLE_MINUTES: RangeInclusive<u32> = 5..=60;
/// Most networks from which bearer tokens are accepted.
pub const MAX_BEARER_SOURCES: usize = 64;

/// A configured time, in minutes or days: at most ten years of minutes. What is above a hard cap is kept and clamped in
/// effect (T20).
pub const CONFIGURED_TIME: RangeInclusive<u32> = 1..=10 * 366 * 24 * 60;
/// Window of a knock, in seconds.
pub const SPA_WINDOW_SECONDS: RangeInclusive<u32> = 30..=3_600;
/// The message of the day.
pub const MESSAGE_OF_THE_DAY: Form = Form::text(4_096, "has at most 4096 characters");

/// Global settings. Lifetimes are minutes; values above the hard caps are kept but clamped in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GlobalSettings {
    /// Claims tokens.
    #[schemars(transform = Within(CONFIGURED_TIME))]
    pub claims_token_expiration: u32,
    /// Entitlement tokens.
    #[schemars(transform = Within(CONFIGURED_TIME))]
    pub entitlement_token_expiration: u32,
    /// Administrators' tokens.
    #[schemars(transform = Within(CONFIGURED_TIME))]
    pub administration_token_expiration: u32,
    /// Client certificates.
    #[schemars(transform = Within(CONFIGURED_TIME))]
    pub vpn_certificate_expiration: u32,
    /// From a sign-in to the next one with credentials.
    #[schemars(transform = Within(CONFIGURED_TIME))]
    pub max_sign_in_minutes: u32,
    /// Window of a knock, 30–3,600 s.
    #[schemars(transform = Within(SPA_WINDOW_SECONDS))]
    pub spa_time_window_seconds: u32,
    /// Whether knocks are wanted, and how.
    pub spa_mode: SpaMode,
    /// Where Clients find the Controllers: `host:port`.
    #[schemars(transform = Is(form::HOST_AND_PORT))]
    pub profile_hostname: String,
    /// Days after which an unseen device is forgotten.
    #[schemars(transform = Within(CONFIGURED_TIME))]
    pub registered_device_expiration_days: u32,
    /// How changed policies reach live sessions.
    pub apply_changes: ApplyChanges,
    /// Shown to administrators at sign-in.
    #[schemars(transform = Is(MESSAGE_OF_THE_DAY))]
    pub message_of_the_day: String,
    /// Minutes without a request after which a bearer token of the admin API ends, 5–60 (T57).
    #[schemars(transform = Within(BEARER_IDLE_MINUTES))]
    pub bearer_idle_minutes: u32,
    /// Networks from which bearer tokens of the admin API are given and accepted; empty: from everywhere that reaches it.
    /// Tokens that are bound to a key, as those of `ringctl`, are not concerned.
    #[serde(deserialize_with = "form::networks")]
    #[schemars(with = "Vec<Prefix>", transform = Count(0..=MAX_BEARER_SOURCES))]
    pub bearer_sources: Vec<IpNet>,
    /// Whether what can end the Collective waits for a second administrator (T65).
    pub dual_control: DualControl,
}

impl Default for GlobalSettings {
    fn default() -> Self {
        Self {
            claims_token_expiration: 8 * 60,
            entitlement_token_expiration: 180,
            administration_token_expiration: 720,
            vpn_certificate_expiration: 24 * 60,
            max_sign_in_minutes: 24 * 60,
            spa_time_window_seconds: 300,
            spa_mode: SpaMode::UdpTcp,
            profile_hostname: String::new(),
            registered_device_expiration_days: 90,
            apply_changes: ApplyChanges::RenewNow,
            message_of_the_day: String::new(),
            bearer_idle_minutes: 15,
            bearer_sources: Vec::new(),
            dual_control: DualControl::Off,
        }
    }
}

/// Single packet authorization.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SpaMode {
    /// No knock is wanted: ports answer TLS to anybody.
    Open,
    /// Proof in the `ClientHello`.
    #[serde(rename = "TCP")]
    Tcp,
    /// A UDP packet first, and the proof in the `ClientHello`.
    #[default]
    #[serde(rename = "UDP-TCP")]
    UdpTcp,
}

/// Dual control: what can end the Collective is ordered by one administrator and approved by another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DualControl {
    /// One administrator is enough.
    #[default]
    Off,
    /// A second one must approve.
    Required,
}

/// How a changed policy, entitlement, condition or Site reaches live sessions (T38).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApplyChanges {
    /// Entitlement tokens are renewed at once, unnoticed.
    #[default]
    RenewNow,
    /// At the next renewal.
    OnRenewal,
    /// Sessions concerned are cut.
    Cut,
}
