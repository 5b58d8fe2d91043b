//! Settings of OpenID Connect providers.

use serde::{Deserialize, Serialize};

/// Settings of an OpenID Connect provider. The secret `clientSecret`, if there is one, is kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OidcSettings {
    /// Issuer URL.
    pub issuer: String,
    /// Client id.
    pub audience: String,
    /// Scopes, separated by spaces.
    #[serde(default = "default_scope")]
    pub scope: String,
    /// The claim that names users. It must be one that users cannot choose: `sub` always is one; `email` counts only where
    /// the provider says that it verified it.
    #[serde(default = "default_username_claim")]
    pub username_claim: String,
    /// Also ask the user info endpoint. What the ID token says counts before it.
    #[serde(default)]
    pub user_info: bool,
    /// Certificates, PEM, of which one must have issued the server's. Empty: the system's authorities.
    #[serde(default)]
    pub trusted_certificates: Vec<String>,
}

fn default_scope() -> String {
    "openid profile email offline_access".to_owned()
}

fn default_username_claim() -> String {
    "sub".to_owned()
}
