//! Signatures of OpenID providers: JSON Web Signatures in compact form (RFC 7515 §7.1), as ID tokens and signed user info
//! have them.
//!
//! Judges the signature, and of the header what decides about it. The payload is an object of JSON values: no claim gets a
//! type before somebody reads it, so that a provider's own way of writing a claim that nobody uses does no harm. What the
//! claims have to say is left to `id_token`.

use data_encoding::BASE64URL_NOPAD;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey, JsonWebKeyAlgorithm, JwsSigningAlgorithm, SignatureVerificationError};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::redeem::ALGORITHMS;

/// Media types of a header's `typ`, without `application/` (RFC 7515 §4.1.9). An access token (`at+jwt`, RFC 9068) is none
/// of them: it is not taken for an ID token.
const TYPES: [&str; 2] = ["jwt", "jose"];

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum JwsError {
    /// Not three parts, not base64url, or header or payload are no JSON objects.
    #[error("expected three parts in base64url, of which the first two are JSON objects")]
    Malformed,
    /// A header parameter that changes what the token is.
    #[error("its header has `{0}`, which is not supported")]
    Header(&'static str),
    /// None of [`ALGORITHMS`].
    #[error("its signature algorithm `{0}` is not accepted")]
    Algorithm(String),
    /// The provider publishes no such key.
    #[error("its key is not among the provider's")]
    UnknownKey,
    /// The header names no key, and several fit.
    #[error("{0} keys of the provider could have signed it, and its header names none")]
    Ambiguous(usize),
    /// Not signed with that key.
    #[error("its signature is wrong")]
    Signature(#[source] SignatureVerificationError),
}

/// What a provider signed.
pub(super) struct Signed<'k> {
    /// The payload.
    pub(super) claims: Map<String, Value>,
    /// How it is signed: one of [`ALGORITHMS`].
    pub(super) algorithm: CoreJwsSigningAlgorithm,
    /// With which of the provider's keys.
    pub(super) key: &'k CoreJsonWebKey,
}

/// The JOSE header (RFC 7515 §4), as far as it decides. Keys that it brings itself (`jwk`, `jku`, `x5c`) are never read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    cty: Option<Value>,
    crit: Option<Value>,
}

/// The payload of `token`, if one of `keys` signed it.
///
/// # Errors
/// [`JwsError`].
pub(super) fn verify<'k>(token: &str, keys: &'k [CoreJsonWebKey]) -> Result<Signed<'k>, JwsError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
    let header: Header = json(header)?;
    let algorithm = algorithm(&header)?;
    let key = signer(keys, header.kid.as_deref(), &algorithm)?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| JwsError::Malformed)?;
    key.verify_signature(&algorithm, signed.as_bytes(), &signature).map_err(JwsError::Signature)?;
    Ok(Signed { claims: json(payload)?, algorithm, key })
}

/// A part of a token; a fourth part makes it no base64url.
fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, JwsError> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| JwsError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| JwsError::Malformed)
}

fn algorithm(header: &Header) -> Result<CoreJwsSigningAlgorithm, JwsError> {
    // What is critical must be understood (RFC 7515 §4.1.11), and a content type means a token in a token.
    if header.crit.is_some() {
        return Err(JwsError::Header("crit"));
    }
    if header.cty.is_some() {
        return Err(JwsError::Header("cty"));
    }
    let is_token = |kind: &String| {
        let kind = kind.to_ascii_lowercase();
        TYPES.contains(&kind.strip_prefix("application/").unwrap_or(&kind))
    };
    if !header.typ.as_ref().is_none_or(is_token) {
        return Err(JwsError::Header("typ"));
    }
    let named = serde_json::from_value(Value::from(header.alg.as_str())).ok();
    named.filter(|one| ALGORITHMS.contains(one)).ok_or_else(|| JwsError::Algorithm(header.alg.clone()))
}

/// The one key that may have signed. Without `kid` there must be only one (OpenID Connect Core §10.1).
fn signer<'k>(
    keys: &'k [CoreJsonWebKey],
    kid: Option<&str>,
    algorithm: &CoreJwsSigningAlgorithm,
) -> Result<&'k CoreJsonWebKey, JwsError> {
    let named = |key: &&CoreJsonWebKey| kid.is_none() || key.key_id().map(|id| id.as_str()) == kid;
    let fitting: Vec<&CoreJsonWebKey> = keys.iter().filter(named).filter(|key| fits(key, algorithm)).collect();
    match fitting.as_slice() {
        [] => Err(JwsError::UnknownKey),
        [one] => Ok(*one),
        several => Err(JwsError::Ambiguous(several.len())),
    }
}

/// Whether a key is one for signatures of this algorithm.
fn fits(key: &CoreJsonWebKey, algorithm: &CoreJwsSigningAlgorithm) -> bool {
    let for_signatures = key.key_use().is_none_or(|usage| *usage == CoreJsonWebKeyUse::Signature);
    let of_algorithm = match key.signing_alg() {
        JsonWebKeyAlgorithm::Unspecified => true,
        JsonWebKeyAlgorithm::Algorithm(own) => own == algorithm,
        JsonWebKeyAlgorithm::Unsupported => false,
    };
    for_signatures && of_algorithm && algorithm.key_type().as_ref() == Some(key.key_type())
}
