//! Identity providers: what all kinds have, and which kinds there are. What only one kind has stands in a file of its
//! own; MFA providers in [`factor`].
//!
//! Secrets (`adminPassword`, `sharedSecret`, …) are no part of an object: they are written once, sealed, and kept as
//! named secrets beside it.

pub mod certificate;
pub mod factor;
pub mod ldap;
pub mod oidc;
pub mod radius;

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EntityBase;
use crate::form::{self, Count, Form, Is, Within};
use crate::id::{IpPoolId, MfaProviderId, ProviderId};

pub use certificate::{CertificateSettings, LdapCertificateSettings};
pub use factor::{FactorSettings, MfaProvider, MfaProviderKind};
pub use ldap::LdapSettings;
pub use oidc::OidcSettings;
pub use radius::RadiusSettings;

/// Name of the provider, and of its one user, that the break-glass code stands for at the admin API. No object has it.
pub const BREAK_GLASS: &str = "break-glass";

/// Devices that a user may register.
pub const DEVICE_LIMIT: RangeInclusive<u32> = 0..=10_000;
/// Failed sign-ins until a lock-out.
pub const LOCKOUT_THRESHOLD: RangeInclusive<u32> = 1..=100;
/// First lock-out, in minutes.
pub const LOCKOUT_MINUTES: RangeInclusive<u32> = 1..=60;
/// Shortest password that a provider may ask for, in characters; the longest has 1,024 bytes.
pub const PASSWORD_LENGTH: RangeInclusive<u32> = 0..=1_024;
/// Most mappings of one provider.
pub const MAX_MAPPINGS: usize = 256;
/// Most scripts of one provider: all of them run at every sign-in.
pub const MAX_SCRIPTS: usize = 16;
/// Most servers of a provider: each may take seconds to fail.
pub const SERVERS: RangeInclusive<usize> = 1..=8;
/// A server's port.
pub const PORT: RangeInclusive<u32> = 1..=65_535;
/// Seconds until all servers together count as unreachable: Clients wait no longer than 20 for an answer.
pub const TIMEOUT_SECONDS: RangeInclusive<u32> = 1..=90;
/// A server's host name or address, without port.
pub const SERVER: Form =
    Form::matching("^[^/@\\u0000-\\u0020\\u007f-\\u009f]+$", 1, 253, "is a host name or an address, without port");
/// What a user reads when another factor is asked for at sign-in.
pub const SIGN_IN_MESSAGE: Form = Form::text(crate::interaction::MAX_MESSAGE, "has at most 2048 characters");
/// A parameter of a command of Clients.
pub const PARAMETER: Form = Form::line(1_024, "is wanted for this command, at most 1024 characters");
/// Commands of Clients, and whether they take a path (otherwise a name).
pub const COMMANDS: [(&str, bool); 6] = [
    ("fileExists", true),
    ("fileSize", true),
    ("fileSha512", true),
    ("fileUpdated", true),
    ("processRunning", false),
    ("serviceRunning", false),
];
/// Platforms of on-demand claims.
pub const PLATFORMS: [&str; 8] = [
    "all",
    "desktop.all",
    "desktop.linux.all",
    "desktop.macos.all",
    "desktop.windows.all",
    "mobile.all",
    "mobile.android.all",
    "mobile.ios.all",
];

/// An identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<ProviderId>,
    /// Its kind (`type`), and what only that kind has.
    #[serde(flatten)]
    pub settings: ProviderSettings,
    /// Pool of IPv4 tunnel addresses.
    #[serde(default)]
    pub ip_pool_v4: Option<IpPoolId>,
    /// Pool of IPv6 tunnel addresses.
    #[serde(default)]
    pub ip_pool_v6: Option<IpPoolId>,
    /// Devices a user may register; 0 blocks new ones.
    #[serde(default = "default_limit")]
    #[schemars(transform = Within(DEVICE_LIMIT))]
    pub device_limit_per_user: u32,
    /// Another factor at sign-in.
    #[serde(default, rename = "onBoarding2FA")]
    pub on_boarding_2fa: Option<SignInMfa>,
    /// Its users may sign in as administrators.
    #[serde(default)]
    pub admin_provider: bool,
    /// Failed sign-ins until a lock-out.
    #[serde(default = "default_threshold")]
    #[schemars(transform = Within(LOCKOUT_THRESHOLD))]
    pub user_lockout_threshold: u32,
    /// First lock-out in minutes; doubles up to an hour.
    #[serde(default = "default_lockout")]
    #[schemars(transform = Within(LOCKOUT_MINUTES))]
    pub user_lockout_duration_minutes: u32,
    /// Shortest password of a local user.
    #[serde(default)]
    #[schemars(transform = Within(PASSWORD_LENGTH))]
    pub min_password_length: u32,
    /// From the provider's attributes to user claims.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_MAPPINGS))]
    pub claim_mappings: Vec<ClaimMapping>,
    /// Expressions that make further user claims of those that the provider told.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_SCRIPTS))]
    pub claim_scripts: Vec<ClaimScript>,
    /// Commands that Clients run for device claims.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_MAPPINGS))]
    pub on_demand_claim_mappings: Vec<OnDemandClaim>,
    /// What happens to a known device id with another key (T15).
    #[serde(default)]
    pub device_takeover: DeviceTakeover,
}

