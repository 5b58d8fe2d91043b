//! Proof of possession at the application layer (DPoP, RFC 9449): that whoever sends a request holds the key to which its
//! token is bound.
//!
//! Keys are ECDSA P-256 (`ES256`). A proof is good for one method, one URL and one token, for a few minutes; that it is used
//! once is for the verifier to remember, by [`VerifiedProof::id`].

use std::fmt;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::{Random, sha256};

/// How far the time in a proof may differ from the verifier's clock: as far as a knock's by default.
pub const WINDOW: Duration = Duration::from_secs(300);
/// Longest proof, in bytes: a P-256 key, a URL and a hash take some 700.
pub const MAX_PROOF: usize = 4 * 1024;
/// Longest `jti`, in bytes.
const MAX_ID: usize = 256;
/// `typ` of a proof (RFC 9449 §4.2).
const TYPE: &str = "dpop+jwt";
/// The one algorithm.
const ALGORITHM: &str = "ES256";

/// Why a key was not made or read.
#[derive(Debug, thiserror::Error)]
pub enum ProofKeyError {
    /// The generator refused.
    #[error("a key for proofs could not be made")]
    Generation,
    /// Not what [`ProofKey::expose_text`] wrote.
    #[error("expected a P-256 key as PKCS#8 in base64url")]
    Malformed,
}

/// Why a proof was refused. None of the texts repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No DPoP proof at all, or one for another algorithm.
    #[error("expected a DPoP proof (RFC 9449) of at most {MAX_PROOF} bytes with an ES256 key in its header")]
    Malformed,
    /// The signature is not that of the key in the header.
    #[error("the DPoP proof's signature is not that of its key")]
    Signature,
    /// For another request.
    #[error("the DPoP proof is for another method or URL")]
    Request,
    /// For another token, or for none.
    #[error("the DPoP proof is for another token")]
    Token,
    /// Too old, or from the future.
    #[error("the DPoP proof's time differs from this Controller's by {0} s, at most {max} are allowed; set the clock", max = WINDOW.as_secs())]
    Time(u64),
}

/// A public key as the header of a proof carries it (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    crv: String,
    kty: String,
    x: String,
    y: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    jwk: Jwk,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Body {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
}

/// The request that a proof must be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofOf<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// URL without query and fragment.
    pub url: &'a str,
    /// The token that comes with it; none at sign-in.
    pub token: Option<&'a str>,
}

/// A proof that was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedProof {
    /// RFC 7638 thumbprint of its key.
    pub key: Thumbprint,
    /// Hash over key and `jti`: the same for no other proof.
    pub id: [u8; 32],
    /// From here on its time alone refuses it.
    pub until: UnixMillis,
}

/// A private key for proofs. No `Debug` of its content.
pub struct ProofKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: EcdsaKeyPair,
    jwk: Jwk,
}

