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
    /// Certificates, PEM, of which one must have issued the server's. Empty: the system's authorities.
    #[serde(default)]
    pub trusted_certificates: Vec<String>,
}

fn default_scope() -> String {
    "openid profile email offline_access".to_owned()
}