impl IdentityProvider {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> IdentityProviderKind {
        self.settings.kind()
    }
}

/// What only one kind of provider has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum ProviderSettings {
    /// Users kept in the Collective.
    LocalDatabase,
    /// LDAP or Active Directory.
    Ldap(Box<LdapSettings>),
    /// A certificate whose user is found in LDAP.
    LdapCertificate(Box<LdapCertificateSettings>),
    /// A certificate alone.
    Certificate(Box<CertificateSettings>),
    /// RADIUS.
    Radius(Box<RadiusSettings>),
    /// OpenID Connect.
    Oidc(Box<OidcSettings>),
    /// SAML 2.0. Not supported: refused by name.
    #[schemars(skip)]
    Saml,
}

impl ProviderSettings {
    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> IdentityProviderKind {
        match self {
            Self::LocalDatabase => IdentityProviderKind::LocalDatabase,
            Self::Ldap(_) => IdentityProviderKind::Ldap,
            Self::LdapCertificate(_) => IdentityProviderKind::LdapCertificate,
            Self::Certificate(_) => IdentityProviderKind::Certificate,
            Self::Radius(_) => IdentityProviderKind::Radius,
            Self::Oidc(_) => IdentityProviderKind::Oidc,
            Self::Saml => IdentityProviderKind::Saml,
        }
    }
}

/// Kinds of identity providers (S17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum IdentityProviderKind {
    /// Users kept in the Collective.
    LocalDatabase,
    /// LDAP or Active Directory.
    Ldap,
    /// A certificate whose user is found in LDAP.
    LdapCertificate,
    /// A certificate alone.
    Certificate,
    /// RADIUS.
    Radius,
    /// OpenID Connect.
    Oidc,
    /// SAML 2.0.
    Saml,
}

/// Another factor at sign-in (`onBoarding2FA`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignInMfa {
    /// Who verifies it.
    pub mfa_provider_id: MfaProviderId,
    /// What the user reads.
    #[serde(default)]
    #[schemars(transform = Is(SIGN_IN_MESSAGE))]
    pub message: String,
    /// Claim suffix under which the step-up is kept.
    #[serde(default = "default_suffix")]
    #[schemars(transform = Is(form::SUFFIX))]
    pub claim_suffix: String,
    /// True: at every sign-in; false: only to register a device.
    #[serde(default)]
    pub always_required: bool,
}

/// A user attribute becomes a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimMapping {
    /// Name at the provider.
    #[schemars(transform = Is(form::OBJECT_NAME))]
    pub attribute_name: String,
    /// Name under `user`.
    #[schemars(transform = Is(form::IDENTIFIER))]
    pub claim_name: String,
    /// Always a list.
    #[serde(default)]
    pub list: bool,
}

/// A user claim made by an expression (S17: user claim scripts).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimScript {
    /// Name under `user`.
    #[schemars(transform = Is(form::IDENTIFIER))]
    pub claim_name: String,
    /// CEL over `user`, the claims that the provider told; its result is the claim.
    #[schemars(transform = Is(form::CLAIM_SCRIPT))]
    pub expression: String,
}

/// A command whose result a Client reports as a device claim (S37).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnDemandClaim {
    /// What to find out: `fileExists`, `fileSize`, `fileSha512`, `processRunning`, `serviceRunning`, `fileUpdated`.
    #[schemars(extend("enum" = COMMANDS.map(|(name, _)| name)))]
    pub command: String,
    /// Name under `device`.
    #[schemars(transform = Is(form::IDENTIFIER))]
    pub claim_name: String,
    /// Parameters of the command.
    #[serde(default)]
    pub parameters: OnDemandParameters,
    /// `all`, `desktop.linux.all`, …
    #[schemars(extend("enum" = PLATFORMS))]
    pub platform: String,
}

/// Parameters of an on-demand command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnDemandParameters {
    /// Process or service.
    #[serde(default)]
    #[schemars(transform = Is(PARAMETER))]
    pub name: Option<String>,
    /// File.
    #[serde(default)]
    #[schemars(transform = Is(PARAMETER))]
    pub path: Option<String>,
}

/// What happens when a registered (user, device) pair appears with another key or cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeviceTakeover {
    /// Refused.
    #[default]
    Refuse,
    /// After another factor, the old registration gives way and its tokens are revoked.
    ReplaceWithMfa,
}

impl IdentityProviderKind {
    /// Fields of the admin API that are secrets of this kind.
    #[must_use]
    pub const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Ldap | Self::LdapCertificate => &["adminPassword"],
            Self::Radius => &["sharedSecret"],
            Self::Oidc => &["clientSecret"],
            Self::LocalDatabase | Self::Certificate | Self::Saml => &[],
        }
    }

    /// Whether names that differ in case only are one user's here.
    #[must_use]
    pub const fn disregards_case(self) -> bool {
        matches!(self, Self::Ldap | Self::LdapCertificate | Self::Certificate | Self::Radius)
    }

    /// Whether a name and a password prove a user here.
    #[must_use]
    pub const fn takes_passwords(self) -> bool {
        matches!(self, Self::LocalDatabase | Self::Ldap | Self::Radius)
    }
}

const fn default_limit() -> u32 {
    100
}
const fn default_threshold() -> u32 {
    5
}
const fn default_lockout() -> u32 {
    1
}
fn default_suffix() -> String {
    "onBoarding".to_owned()
}
