//! Who holds a key, and who a certificate says he is.
//!
//! [`PrivateKey`] is a node's or client's own key; [`VerifiedRequest`] a CSR whose signature was checked and of which
//! only the public key is kept; [`Leaf`] a parsed end certificate with its [`LeafIdentity`], taken from exactly one SAN
//! URI; [`Thumbprint`]s name keys everywhere else. Whether a certificate is *trusted* is for [`crate::tls`] to decide.

pub use ringwall_protocol::id::Thumbprint;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod leaf;
mod leaf_identity;
pub(crate) mod pem;
mod private_key;
mod request;

pub(crate) use leaf::check_chain_size;
pub use leaf::{Leaf, LeafError};
pub(crate) use leaf::{key_of, parse_issuer};
pub use leaf_identity::{IssuerKind, LeafIdentity, UriError};
pub use pem::{PemError, certificates_from_pem, certificates_to_pem};
pub use private_key::{KeyError, KeyKind, PrivateKey};
pub(crate) use request::accepted_key;
pub use request::{RequestError, VerifiedRequest};

use crate::secret::sha256;

/// The thumbprint of a SubjectPublicKeyInfo in DER (RFC 7469 §2.4 pins the same bytes).
#[must_use]
pub(crate) fn thumbprint_of_spki(spki: &[u8]) -> Thumbprint {
    Thumbprint(sha256(spki))
}

/// SHA-256 over a whole certificate in DER: how a client profile names the Collective's root.
///
/// Text form: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(sha256(certificate))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A text was no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a SHA-256 fingerprint of 64 hex digits")]
pub struct InvalidFingerprint;

impl std::str::FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    /// Reads hex in either case; colons between bytes are allowed, as other tools print them.
    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let digits: String = text.chars().filter(|c| *c != ':').take(65).collect();
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| InvalidFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| InvalidFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_survives_its_text_form_with_or_without_colons() {
        let fingerprint = Fingerprint::of(b"certificate");
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        let text = fingerprint.to_string().to_uppercase();
        let pairs: Vec<&str> = text.as_bytes().chunks(2).map(|c| std::str::from_utf8(c).expect("hex")).collect();
        assert_eq!(pairs.join(":").parse(), Ok(fingerprint));
        assert!("abcd".parse::<Fingerprint>().is_err());
    }
}
