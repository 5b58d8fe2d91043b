//! Settings of OpenID Connect providers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::{self, Each, Form, Is};

/// Longest issuer, client id and scope, in characters.
pub const MAX_TEXT: usize = 1_024;
/// The client id at the provider.
pub const AUDIENCE: Form = Form::name(MAX_TEXT, "is the client id at the provider, 1 to 1024 characters");
/// Scopes that are asked for.
pub const SCOPE: Form = Form::line(MAX_TEXT, "has at most 1024 characters, separated by spaces");

/// Settings of an OpenID Connect provider. The secret `clientSecret`, if there is one, is kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcSettings {
    /// Issuer URL.
    #[schemars(transform = Is(form::ISSUER))]
    pub issuer: String,
    /// Client id.
    #[schemars(transform = Is(AUDIENCE))]
    pub audience: String,
    /// Scopes, separated by spaces.
    #[serde(default = "default_scope")]
    #[schemars(transform = Is(SCOPE))]
    pub scope: String,
    /// The claim that names users. It must be one that users cannot choose: `sub` always is one; `email` counts only where
    /// the provider says that it verified it.
    #[serde(default = "default_username_claim")]
    #[schemars(transform = Is(form::OBJECT_NAME))]
    pub username_claim: String,
    /// Also ask the user info endpoint. What the ID token says counts before it.
    #[serde(default)]
    pub user_info: bool,
    /// Certificates, PEM, of which one must have issued the server's. Empty: the system's authorities.
    #[serde(default)]
    #[schemars(transform = Each(form::PEM))]
    pub trusted_certificates: Vec<String>,
}

fn default_scope() -> String {
    "openid profile email offline_access".to_owned()
}

fn default_username_claim() -> String {
    "sub".to_owned()
}
