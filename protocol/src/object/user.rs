//! Users of the local identity provider.

use serde::{Deserialize, Serialize};

use super::EntityBase;
use crate::id::UserId;

/// A local user; `base.name` is the user name. The password is kept apart and never read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalUser {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<UserId>,
    /// First name.
    #[serde(default)]
    pub first_name: String,
    /// Last name.
    #[serde(default)]
    pub last_name: String,
    /// E-mail address.
    #[serde(default)]
    pub email: String,
    /// Telephone number.
    #[serde(default)]
    pub phone: String,
    /// Refused at sign-in.
    #[serde(default)]
    pub disabled: bool,
    /// Further claims, as the user's own attributes.
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
}
