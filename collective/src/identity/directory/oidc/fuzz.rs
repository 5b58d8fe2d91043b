//! What browsers and OpenID providers send.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use data_encoding::BASE64URL_NOPAD;
use futures_util::FutureExt;
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJsonWebKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey, RedirectUrl};
use ringwall_protocol::id::{DeviceId, ProviderId, Thumbprint};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::{OidcSettings, ProviderSettings};
use ringwall_protocol::time::UnixMillis;
use serde_json::{Value, json};

use super::answer::TokenAnswer;
use super::claims::{ProviderClaims, is_true, user};
use super::discovery::{Metadata, Published};
use super::http::Line;
use super::redeem::{Redeemed, verify};
use super::request::{BrowserRequest, is_loopback_redirect};
use crate::identity::outbound::{Outbound, tls};

pub(crate) const ISSUER: &str = "https://sso.example";
pub(crate) const AUDIENCE: &str = "ringwall";
pub(crate) const NONCE: &str = "a nonce";
pub(super) const NOW: UnixMillis = UnixMillis(1_780_300_800_000);

/// The provider's key: made up, and public from here on.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n-----END PRIVATE KEY-----\n";

static SIGNING: LazyLock<CoreEdDsaPrivateSigningKey> = LazyLock::new(|| {
    let id = JsonWebKeyId::new("1".to_owned());
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(KEY, Some(id)).expect("a key")
});

pub(super) static PUBLISHED: LazyLock<Published> = LazyLock::new(|| published(vec![SIGNING.as_verification_key()]));

