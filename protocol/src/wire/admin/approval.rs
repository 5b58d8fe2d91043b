//! Orders that wait for a second administrator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::id::LogIndex;
use crate::name::UserDn;
use crate::time::{Rfc3339, UnixMillis, rfc3339};

/// An item of `GET /admin/approvals`: an order that waits for a second administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingOrder {
    /// Names it.
    pub id: Uuid,
    /// For people: what will be done.
    pub summary: String,
    /// Who asked for it.
    pub asked_by: UserDn,
    /// When.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub asked: UnixMillis,
    /// Until when it can be approved.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub expires: UnixMillis,
    /// The objects or settings as they will be written, without secrets; the reason of a revocation. Absent where the summary
    /// says everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// Answer to `POST /admin/approvals/{id}`: the order was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovedOrder {
    /// Names the order.
    pub id: Uuid,
    /// The log entry in which it was carried out.
    pub index: LogIndex,
    /// A new break-glass code, if the order was to make one; this is the only place where it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass_code: Option<String>,
}
