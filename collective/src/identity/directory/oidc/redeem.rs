//! From the code that a browser brought back to claims that are proved: redeemed by the Controller, verified against
//! the provider's keys (OpenID Connect Core §3.1.3).

use std::time::Duration;

use openidconnect::core::{
    CoreClient, CoreClientAuthMethod, CoreGenderClaim, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, Nonce, OAuth2TokenResponse, PkceCodeVerifier, RedirectUrl, RequestTokenError,
    SignatureVerificationError, TokenResponse, UserInfoClaims,
};
use ringwall_protocol::object::identity_provider::OidcSettings;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claims::payload;
use super::discovery::{Metadata, Published};
use super::request::BrowserRequest;
use super::unavailable;
use crate::refusal::Refusal;

/// Algorithms of ID tokens: public-key signatures only. No `none`, and no HMAC, for which a published key or a client
/// secret that leaked would do.
pub(super) const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// Clocks differ by this much at most.
const SKEW: Duration = Duration::from_secs(120);

/// A client of the library, as discovery sets it up.
pub(super) type Library =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What redeeming a code came to.
pub(super) enum Redeemed {
    /// These claims are proved.
    Claims(Map<String, Value>),
    /// Code or token prove nothing; why, for the operator's log.
    Refused(String),
    /// The token's key is not among those that are known.
    UnknownKey(Box<CoreTokenResponse>),
}

/// The library's client for a provider.
pub(super) fn library(settings: &OidcSettings, metadata: &Metadata, secret: Option<&str>) -> Library {
    let id = ClientId::new(settings.audience.clone());
    let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
    let library = CoreClient::from_provider_metadata(metadata.clone(), id, secret);
    let methods = metadata.token_endpoint_auth_methods_supported();
    let basic = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
    library.set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody })
}

/// Redeems a code: once, the provider sees to that.
pub(super) async fn redeem(
    settings: &OidcSettings,
    published: &Published,
    secret: Option<&str>,
    request: &BrowserRequest,
    code: &str,
    now: UnixMillis,
) -> Result<Redeemed, Refusal> {
    let redirect = RedirectUrl::new(request.redirect_uri.clone()).map_err(|_| Refusal::sign_in())?;
    let library = library(settings, &published.metadata, secret).set_redirect_uri(redirect);
    let exchange = library
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .map_err(|error| unavailable("its token endpoint", &error))?
        .set_pkce_verifier(PkceCodeVerifier::new(request.verifier.clone()));
    let ask = published.line.transport();
    match exchange.request_async(&ask).await {
        Ok(answer) => verify(settings, published, secret, request, answer, now).await,
        Err(RequestTokenError::ServerResponse(said)) => Ok(Redeemed::Refused(format!("the provider says {said}"))),
        Err(error) => Err(unavailable("its token endpoint", &error)),
    }
}

/// Verifies what the token endpoint answered.
pub(super) async fn verify(
    settings: &OidcSettings,
    published: &Published,
    secret: Option<&str>,
    request: &BrowserRequest,
    answer: CoreTokenResponse,
    now: UnixMillis,
) -> Result<Redeemed, Refusal> {
    let refused = |why: String| Ok(Redeemed::Refused(why));
    let library = library(settings, &published.metadata, secret);
    let Some(token) = answer.id_token() else { return refused("there is no ID token".to_owned()) };
    let verifier = library.id_token_verifier().set_allowed_algs(ALGORITHMS);
    let claims = match token.claims(&verifier, &Nonce::new(request.nonce.clone())) {
        Ok(claims) => claims,
        Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
            return Ok(Redeemed::UnknownKey(Box::new(answer)));
        }
        Err(error) => return refused(format!("the ID token is refused: {error}")),
    };
    if let Some(hash) = claims.access_token_hash()
        && !fits_access_token(hash, &answer, &verifier)
    {
        return refused("the access token is not that of the ID token".to_owned());
    }
    if let Some(since) = request.fresh_since {
        let earliest = i64::try_from(since.seconds().saturating_sub(SKEW.as_secs())).unwrap_or(i64::MAX);
        if claims.auth_time().is_none_or(|at| at.timestamp() < earliest) {
            return refused("the user did not prove himself anew".to_owned());
        }
    }
    let issued = u64::try_from(claims.issue_time().timestamp()).unwrap_or(0);
    if issued > now.seconds() + SKEW.as_secs() {
        return refused("the ID token is from the future".to_owned());
    }
    let Some(mut proved) = payload(&token.to_string()) else { return refused("the ID token has no claims".to_owned()) };
    // The library leaves the authorised party open where there is one audience.
    if proved.get("azp").is_some_and(|party| party.as_str() != Some(settings.audience.as_str())) {
        return refused("the ID token was made for another party".to_owned());
    }
    if settings.user_info {
        let subject = claims.subject().clone();
        let ask = published.line.transport();
        let asked = library
            .user_info(answer.access_token().clone(), Some(subject))
            .map_err(|error| unavailable("its user info endpoint", &error))?;
        let told: UserInfoClaims<Everything, CoreGenderClaim> =
            asked.request_async(&ask).await.map_err(|error| unavailable("its user info endpoint", &error))?;
        // What the token says is signed, and is not overwritten.
        if let Ok(Value::Object(told)) = serde_json::to_value(&told) {
            told.into_iter().filter(|(_, value)| !value.is_null()).for_each(|(name, value)| {
                proved.entry(name).or_insert(value);
            });
        }
    }
    Ok(Redeemed::Claims(proved))
}

fn fits_access_token(hash: &AccessTokenHash, answer: &CoreTokenResponse, verifier: &CoreIdTokenVerifier<'_>) -> bool {
    let Some(token) = answer.id_token() else { return false };
    let (Ok(algorithm), Ok(key)) = (token.signing_alg(), token.signing_key(verifier)) else { return false };
    AccessTokenHash::from_token(answer.access_token(), algorithm, key).is_ok_and(|own| own == *hash)
}

/// Claims that have no name in the standard.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Everything(Map<String, Value>);

impl openidconnect::AdditionalClaims for Everything {}