impl ProofKey {
    /// A new key.
    ///
    /// # Errors
    /// [`ProofKeyError::Generation`].
    pub fn generate() -> Result<Self, ProofKeyError> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| ProofKeyError::Generation)?;
        Self::from_pkcs8(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// A key from the text that [`ProofKey::expose_text`] made.
    ///
    /// # Errors
    /// [`ProofKeyError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, ProofKeyError> {
        let pkcs8 = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| ProofKeyError::Malformed)?;
        Self::from_pkcs8(Zeroizing::new(pkcs8))
    }

    /// The key as text, for a file that is itself secret.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(&self.pkcs8))
    }

    /// RFC 7638 thumbprint of the public half.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        thumbprint(&self.jwk)
    }

    /// A proof for one request at `now`.
    ///
    /// # Errors
    /// [`ProofKeyError::Generation`] if signing failed.
    pub fn prove(&self, of: ProofOf<'_>, now: UnixMillis, random: &dyn Random) -> Result<String, ProofKeyError> {
        let header = Header { typ: TYPE.to_owned(), alg: ALGORITHM.to_owned(), jwk: self.jwk.clone() };
        let body = Body {
            jti: BASE64URL_NOPAD.encode(&random.array::<16>()),
            htm: of.method.to_owned(),
            htu: of.url.to_owned(),
            iat: now.seconds(),
            ath: of.token.map(token_hash),
        };
        let part = |bytes: Result<Vec<u8>, serde_json::Error>| {
            bytes.map(|bytes| BASE64URL_NOPAD.encode(&bytes)).map_err(|_| ProofKeyError::Generation)
        };
        let signed = format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(&body))?);
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signature = self.pair.sign(&random, signed.as_bytes()).map_err(|_| ProofKeyError::Generation)?;
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, ProofKeyError> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).map_err(|_| ProofKeyError::Malformed)?;
        // Uncompressed point (SEC 1 §2.3.3): 4, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = point.get(1..33).zip(point.get(33..65)).ok_or(ProofKeyError::Malformed)?;
        let text = |half: &[u8]| BASE64URL_NOPAD.encode(half);
        let jwk = Jwk { crv: "P-256".to_owned(), kty: "EC".to_owned(), x: text(x), y: text(y) };
        Ok(Self { pkcs8, pair, jwk })
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProofKey({})", self.thumbprint())
    }
}

/// Verifies a proof (RFC 9449 §4.3): shape, signature, method and URL, time, token, in this order.
///
/// # Errors
/// [`ProofError`].
pub fn verify(proof: &str, of: ProofOf<'_>, now: UnixMillis) -> Result<VerifiedProof, ProofError> {
    let (signed, signature) =
        (proof.len() <= MAX_PROOF).then(|| proof.rsplit_once('.')).flatten().ok_or(ProofError::Malformed)?;
    let (header, body) = signed.split_once('.').ok_or(ProofError::Malformed)?;
    let header: Header = decode(header)?;
    let point = point_of(&header).ok_or(ProofError::Malformed)?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| ProofError::Malformed)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| ProofError::Signature)?;
    let body: Body = decode(body)?;
    if body.jti.is_empty() || body.jti.len() > MAX_ID {
        return Err(ProofError::Malformed);
    }
    if body.htm != of.method || body.htu != of.url {
        return Err(ProofError::Request);
    }
    let difference = body.iat.abs_diff(now.seconds());
    if difference > WINDOW.as_secs() {
        return Err(ProofError::Time(difference));
    }
    if body.ath != of.token.map(token_hash) {
        return Err(ProofError::Token);
    }
    let key = thumbprint(&header.jwk);
    let id = sha256(&[&key.0, body.jti.as_bytes()].concat());
    Ok(VerifiedProof { key, id, until: UnixMillis::from_seconds(body.iat).plus(WINDOW + Duration::from_secs(1)) })
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, ProofError> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| ProofError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| ProofError::Malformed)
}

/// The uncompressed point of a header's key, if it is one for the one algorithm.
fn point_of(header: &Header) -> Option<Vec<u8>> {
    let jwk = &header.jwk;
    let known = header.typ == TYPE && header.alg == ALGORITHM && jwk.kty == "EC" && jwk.crv == "P-256";
    let half = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == 32);
    let (x, y) = half(&jwk.x).zip(half(&jwk.y)).filter(|_| known)?;
    Some([&[4], x.as_slice(), y.as_slice()].concat())
}

