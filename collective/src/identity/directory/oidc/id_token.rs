//! What an ID token must claim to be for us, now and for this request (OpenID Connect Core §3.1.3.7). Pure.
//!
//! Strict where a claim decides: `iss`, `sub`, `aud`, `azp`, `exp`, `iat` and `nonce` have the type of the standard, or the
//! token proves nothing. `auth_time` is read only where the user was to prove himself anew. No other claim is read here.

use std::time::Duration;

use openidconnect::IssuerUrl;
use ringwall_protocol::time::UnixMillis;
use serde_json::{Map, Value};

/// Clocks differ by this much at most.
const SKEW: Duration = Duration::from_secs(120);

/// What a token is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// The provider.
    pub(super) issuer: &'a IssuerUrl,
    /// Our client id at it.
    pub(super) audience: &'a str,
    /// Of the request.
    pub(super) nonce: &'a str,
    /// The user must have proved himself since then, where that was asked.
    pub(super) fresh_since: Option<UnixMillis>,
    /// This Controller's time.
    pub(super) now: UnixMillis,
}

/// Why an ID token proves nobody, for operators.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ClaimError {
    /// It is missing, or of another type.
    #[error("its claim {0} is missing or is no {1}")]
    Kind(&'static str, &'static str),
    /// Somebody else made it.
    #[error("its issuer is {0:?}, another one than the provider")]
    Issuer(String),
    /// It is for somebody else.
    #[error("its audience is another one than this client")]
    Audience,
    /// It is for several, and does not say which of them asked for it.
    #[error("it has more than one audience and no authorized party (azp)")]
    NoParty,
    /// Somebody else asked for it.
    #[error("it was made for another party")]
    Party,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not begun.
    #[error("it is from the future")]
    Future,
    /// It is of another request.
    #[error("its nonce is that of another request")]
    Nonce,
    /// He did it before, or nobody says when.
    #[error("the user did not prove himself anew")]
    NotAnew,
}

/// Whether these claims, whose signature was verified, count.
///
/// # Errors
/// [`ClaimError`].
pub(super) fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), ClaimError> {
    issued_by(claims, expected.issuer)?;
    is_for(claims, expected.audience)?;
    let now = seconds_of(expected.now);
    if date(claims, "exp")? <= now {
        return Err(ClaimError::Expired);
    }
    if date(claims, "iat")? > now.saturating_add(skew()) {
        return Err(ClaimError::Future);
    }
    // Hashes compare in constant time.
    if blake3::hash(text(claims, "nonce")?.as_bytes()) != blake3::hash(expected.nonce.as_bytes()) {
        return Err(ClaimError::Nonce);
    }
    if text(claims, "sub")?.is_empty() {
        return Err(ClaimError::Kind("sub", "text"));
    }
    match expected.fresh_since {
        Some(since) => anew(claims, since),
        None => Ok(()),
    }
}

/// Whether the provider itself made these claims.
///
/// # Errors
/// [`ClaimError`].
pub(super) fn issued_by(claims: &Map<String, Value>, issuer: &IssuerUrl) -> Result<(), ClaimError> {
    let named = text(claims, "iss")?;
    let same = IssuerUrl::new(named.to_owned()).is_ok_and(|named| named == *issuer);
    if same { Ok(()) } else { Err(ClaimError::Issuer(named.to_owned())) }
}

/// Whether these claims are for this client: the only audience, or one of several and the one that asked.
///
/// # Errors
/// [`ClaimError`].
pub(super) fn is_for(claims: &Map<String, Value>, client: &str) -> Result<(), ClaimError> {
    let audiences = audiences(claims)?;
    if !audiences.contains(&client) {
        return Err(ClaimError::Audience);
    }
    let alone = audiences.iter().all(|one| *one == client);
    match claims.get("azp").filter(|party| !party.is_null()) {
        Some(party) if party.as_str() != Some(client) => Err(ClaimError::Party),
        None if !alone => Err(ClaimError::NoParty),
        Some(_) | None => Ok(()),
    }
}

/// A text, or a list of texts (RFC 7519 §4.1.3).
fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, ClaimError> {
    let texts = match claims.get("aud") {
        Some(Value::String(one)) => Some(vec![one.as_str()]),
        Some(Value::Array(all)) => all.iter().map(Value::as_str).collect(),
        _ => None,
    };
    texts.ok_or(ClaimError::Kind("aud", "text or list of texts"))
}

fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, ClaimError> {
    claims.get(name).and_then(Value::as_str).ok_or(ClaimError::Kind(name, "text"))
}

fn date(claims: &Map<String, Value>, name: &'static str) -> Result<i64, ClaimError> {
    claims.get(name).and_then(seconds).ok_or(ClaimError::Kind(name, "number of seconds"))
}

/// A NumericDate (RFC 7519 §2) in whole seconds: a fraction is cut off, what does not fit is the nearest that does.
fn seconds(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    let fraction = number.as_f64()?;
    Some(match Duration::try_from_secs_f64(fraction) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(_) if fraction < 0.0 => i64::MIN,
        Err(_) => i64::MAX,
    })
}

/// Some providers write the time as a text of digits.
fn anew(claims: &Map<String, Value>, since: UnixMillis) -> Result<(), ClaimError> {
    let at = match claims.get("auth_time") {
        Some(Value::String(digits)) => digits.parse().ok(),
        Some(value) => seconds(value),
        None => None,
    };
    let earliest = seconds_of(since).saturating_sub(skew());
    if at.is_some_and(|at| at >= earliest) { Ok(()) } else { Err(ClaimError::NotAnew) }
}

fn seconds_of(time: UnixMillis) -> i64 {
    i64::try_from(time.seconds()).unwrap_or(i64::MAX)
}

fn skew() -> i64 {
    i64::try_from(SKEW.as_secs()).unwrap_or(i64::MAX)
}
