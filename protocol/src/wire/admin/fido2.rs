//! Bodies about security keys (FIDO2).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::Within;
use crate::name::UserDn;
use crate::time::{Rfc3339, UnixMillis, rfc3339};

/// Longest validity of a registration code, in hours: 7 days.
pub const MAX_REGISTRATION_HOURS: u32 = 7 * 24;

/// One security key, or a user who may register one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fido2Device {
    /// Whose, `CN=…,OU=…`.
    pub distinguished_name: UserDn,
    /// User name.
    pub username: String,
    /// Identity provider.
    pub provider_name: String,
    /// The key's id, base64url; empty while the user only may register one.
    pub device_id: String,
    /// For people.
    pub device_name: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<String>,
    /// Until when the user may register a key with the code that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_register_until: Option<String>,
}

/// `POST /admin/fido2-devices/registrations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fido2Permit {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
    /// Hours until the code is invalid, 1 to [`MAX_REGISTRATION_HOURS`].
    #[serde(default = "default_hours")]
    #[schemars(transform = Within(1..=MAX_REGISTRATION_HOURS))]
    pub validity_hours: u32,
}

/// A code with which its user registers a security key, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fido2Code {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
    /// To be typed at the next sign-in.
    pub code: String,
    /// Until when.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub expires: UnixMillis,
}

impl fmt::Debug for Fido2Code {
    /// Without the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fido2Code({})", self.user_distinguished_name)
    }
}

const fn default_hours() -> u32 {
    24
}
