//! Sessions of administrators, as the admin API shows them.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::AdminSessionId;
use crate::name::SessionDn;
use crate::time::{Rfc3339, UnixMillis, rfc3339};

/// `POST /admin/break-glass/renew`: the new code, shown once. No `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassCode {
    /// To be printed, sealed and put away.
    pub code: String,
}

/// The break-glass code in [`super::CollectiveStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassStatus {
    /// Since when it is in force.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub made: UnixMillis,
    /// When it was last used, RFC 3339; absent: it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_from: Option<IpAddr>,
}

/// An item of `GET /admin/administrator-sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdministratorSession {
    /// Id of the session.
    pub id: AdminSessionId,
    /// User and device.
    pub distinguished_name: SessionDn,
    /// Its token is bound to a key; otherwise whoever has the token has the session.
    pub key_bound: bool,
    /// Where the sign-in came from.
    pub source: IpAddr,
    /// Since when.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub created: UnixMillis,
    /// Last request, to the minute.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub last_used: UnixMillis,
    /// Its end at the latest.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub expires: UnixMillis,
    /// Names of the roles that policies give now.
    pub roles: Vec<String>,
    /// It is the caller's own present one.
    pub current: bool,
}
