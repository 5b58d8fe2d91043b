//! From the code that a browser brought back to claims that are proved: redeemed by the Controller, verified against
//! the provider's keys (OpenID Connect Core §3.1.3).

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthorizationCode, Client, ClientId, ClientSecret, EmptyAdditionalClaims,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, PkceCodeVerifier, RedirectUrl, RequestTokenError,
    StandardErrorResponse,
};
use ringwall_protocol::object::identity_provider::OidcSettings;
use ringwall_protocol::time::UnixMillis;
use serde_json::{Map, Value};

use super::answer::TokenAnswer;
use super::claims::ProviderClaims;
use super::discovery::{Metadata, Published};
use super::id_token::{self, Expected};
use super::jws::{self, JwsError, Signed};
use super::left_out::LeftOut;
use super::request::BrowserRequest;
use super::{unavailable, user_info};
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

/// A client of the library, as discovery sets it up. It makes requests; what comes back is read here.
pub(super) type Library = Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    TokenAnswer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What redeeming a code came to.
pub(super) enum Redeemed {
    /// These claims are proved.
    Claims(ProviderClaims),
    /// Code or token prove nothing; why, for the operator's log.
    Refused(String),
    /// The token's key is not among those that are known.
    UnknownKey(Box<TokenAnswer>),
}

/// The library's client for a provider.
pub(super) fn library(settings: &OidcSettings, metadata: &Metadata, secret: Option<&str>) -> Library {
    let id = ClientId::new(settings.audience.clone());
    let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
    let library = Client::from_provider_metadata(metadata.clone(), id, secret);
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
        Ok(answer) => verify(settings, published, request, answer, now).await,
        Err(RequestTokenError::ServerResponse(said)) => Ok(Redeemed::Refused(format!("the provider says {said}"))),
        Err(error) => Err(unavailable("its token endpoint", &error)),
    }
}

/// Verifies what the token endpoint answered, and asks the user info endpoint where that is wanted.
pub(super) async fn verify(
    settings: &OidcSettings,
    published: &Published,
    request: &BrowserRequest,
    answer: TokenAnswer,
    now: UnixMillis,
) -> Result<Redeemed, Refusal> {
    let refused = |why: String| Ok(Redeemed::Refused(why));
    let Some(token) = &answer.id_token else { return refused("there is no ID token".to_owned()) };
    let signed = match jws::verify(token, published.metadata.jwks().keys()) {
        Ok(signed) => signed,
        Err(JwsError::UnknownKey) => return Ok(Redeemed::UnknownKey(Box::new(answer))),
        Err(error) => return refused(format!("the ID token is refused: {error}")),
    };
    let expected = Expected {
        issuer: published.metadata.issuer(),
        audience: &settings.audience,
        nonce: &request.nonce,
        fresh_since: request.fresh_since,
        now,
    };
    if let Err(error) = id_token::check(&signed.claims, &expected) {
        return refused(format!("the ID token is refused: {error}"));
    }
    if !fits_access_token(&signed, &answer.access_token) {
        return refused("the access token is not that of the ID token".to_owned());
    }
    let mut claims = signed.claims;
    let mut left_out = LeftOut::of(&claims);
    if settings.user_info {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let asked = user_info::ask(settings, published, &answer.access_token, subject).await;
        let told = asked.map_err(|trouble| trouble.refuse())?;
        left_out = left_out.and(LeftOut::of(&told));
        add(&mut claims, told);
    }
    Ok(Redeemed::Claims(ProviderClaims { claims, left_out }))
}

/// What the token says is signed, and is not overwritten.
fn add(claims: &mut Map<String, Value>, told: Map<String, Value>) {
    for (name, value) in told.into_iter().filter(|(_, value)| !value.is_null()) {
        claims.entry(name).or_insert(value);
    }
}

/// Whether an ID token that names its access token (`at_hash`, OpenID Connect Core §3.1.3.8) came with that one.
fn fits_access_token(signed: &Signed<'_>, token: &AccessToken) -> bool {
    let named = match signed.claims.get("at_hash") {
        None | Some(Value::Null) => return true,
        Some(hash) => hash.as_str(),
    };
    let own = AccessTokenHash::from_token(token, &signed.algorithm, signed.key);
    own.is_ok_and(|own| named == Some(own.as_str()))
}