/// Claims: signed by the provider, only those for us, now and this request count. Not signed, none do.
#[must_use]
pub fn id_token(bytes: &[u8]) -> bool {
    let unsigned = token(br#"{"alg":"none"}"#, bytes, false);
    let strange = token(br#"{"alg":"HS256","kid":"1"}"#, bytes, true);
    for token in [&unsigned, &strange] {
        assert!(proved(token, &PUBLISHED).is_none(), "a token that nobody signed counts");
    }
    let Some(proved) = proved(&token(br#"{"alg":"EdDSA","kid":"1"}"#, bytes, true), &PUBLISHED) else { return false };
    let claims = &proved.claims;
    assert_eq!(claims["nonce"], NONCE);
    assert_eq!(claims["iss"].as_str().map(|issuer| issuer.trim_end_matches('/')), Some(ISSUER));
    let ours = |party: &Value| party == AUDIENCE;
    let (alone, asked) = (claims["aud"].as_array().is_none_or(|all| all.iter().all(ours)), claims.get("azp"));
    assert!(ours(&claims["aud"]) || claims["aud"].as_array().is_some_and(|all| all.iter().any(ours)), "{claims:?}");
    assert!(asked.is_none_or(|party| party.is_null() || ours(party)), "{claims:?}");
    assert!(alone || asked.is_some_and(ours), "{claims:?}");
    assert!(claims["sub"].as_str().is_some_and(|subject| !subject.is_empty()));
    assert!(claims["exp"].as_f64().is_some_and(|end| end > 1_780_000_000.0));
    assert!(claims["iat"].as_f64().is_some_and(|at| at <= 1_780_300_800.0 + 121.0));
    for username_claim in ["sub", "email", "preferred_username"] {
        let (provider, settings) = provider(username_claim);
        let Ok(user) = user(&provider, &settings, &proved) else { continue };
        let said = serde_json::to_value(&user.claims).expect("JSON");
        assert_eq!((&said["username"], &said["identityProvider"]), (&json!(user.name.as_str()), &json!("sso")));
        assert!(user.claims.0.keys().all(|claim| ["username", "identityProvider", "groups"].contains(&claim.as_str())));
        assert!(username_claim != "email" || is_true(&claims["email_verified"]));
        assert!(!proved.left_out.has("groups"), "a user without the groups that were left out: {claims:?}");
    }
    true
}

/// The keys that a provider publishes: whatever they are, they do not prove a token that none of them signed.
#[must_use]
pub fn provider_keys(bytes: &[u8]) -> bool {
    let Ok(keys) = serde_json::from_slice::<CoreJsonWebKeySet>(bytes) else { return false };
    let (_, settings) = provider("sub");
    let own = SIGNING.as_verification_key();
    let published = published(keys.keys().iter().filter(|key| **key != own).cloned().collect());
    let _usable = published.check(&settings);
    for header in ["EdDSA", "RS256", "PS512", "ES256", "ES384", "HS256", "none"] {
        let header = json!({"alg": header}).to_string();
        assert!(proved(&token(header.as_bytes(), GOOD.as_bytes(), true), &published).is_none(), "{header}");
    }
    !keys.keys().is_empty()
}

/// Claims that count where the signature does.
pub(crate) const GOOD: &str = concat!(
    r#"{"iss":"https://sso.example","aud":"ringwall","nonce":"a nonce","sub":"A-1","exp":4102444800,"iat":1780300700,"#,
    r#""email":"Alice@corp.example","email_verified":true,"groups":["dev",7]}"#
);

fn token(header: &[u8], claims: &[u8], signed: bool) -> String {
    let signed_part = format!("{}.{}", BASE64URL_NOPAD.encode(header), BASE64URL_NOPAD.encode(claims));
    let signature = match signed {
        true => SIGNING.sign(&CoreJwsSigningAlgorithm::EdDsa, signed_part.as_bytes()).expect("a signature"),
        false => Vec::new(),
    };
    format!("{signed_part}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// The claims that a token endpoint's answer with this token proves.
fn proved(token: &str, published: &Published) -> Option<ProviderClaims> {
    match redeemed(json!({"access_token": "x", "token_type": "Bearer", "id_token": token}), published, &request())? {
        Redeemed::Claims(proved) => Some(proved),
        Redeemed::Refused(_) | Redeemed::UnknownKey(_) => None,
    }
}

/// What a token endpoint's answer comes to, without asking anybody; nothing if it is no answer.
pub(super) fn redeemed(answer: Value, published: &Published, request: &BrowserRequest) -> Option<Redeemed> {
    let answer: TokenAnswer = serde_json::from_value(answer).ok()?;
    let (_, settings) = provider("sub");
    verify(&settings, published, request, answer, NOW).now_or_never().expect("nobody is asked").ok()
}

/// An ID token that the provider signed.
#[cfg(test)]
pub(super) fn signed(header: &Value, claims: &Value) -> String {
    token(header.to_string().as_bytes(), claims.to_string().as_bytes(), true)
}

fn published(keys: Vec<CoreJsonWebKey>) -> Published {
    let metadata: Metadata = serde_json::from_value(json!({
        "issuer": ISSUER, "authorization_endpoint": "https://sso.example/a", "token_endpoint": "https://sso.example/t",
        "jwks_uri": "https://sso.example/k", "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
    .expect("metadata");
    let line = Line { tls: Arc::clone(&TLS), outbound: Outbound { allow_local: false, networks: Vec::new() } };
    let settings = Arc::new(provider("sub").1);
    let metadata = Arc::new(metadata.set_jwks(CoreJsonWebKeySet::new(keys)));
    Published { metadata, line, settings, read_at: Instant::now() }
}

static TLS: LazyLock<Arc<rustls::ClientConfig>> = LazyLock::new(|| tls::config(&[]).expect("a configuration"));

pub(super) fn provider(username_claim: &str) -> (IdentityProvider, OidcSettings) {
    let provider: IdentityProvider = serde_json::from_value(json!({
        "id": "0190a000-0000-7000-8000-000000000001", "name": "sso", "type": "Oidc",
        "issuer": ISSUER, "audience": AUDIENCE, "usernameClaim": username_claim,
        "claimMappings": [
            {"attributeName": "groups", "claimName": "groups", "list": true},
            {"attributeName": "sub", "claimName": "username"},
        ],
    }))
    .expect("a provider");
    let ProviderSettings::Oidc(settings) = provider.settings.clone() else { unreachable!("an OpenID provider") };
    (provider, *settings)
}

pub(super) fn request() -> BrowserRequest {
    BrowserRequest {
        provider: ProviderId::from_random([1; 16]),
        device: DeviceId::from_random([2; 16]),
        key: Thumbprint([3; 32]),
        redirect_uri: "http://127.0.0.1:49152/signed-in".to_owned(),
        state: "state".to_owned(),
        nonce: NONCE.to_owned(),
        verifier: "verifier".to_owned(),
        fresh_since: None,
        expires: UnixMillis(NOW.0 + 600_000),
    }
}

/// Where a Client has a browser come back, or a request that was kept: the place is on the Client's machine.
#[must_use]
pub fn browser_request(bytes: &[u8]) -> bool {
    if let Some(request) = BrowserRequest::from_bytes(bytes) {
        let again = BrowserRequest::from_bytes(&request.to_bytes()).expect("our own bytes");
        assert_eq!(again.to_bytes(), request.to_bytes());
        assert!(!request.is_for(request.provider, request.device, request.key, request.expires));
        return true;
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if !is_loopback_redirect(text) {
        return false;
    }
    let url = RedirectUrl::new(text.to_owned()).expect("a URL");
    let url = url.url();
    assert!(matches!(url.host_str(), Some("127.0.0.1" | "[::1]")), "{url}");
    assert_eq!((url.scheme(), url.path(), url.query(), url.fragment()), ("http", "/signed-in", None, None));
    assert!(url.username().is_empty() && url.password().is_none());
    true
}

/// A request as it is kept.
#[cfg(test)]
pub(crate) fn kept() -> Vec<u8> {
    request().to_bytes().to_vec()
}
