//! The answer of a provider's token endpoint (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3): two texts of it are read.
//!
//! What else it holds, such as `expires_in` as a text or `scope` as a list, is not read: the access token is used at once, or
//! never.

use std::fmt;
use std::time::Duration;

use openidconnect::core::{
    CoreGenderClaim, CoreIdToken, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreTokenType,
};
use openidconnect::{AccessToken, EmptyAdditionalClaims, OAuth2TokenResponse, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Serialize};

static BEARER: CoreTokenType = CoreTokenType::Bearer;

/// What a code brought. Its `Debug` shows neither token.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TokenAnswer {
    /// For the user info endpoint.
    pub(super) access_token: AccessToken,
    /// The ID token, as it is signed; nothing is believed of it yet.
    #[serde(default)]
    pub(super) id_token: Option<String>,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenAnswer")
    }
}

impl OAuth2TokenResponse for TokenAnswer {
    type TokenType = CoreTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &CoreTokenType {
        &BEARER
    }

    fn expires_in(&self) -> Option<Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// The library asks for this of an answer. Its ID token would give every claim of the standard a type, whether it is used or
/// not, and is never made.
impl TokenResponse<EmptyAdditionalClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>
    for TokenAnswer
{
    fn id_token(&self) -> Option<&CoreIdToken> {
        None
    }
}
