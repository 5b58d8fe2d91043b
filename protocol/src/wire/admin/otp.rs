//! Bodies about one-time passwords.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::Within;
use crate::name::UserDn;
use crate::time::{Rfc3339, UnixMillis, rfc3339};

/// An item of `GET /admin/otp/seeds`: a user with a seed, or one who may enrol one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtpHolder {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
    /// User name.
    pub username: String,
    /// Identity provider.
    pub provider_name: String,
    /// There is a seed.
    pub verified: bool,
    /// Until when the user may enrol one with the code that was given, RFC 3339.
    pub may_enrol_until: Option<String>,
}

/// `POST /admin/otp/enrolments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtpPermit {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
    /// Hours until the code is invalid, 1 to [`super::MAX_REGISTRATION_HOURS`].
    #[serde(default = "default_hours")]
    #[schemars(transform = Within(1..=super::MAX_REGISTRATION_HOURS))]
    pub validity_hours: u32,
}

/// A code with which its user enrols a seed, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtpCode {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
    /// To be typed at the next sign-in.
    pub code: String,
    /// Until when.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub expires: UnixMillis,
}

impl fmt::Debug for OtpCode {
    /// Without the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OtpCode({})", self.user_distinguished_name)
    }
}

const fn default_hours() -> u32 {
    24
}
