//! What is left of a sign-in, as it is written to disk.

use ringwall_protocol::id::SiteId;
use ringwall_protocol::object::identity_provider::OnDemandClaim;
use ringwall_protocol::wire::client::ControllerAddress;
use serde::{Deserialize, Serialize};

use crate::secret_text::SecretText;

/// A sign-in. No `Debug`: it is made of tokens.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredSession {
    /// JWT.
    pub claims_token: SecretText,
    /// Certificate chain, DER in base64url, leaf first.
    pub chain: Vec<String>,
    /// Entitlement tokens.
    pub sites: Vec<StoredSite>,
    /// Why there are none, for people.
    #[serde(default)]
    pub no_entitlements: Option<String>,
    /// Controllers and their keys.
    pub controllers: Vec<ControllerAddress>,
    /// Claims that this device is asked for.
    #[serde(default)]
    pub on_demand_claims: Vec<OnDemandClaim>,
    /// What the user should read: a password that is about to expire.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// One Site's token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredSite {
    /// The Site.
    pub site_id: SiteId,
    /// For people.
    pub site_name: String,
    /// JWT.
    pub token: SecretText,
}
