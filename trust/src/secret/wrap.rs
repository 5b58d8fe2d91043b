//! Wrapping of a secret for one recipient: HPKE in base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! AES-256-GCM, as rustls' provider implements it.
//!
//! The label is authenticated as HPKE's `info`, so that what was wrapped for one purpose does not open for another. Base mode
//! does not say who wrapped: what carries it must (here the replicated log, in which only members write).
//! Layout: encapsulated key(32) ‖ ciphertext ‖ tag(16).

use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

use super::SecretKey;

/// Bytes of an X25519 public key and of an encapsulated key.
const PUBLIC: usize = 32;

/// Why something was not wrapped or did not open. Deliberately coarse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// No X25519 public key of 32 bytes.
    #[error("expected an X25519 public key: 43 characters of base64url")]
    PublicKey,
    /// Altered, or wrapped for another recipient or label.
    #[error("the wrapped key does not open with this node's key")]
    Refused,
    /// The cryptographic library failed.
    #[error("the key could not be wrapped")]
    Failed,
}

/// A key pair whose owner secrets can be wrapped for. No `Debug`.
pub struct WrapKey {
    private: SecretKey,
    public: [u8; PUBLIC],
}

impl WrapKey {
    /// A new key pair.
    ///
    /// # Errors
    /// [`WrapError::Failed`].
    pub fn generate() -> Result<Self, WrapError> {
        let (public, private) = SUITE.generate_key_pair().map_err(|_| WrapError::Failed)?;
        let public = public.0.try_into().map_err(|_| WrapError::Failed)?;
        let private = private.secret_bytes().try_into().map(SecretKey::new).map_err(|_| WrapError::Failed)?;
        Ok(Self { private, public })
    }

    /// The key pair of a private key, as [`WrapKey::private`] gave it.
    ///
    /// # Errors
    /// [`WrapError::Failed`].
    pub fn from_private(private: SecretKey) -> Result<Self, WrapError> {
        use aws_lc_rs::agreement::{PrivateKey, X25519};
        let pair = PrivateKey::from_private_key(&X25519, private.expose()).map_err(|_| WrapError::Failed)?;
        let public = pair.compute_public_key().map_err(|_| WrapError::Failed)?;
        let public = public.as_ref().try_into().map_err(|_| WrapError::Failed)?;
        Ok(Self { private, public })
    }

    /// The private key, for the file that keeps it.
    #[must_use]
    pub const fn private(&self) -> &SecretKey {
        &self.private
    }

    /// The public key, 43 characters of base64url.
    #[must_use]
    pub fn public_text(&self) -> String {
        data_encoding::BASE64URL_NOPAD.encode(&self.public)
    }

    /// Opens what [`wrap`] made for this key pair and the same label.
    ///
    /// # Errors
    /// [`WrapError::Refused`].
    pub fn unwrap(&self, label: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        let (encapsulated, ciphertext) = wrapped.split_at_checked(PUBLIC).ok_or(WrapError::Refused)?;
        let private = HpkePrivateKey::from(self.private.expose().to_vec());
        let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
        let opened = SUITE.open(&encapsulated, &info(label), &[], ciphertext, &private);
        opened.map(Zeroizing::new).map_err(|_| WrapError::Refused)
    }
}

/// Wraps `secret` for `label` and the owner of a public key, 43 characters of base64url.
///
/// # Errors
/// [`WrapError`].
pub fn wrap(public: &str, label: &str, secret: &[u8]) -> Result<Vec<u8>, WrapError> {
    let public = data_encoding::BASE64URL_NOPAD.decode(public.as_bytes()).map_err(|_| WrapError::PublicKey)?;
    if public.len() != PUBLIC {
        return Err(WrapError::PublicKey);
    }
    let sealed = SUITE.seal(&info(label), &[], secret, &HpkePublicKey(public));
    let (encapsulated, ciphertext) = sealed.map_err(|_| WrapError::Failed)?;
    Ok([encapsulated.0, ciphertext].concat())
}

fn info(label: &str) -> Vec<u8> {
    [b"ringwall/wrap/1\0".as_slice(), label.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_secret_opens_only_for_its_recipient_and_label_unaltered() {
        let (one, other) = (WrapKey::generate().expect("a key"), WrapKey::generate().expect("a key"));
        let wrapped = wrap(&one.public_text(), "kek/2", &[7; 32]).expect("wrapped");
        assert_eq!(one.unwrap("kek/2", &wrapped).expect("own").as_slice(), [7; 32]);
        assert_eq!(other.unwrap("kek/2", &wrapped).err(), Some(WrapError::Refused));
        assert_eq!(one.unwrap("kek/3", &wrapped).err(), Some(WrapError::Refused));
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            assert_eq!(one.unwrap("kek/2", &altered).err(), Some(WrapError::Refused), "byte {at}");
        }
        assert_eq!(one.unwrap("kek/2", &wrapped[..31]).err(), Some(WrapError::Refused));
        for bad in ["", "AAAA", &"A".repeat(44)] {
            assert_eq!(wrap(bad, "kek/2", &[7; 32]).err(), Some(WrapError::PublicKey), "{bad:?}");
        }
    }

    #[test]
    fn a_key_pair_survives_its_file() {
        let one = WrapKey::generate().expect("a key");
        let again = WrapKey::from_private(one.private().clone()).expect("the same");
        assert_eq!(again.public_text(), one.public_text());
        let wrapped = wrap(&one.public_text(), "kek/2", b"secret").expect("wrapped");
        assert_eq!(again.unwrap("kek/2", &wrapped).expect("own").as_slice(), b"secret");
    }
}
