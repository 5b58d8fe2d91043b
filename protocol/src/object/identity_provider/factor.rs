//! MFA providers: who verifies another factor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::radius::{RadiusProtocol, default_port, default_timeout};
use super::{PORT, SERVER, SERVERS, TIMEOUT_SECONDS};
use crate::form::{Count, Each, Within};
use crate::id::MfaProviderId;
use crate::object::EntityBase;
use crate::wire::client::InputType;

/// An MFA provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MfaProvider {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<MfaProviderId>,
    /// Its kind (`type`), and what only that kind has.
    #[serde(flatten)]
    pub settings: FactorSettings,
}

impl MfaProvider {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> MfaProviderKind {
        self.settings.kind()
    }
}

/// What only one kind of MFA provider has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum FactorSettings {
    /// Time-based one-time passwords (RFC 6238), seeded by the Collective.
    DefaultTimeBased,
    /// RADIUS.
    Radius(Box<RadiusFactorSettings>),
    /// FIDO2.
    Fido2,
}

impl FactorSettings {
    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> MfaProviderKind {
        match self {
            Self::DefaultTimeBased => MfaProviderKind::DefaultTimeBased,
            Self::Radius(_) => MfaProviderKind::Radius,
            Self::Fido2 => MfaProviderKind::Fido2,
        }
    }
}

/// Kinds of MFA providers (S23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MfaProviderKind {
    /// Time-based one-time passwords (RFC 6238), seeded by the Collective.
    DefaultTimeBased,
    /// RADIUS.
    Radius,
    /// FIDO2.
    Fido2,
}

impl MfaProviderKind {
    /// Fields of the admin API that are secrets of this kind.
    #[must_use]
    pub const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Radius => &["sharedSecret", "challengeSharedSecret"],
            Self::DefaultTimeBased | Self::Fido2 => &[],
        }
    }
}

/// Settings of a RADIUS server that verifies another factor. The secrets `sharedSecret` and `challengeSharedSecret` are
/// kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RadiusFactorSettings {
    /// Servers, tried in this order.
    #[schemars(transform = Count(SERVERS), transform = Each(SERVER))]
    pub hostnames: Vec<String>,
    /// Port of all of them.
    #[serde(default = "default_port")]
    #[schemars(transform = Within(PORT))]
    pub port: u16,
    /// How Clients show what is typed.
    #[serde(default)]
    pub input_type: InputType,
    /// How the answer travels.
    #[serde(default)]
    pub authentication_protocol: RadiusProtocol,
    /// Seconds until all servers together count as unreachable.
    #[serde(default = "default_timeout")]
    #[schemars(transform = Within(TIMEOUT_SECONDS))]
    pub timeout: u32,
    /// How the factor is given.
    #[serde(default)]
    pub mode: RadiusMode,
}

/// How a factor is given to a RADIUS server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RadiusMode {
    /// What the user types is the password.
    OneFactor,
    /// `challengeSharedSecret` brings a challenge; what the user types answers it.
    #[default]
    Challenge,
    /// `challengeSharedSecret` makes the server ask the user elsewhere; its answer decides.
    Push,
}
