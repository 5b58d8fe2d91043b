//! Controllers that ask to join, as the admin API shows and admits them.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::{Form, Is};
use crate::id::ApplianceId;
use crate::time::{Rfc3339, UnixMillis, rfc3339};

/// SHA-256 in hex.
pub const FINGERPRINT: Form = Form::matching("^[0-9a-fA-F]{64}$", 64, 64, "has 64 hex digits");

/// An item of `GET /admin/collective/waiting`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingController {
    /// Its appliance.
    pub id: ApplianceId,
    /// For people.
    pub name: String,
    /// SHA-256 of its public key (SubjectPublicKeyInfo), hex: what `ringwall-controller join` prints where it runs.
    pub fingerprint: String,
    /// Where it asked from.
    pub source: IpAddr,
    /// When.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub asked: UnixMillis,
    /// Where it says that peers reach it.
    pub peer_addresses: Vec<String>,
}

/// `POST /admin/collective/waiting/{id}/admit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdmitRequest {
    /// The fingerprint that was compared with what the joining Controller printed.
    #[schemars(transform = Is(FINGERPRINT))]
    pub fingerprint: String,
}
