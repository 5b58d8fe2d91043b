//! How an appliance joins a Collective: the seed file that an administrator exports, and the one exchange
//! on the peer port (ALPN `ringwall/join/1`) by which the appliance turns it into a certificate.
//!
//! The joiner pins the Controller's key from the seed and shows no certificate. It sends 4 bytes of length (big endian)
//! and the JSON of a [`JoinRequest`]; the Controller answers in the same form with a [`JoinReply`] and closes. The join
//! token is single use; the same command id with the same key gets the same answer again.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::ErrorBody;
use crate::id::{ApplianceId, CollectiveId, CommandId, Incarnation, NodeId, SiteId, Thumbprint};
use crate::membership::ControllerRecord;
use crate::time::UnixMillis;

/// Longest message of the exchange, in bytes: a dozen certificates and members fit.
pub const MAX_JOIN_MESSAGE: usize = 256 * 1024;
/// Longest seed file, in bytes.
pub const MAX_SEED: usize = 64 * 1024;
/// Version of the seed file.
pub const SEED_VERSION: u16 = 1;

/// What an appliance is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum JoinRole {
    /// It decides.
    Controller,
    /// It enforces.
    Gateway,
}

/// The seed file, JSON, mode 0600; made by `POST /appliances/{id}/export`, deleted by the appliance after joining.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seed {
    /// [`SEED_VERSION`].
    pub version: u16,
    /// The Collective.
    pub collective_id: CollectiveId,
    /// Its present incarnation.
    pub incarnation: Incarnation,
    /// What to become.
    pub role: JoinRole,
    /// As which appliance.
    pub appliance_id: ApplianceId,
    /// Its name, for people.
    pub name: String,
    /// The Site of a Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteId>,
    /// Root certificate of the Collective, DER, base64url.
    pub root_certificate: String,
    /// Where to join, tried in order.
    pub controllers: Vec<SeedController>,
    /// Key for knocking on the peer port, to join and for nothing else; 32 bytes, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spa_key: Option<String>,
    /// 32 random bytes, base64url; single use.
    pub join_token: String,
    /// The token is invalid from here on.
    pub not_after: UnixMillis,
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed")
            .field("collective", &self.collective_id)
            .field("role", &self.role)
            .field("appliance", &self.appliance_id)
            .field("controllers", &self.controllers)
            .finish_non_exhaustive()
    }
}

/// A Controller as a seed names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedController {
    /// `host:port` of its peer listener, tried in order.
    pub addresses: Vec<String>,
    /// Pins: SHA-256 of its SubjectPublicKeyInfo; any of them.
    pub spki_sha256: Vec<Thumbprint>,
}

/// Asks for admission.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinRequest {
    /// From the seed, base64url.
    pub join_token: String,
    /// The appliance, from the seed.
    pub appliance_id: ApplianceId,
    /// What it becomes.
    pub role: JoinRole,
    /// PKCS#10 request in DER, base64url; only its key is used.
    pub csr: String,
    /// The joiner's version, for people.
    pub software_version: String,
    /// Retries carry the same one and get the same answer.
    pub command_id: CommandId,
    /// What a Controller brings along; absent for a Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<ControllerJoin>,
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest")
            .field("appliance", &self.appliance_id)
            .field("role", &self.role)
            .field("command", &self.command_id)
            .finish_non_exhaustive()
    }
}

/// What a joining Controller brings along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControllerJoin {
    /// `host:port` of its peer listener.
    pub peer_addresses: Vec<String>,
    /// `host:port` of its client API.
    pub client_addresses: Vec<String>,
    /// `host:port` of its admin API.
    #[serde(default)]
    pub admin_addresses: Vec<String>,
    /// Request for its intermediate that issues Clients' certificates, DER, base64url.
    pub client_issuer_csr: String,
    /// Request for its intermediate that issues appliances' certificates, DER, base64url.
    pub appliance_issuer_csr: String,
    /// Ed25519 public key that it will sign tokens with, 32 bytes, base64url.
    pub token_key: String,
    /// X25519 public key with which secrets are wrapped for it (RFC 9180), 32 bytes, base64url.
    pub wrap_key: String,
}

/// The Controller's answer: `{"admitted": …}`, `{"waiting": {}}` or `{"refused": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JoinReply {
    /// Welcome.
    Admitted(Box<JoinAnswer>),
    /// A Controller's request is recorded; an administrator must admit its key. The same request asks again.
    Waiting {},
    /// No; `retryable` says whether another Controller, or a later try, may help.
    Refused(ErrorBody),
}

/// What an admitted appliance gets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinAnswer {
    /// The Collective.
    pub collective_id: CollectiveId,
    /// Its present incarnation.
    pub incarnation: Incarnation,
    /// The appliance.
    pub appliance_id: ApplianceId,
    /// The Site of a Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_id: Option<SiteId>,
    /// The appliance's certificate, its issuer and the root, each DER, base64url, in this order.
    pub certificate_chain: Vec<String>,
    /// Members as of now: whom to connect to, and their keys.
    pub controllers: Vec<ControllerRecord>,
    /// What only a Controller gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<ControllerAdmission>,
    /// Key with which the new member knocks on peer ports from now on, 32 bytes, base64url. The seed's is for joining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_spa_key: Option<String>,
}

impl fmt::Debug for JoinAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAnswer")
            .field("collective", &self.collective_id)
            .field("appliance", &self.appliance_id)
            .field("controllers", &self.controllers)
            .finish_non_exhaustive()
    }
}

/// What only a joining Controller gets. No `Debug` of the secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControllerAdmission {
    /// Its id in the Raft group: the log index of its admission.
    pub node: NodeId,
    /// Its certificate as issuer for Clients, DER, base64url; absent until the root signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_issuer: Option<String>,
    /// Its certificate as issuer for appliances, DER, base64url; absent until the root signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appliance_issuer: Option<String>,
    /// Keys that encrypt the Collective's stored secrets: all that are in use, and one that members are to confirm.
    pub keks: Vec<KeyEncryptionKey>,
}

/// A generation of the key that encrypts stored secrets. No `Debug` of the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyEncryptionKey {
    /// Its number: sealed texts name it.
    pub generation: u32,
    /// 32 bytes, base64url.
    pub key: String,
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEncryptionKey").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl fmt::Debug for ControllerAdmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerAdmission").field("node", &self.node).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_seed_and_request_shows_no_token() {
        let seed = Seed {
            version: SEED_VERSION,
            collective_id: CollectiveId::from_random([1; 16]),
            incarnation: Incarnation { epoch: 1, id: crate::id::IncarnationId::from_random([2; 16]) },
            role: JoinRole::Gateway,
            appliance_id: ApplianceId::from_random([3; 16]),
            name: "gw".to_owned(),
            site_id: None,
            root_certificate: String::new(),
            controllers: vec![],
            spa_key: Some("sekrit-knock".to_owned()),
            join_token: "sekrit-token".to_owned(),
            not_after: UnixMillis(0),
        };
        assert!(!format!("{seed:?}").contains("sekrit"));
        let text = serde_json::to_string(&seed).expect("encoded");
        assert_eq!(serde_json::from_str::<Seed>(&text).expect("decoded"), seed);
        let request = JoinRequest {
            join_token: "sekrit-token".to_owned(),
            appliance_id: seed.appliance_id,
            role: seed.role,
            csr: String::new(),
            software_version: "0.1.0".to_owned(),
            command_id: CommandId::from_random([4; 16]),
            controller: None,
        };
        assert!(!format!("{request:?}").contains("sekrit"));
    }
}
