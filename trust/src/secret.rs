//! Secrets in memory and at rest: 32-byte keys, sealing under the key-encryption key, wrapping for a member, private files, random bytes.
//!
//! Promises: a [`SecretKey`] is wiped when dropped, has no `Debug` and compares in constant time; what [`seal()`] made
//! opens only under the same key and the same label. Who may read a secret is left to callers.

use std::str::FromStr;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

mod file;
mod random;
mod seal;
mod wrap;

pub use file::{FileError, private_directory, read_private, write_private};
pub use random::{Random, SystemRandom};
pub use seal::{SealError, open, seal};
pub use wrap::{WrapError, WrapKey, wrap};

/// 32 secret bytes: a key-encryption key, an SPA key, a master secret, a cookie, a join token.
///
/// Text form: 43 characters of base64url without padding, made only by [`SecretKey::expose_text`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// A secret from bytes that the caller has.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new secret.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut key = Self([0; 32]);
        random.fill(&mut key.0);
        key
    }

    /// The bytes, for a computation; never for a log.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The text form, for a file or a link that is itself secret.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(&self.0))
    }

    /// SHA-256 of the secret: what is stored where only recognition is needed (cookies, join tokens).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.0)
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretKey {}

/// A text was no secret of 32 bytes. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 43 characters of base64url for a secret of 32 bytes")]
pub struct InvalidSecret;

impl FromStr for SecretKey {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| InvalidSecret)?;
        <[u8; 32]>::try_from(bytes.as_slice()).map(Self).map_err(|_| InvalidSecret)
    }
}

/// SHA-256, as thumbprints, fingerprints and stored digests use it.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_text_form_and_nothing_else_parses() {
        let key = SecretKey::generate(&SystemRandom);
        assert!(key.expose_text().parse::<SecretKey>().expect("own text") == key);
        for bad in ["", "AAAA", &"A".repeat(44), &"=".repeat(43)] {
            assert!(bad.parse::<SecretKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn two_generated_secrets_differ() {
        assert!(SecretKey::generate(&SystemRandom) != SecretKey::generate(&SystemRandom));
    }
}
