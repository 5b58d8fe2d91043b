//! Client profiles: how a Client finds a Collective and knocks on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EntityBase;
use crate::form::{self, Count, Each, Is, Within};
use crate::id::{ProfileId, ProviderId};

/// Most further addresses that a profile's link names: a Collective has three to seven Controllers, and the link must fit
/// into a QR code that a telephone reads from a screen.
pub const MAX_FURTHER_HOSTNAMES: usize = 8;

/// Longest time for which a key is accepted after it was replaced, in hours: a year.
pub const MAX_FORMER_KEY_HOURS: u32 = 365 * 24;
/// The same if nothing else is said: a month.
pub const DEFAULT_FORMER_KEY_HOURS: u32 = 30 * 24;

/// A client profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientProfile {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<ProfileId>,
    /// Names the SPA key; equal names are equal keys. Empty: the profile's name.
    #[serde(default)]
    #[schemars(transform = Is(form::SHORT_LINE))]
    pub spa_key_name: String,
    /// The provider that its users sign in with.
    pub identity_provider: ProviderId,
    /// Overrides the Collective's profile host name: `host:port`.
    #[serde(default)]
    #[schemars(transform = Is(form::HOST_AND_PORT))]
    pub hostname: Option<String>,
    /// Where else its Controllers answer, `host:port`, at most [`MAX_FURTHER_HOSTNAMES`]. Empty: wherever the active
    /// Controllers say that they answer Clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = Count(0..=MAX_FURTHER_HOSTNAMES), transform = Each(form::HOST_AND_PORT))]
    pub further_hostnames: Vec<String>,
    /// False closes first contact with its key; registered devices have keys of their own.
    #[serde(default = "yes")]
    pub enrolment: bool,
    /// Generation of its key; raised by a rotation, and never one that was used before under this key name.
    #[serde(default)]
    pub key_generation: u32,
    /// For so many hours after a rotation the former key is accepted, too: time to give out the new link. 0: not at all.
    #[serde(default = "a_month")]
    #[schemars(transform = Within(0..=MAX_FORMER_KEY_HOURS))]
    pub former_key_hours: u32,
}

impl ClientProfile {
    /// Name of its SPA key: equal names are equal keys (S8).
    #[must_use]
    pub fn key_name(&self) -> &str {
        if self.spa_key_name.is_empty() { &self.base.name } else { &self.spa_key_name }
    }
}

const fn a_month() -> u32 {
    DEFAULT_FORMER_KEY_HOURS
}

const fn yes() -> bool {
    true
}
