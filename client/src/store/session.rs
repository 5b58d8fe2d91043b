//! What is left of a sign-in, as it is written to disk.

use ringwall_protocol::id::SiteId;
use ringwall_protocol::object::identity_provider::OnDemandClaim;
use ringwall_protocol::wire::client::ControllerAddress;
use serde::{Deserialize, Serialize};

use crate::secret_text::SecretText;

/// A sign-in. No `Debug`: it is made of tokens.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredSession {
    /// JWT.
    pub(crate) claims_token: SecretText,
    /// Certificate chain, DER in base64url, leaf first.
    pub(crate) chain: Vec<String>,
    /// Entitlement tokens.
    pub(crate) sites: Vec<StoredSite>,
    /// Why there are none, for people.
    #[serde(default)]
    pub(crate) no_entitlements: Option<String>,
    /// Controllers and their keys.
    pub(crate) controllers: Vec<ControllerAddress>,
    /// Claims that this device is asked for.
    #[serde(default)]
    pub(crate) on_demand_claims: Vec<OnDemandClaim>,
    /// What the user should read: a password that is about to expire.
    #[serde(default)]
    pub(crate) notices: Vec<String>,
}

/// One Site's token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredSite {
    /// The Site.
    pub(crate) site_id: SiteId,
    /// Name of the Site.
    pub(crate) site_name: String,
    /// JWT.
    pub(crate) token: SecretText,
}
