//! Bodies about one-time passwords.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::UserDn;
use crate::time::{UnixMillis, rfc3339};

/// `POST /admin/otp/enrolments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtpPermit {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
    /// Hours until the code is void, 1 to [`super::MAX_REGISTRATION_HOURS`].
    #[serde(default = "default_hours")]
    pub validity_hours: u32,
}

/// A code with which its user enrols a seed, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtpCode {
    /// DN of the user.
    pub user_distinguished_name: UserDn,
    /// To be typed at the next sign-in.
    pub code: String,
    /// Until when.
    #[serde(with = "rfc3339")]
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
