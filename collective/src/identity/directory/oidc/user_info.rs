//! What a provider's user info endpoint says of the user whose ID token was verified (OpenID Connect Core §5.3): an object,
//! plain or signed, of which only `sub` is held against the token.

use hyper::StatusCode;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use openidconnect::{AccessToken, HttpRequest, HttpResponse};
use ringwall_protocol::object::identity_provider::OidcSettings;
use serde_json::{Map, Value};

use super::discovery::Published;
use super::trouble::Trouble;
use super::{id_token, jws};

const WHAT: &str = "its user info endpoint";

/// What the endpoint says of `subject`.
///
/// # Errors
/// That it cannot be asked, that it says nothing, or that it speaks of another user.
pub(super) async fn ask(
    settings: &OidcSettings,
    published: &Published,
    token: &AccessToken,
    subject: &str,
) -> Result<Map<String, Value>, Trouble> {
    let request = request(published, token)?;
    let ask = published.line.transport();
    let answer = ask(request).await.map_err(|error| Trouble::of(WHAT, &error))?;
    let told = read(settings, published, &answer)?;
    // What is said of somebody else must not be used (§5.3.2).
    if told.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(Trouble::missing(WHAT, "it speaks of another user (sub) than the ID token"));
    }
    Ok(told)
}

fn request(published: &Published, token: &AccessToken) -> Result<HttpRequest, Trouble> {
    let endpoint = published.metadata.userinfo_endpoint().ok_or_else(|| Trouble::missing(WHAT, "there is none"))?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.secret()))
        .map_err(|_| Trouble::missing(WHAT, "the access token cannot be sent in a header"))?;
    bearer.set_sensitive(true);
    hyper::Request::get(endpoint.url().as_str())
        .header(ACCEPT, "application/json")
        .header(AUTHORIZATION, bearer)
        .body(Vec::new())
        .map_err(|error| Trouble::of(WHAT, &error))
}

fn read(settings: &OidcSettings, published: &Published, answer: &HttpResponse) -> Result<Map<String, Value>, Trouble> {
    if answer.status() != StatusCode::OK {
        return Err(Trouble::missing(WHAT, &format!("HTTP {}", answer.status().as_u16())));
    }
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.trim_start().to_ascii_lowercase().starts_with("application/jwt") {
        return serde_json::from_slice(answer.body()).map_err(|error| Trouble::of(WHAT, &error));
    }
    // Signed: by the provider and for us, as the standard has it there.
    let token = std::str::from_utf8(answer.body()).map_err(|error| Trouble::of(WHAT, &error))?;
    let signed = jws::verify(token.trim(), published.metadata.jwks().keys());
    let claims = signed.map_err(|error| Trouble::of(WHAT, &error))?.claims;
    id_token::issued_by(&claims, published.metadata.issuer())
        .and_then(|()| id_token::is_for(&claims, &settings.audience))
        .map_err(|error| Trouble::of(WHAT, &error))?;
    Ok(claims)
}