/// RFC 7638 §3: SHA-256 over the required members in lexicographic order, without white space.
fn thumbprint(jwk: &Jwk) -> Thumbprint {
    let Jwk { crv, kty, x, y } = jwk;
    Thumbprint(sha256(format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#).as_bytes()))
}

/// `ath` (RFC 9449 §4.2).
fn token_hash(token: &str) -> String {
    BASE64URL_NOPAD.encode(&sha256(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const REQUEST: ProofOf<'_> =
        ProofOf { method: "GET", url: "https://c1.example:8443/admin/sites", token: Some("a.token.here") };

    fn proof(key: &ProofKey) -> String {
        key.prove(REQUEST, NOW, &SystemRandom).expect("signed")
    }

    #[test]
    fn a_proof_is_good_for_its_request_its_token_and_its_time_only() {
        let key = ProofKey::generate().expect("made");
        let text = proof(&key);
        let verified = verify(&text, REQUEST, NOW).expect("right");
        assert_eq!(verified.key, key.thumbprint());
        assert_ne!(
            verified.id,
            verify(&proof(&key), REQUEST, NOW).expect("right").id,
            "every proof has an id of its own"
        );
        let refused = |of: ProofOf<'_>, now: UnixMillis| verify(&text, of, now).expect_err("refused");
        assert_eq!(refused(ProofOf { method: "POST", ..REQUEST }, NOW), ProofError::Request);
        assert_eq!(
            refused(ProofOf { url: "https://c2.example:8443/admin/sites", ..REQUEST }, NOW),
            ProofError::Request
        );
        assert_eq!(refused(ProofOf { token: Some("another"), ..REQUEST }, NOW), ProofError::Token);
        assert_eq!(refused(ProofOf { token: None, ..REQUEST }, NOW), ProofError::Token);
        assert!(verify(&text, REQUEST, NOW.plus(WINDOW)).is_ok() && verify(&text, REQUEST, NOW.minus(WINDOW)).is_ok());
        let late = NOW.plus(WINDOW + Duration::from_secs(1));
        assert_eq!(refused(REQUEST, late), ProofError::Time(301));
        assert!(verified.until >= late, "an id is remembered until the time alone refuses it");
    }

    #[test]
    fn only_the_key_in_its_header_signs_a_proof() {
        let (key, other) = (ProofKey::generate().expect("made"), ProofKey::generate().expect("made"));
        let (one, two) = (proof(&key), proof(&other));
        let parts = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, two) = (parts(&one), parts(&two));
        let mixed = [two[0].clone(), one[1].clone(), one[2].clone()].join(".");
        assert_eq!(verify(&mixed, REQUEST, NOW), Err(ProofError::Signature));
        let with = |header: &str| [BASE64URL_NOPAD.encode(header.as_bytes()), one[1].clone(), one[2].clone()].join(".");
        for header in [
            r#"{"typ":"dpop+jwt","alg":"none"}"#.to_owned(),
            String::from_utf8(BASE64URL_NOPAD.decode(one[0].as_bytes()).expect("base64"))
                .expect("text")
                .replace("ES256", "HS256"),
            String::from_utf8(BASE64URL_NOPAD.decode(one[0].as_bytes()).expect("base64"))
                .expect("text")
                .replace("\"crv\"", "\"d\":\"AA\",\"crv\""),
        ] {
            assert_eq!(verify(&with(&header), REQUEST, NOW), Err(ProofError::Malformed), "{header}");
        }
        for text in ["", "..", "a.b.c", &"x".repeat(MAX_PROOF + 1)] {
            assert_eq!(verify(text, REQUEST, NOW), Err(ProofError::Malformed));
        }
    }

    #[test]
    fn a_key_survives_its_text_and_shows_nothing() {
        let key = ProofKey::generate().expect("made");
        let again = ProofKey::from_text(&key.expose_text()).expect("read");
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!(format!("{key:?}"), format!("ProofKey({})", key.thumbprint()));
        assert!(ProofKey::from_text("AAAA").is_err());
    }

    /// RFC 9449 §6.1 gives the thumbprint of the key of its examples.
    #[test]
    fn thumbprints_are_those_of_the_rfc() {
        let jwk = Jwk {
            crv: "P-256".to_owned(),
            kty: "EC".to_owned(),
            x: "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs".to_owned(),
            y: "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA".to_owned(),
        };
        assert_eq!(thumbprint(&jwk).to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }
}
