//! A private key for certificates and TLS: RSA-3072 (the default of clients), ECDSA P-256 or P-384.
//!
//! The PKCS#8 bytes are wiped when dropped; `Debug` shows the thumbprint only.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _};
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::pem::{self, PemError};
use super::{Thumbprint, thumbprint_of_spki};
use crate::secret::{FileError, read_private, write_private};

/// What kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with 3,072 bits, as the source document's flow has it.
    Rsa3072,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384; the root's.
    P384,
}

/// Why a key was not made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The generator refused.
    #[error("key generation failed")]
    Generation,
    /// Damaged, or of a kind that is not used here.
    #[error("expected a PKCS#8 key of RSA 3072 to 4096 bits, P-256 or P-384")]
    Unsupported,
    /// The text is no PEM with a private key.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

/// A private key that signs requests, certificates and handshakes.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: Pair,
    algorithm: &'static SignatureAlgorithm,
    public: Vec<u8>,
}

impl PrivateKey {
    /// A new key. RSA takes 0.1 to 1 s of a core.
    ///
    /// # Errors
    /// [`KeyError::Generation`].
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let pkcs8 = match kind {
            KeyKind::Rsa3072 => generate_rsa()?,
            KeyKind::P256 => generate_ec(&signature::ECDSA_P256_SHA256_ASN1_SIGNING)?,
            KeyKind::P384 => generate_ec(&signature::ECDSA_P384_SHA384_ASN1_SIGNING)?,
        };
        Self::from_pkcs8(pkcs8)
    }

    /// A key from PKCS#8 DER.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`].
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        for (signing, algorithm) in [
            (&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &rcgen::PKCS_ECDSA_P256_SHA256),
            (&signature::ECDSA_P384_SHA384_ASN1_SIGNING, &rcgen::PKCS_ECDSA_P384_SHA384),
        ] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(signing, &pkcs8) {
                let public = pair.public_key().as_ref().to_vec();
                return Ok(Self { pkcs8, pair: Pair::Ec(pair), algorithm, public });
            }
        }
        let pair = rsa::KeyPair::from_pkcs8(&pkcs8).map_err(|_| KeyError::Unsupported)?;
        if !(3072 / 8..=4096 / 8).contains(&pair.public_modulus_len()) {
            return Err(KeyError::Unsupported);
        }
        let public = pair.public_key().as_ref().to_vec();
        Ok(Self { pkcs8, pair: Pair::Rsa(pair), algorithm: &rcgen::PKCS_RSA_SHA256, public })
    }

    /// A key from PEM (`PRIVATE KEY`).
    ///
    /// # Errors
    /// [`KeyError::Pem`], [`KeyError::Unsupported`].
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let der: PrivatePkcs8KeyDer<'static> = pem::decode(text, "PRIVATE KEY")?;
        Self::from_pkcs8(Zeroizing::new(der.secret_pkcs8_der().to_vec()))
    }

    /// The key as PEM, for a file that is itself secret.
    #[must_use]
    pub fn expose_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::encode("PRIVATE KEY", &self.pkcs8))
    }

    /// The key as PKCS#8 DER, for sealing.
    #[must_use]
    pub fn expose_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Reads a key from a file of mode 0600.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read_private(path)?)
    }

    /// Writes the key to a file of mode 0600, whole or not at all.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        Ok(write_private(path, self.expose_pem().as_bytes())?)
    }

    /// The name of the key's public half.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        thumbprint_of_spki(&self.subject_public_key_info())
    }

    /// A certificate signing request (RFC 2986) for this key; its subject is empty, for nothing but the key is used.
    ///
    /// # Errors
    /// [`KeyError::Generation`] if signing failed.
    pub fn request(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(self).map_err(|_| KeyError::Generation)?;
        Ok(request.der().to_vec())
    }

    /// The key as rustls signs with it.
    pub(crate) fn for_tls(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, KeyError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.as_slice()));
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(|_| KeyError::Unsupported)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.thumbprint())
    }
}

impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => {
                let signed = pair.sign(&random, message).map_err(|_| rcgen::Error::RingUnspecified)?;
                Ok(signed.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signed)
                    .map_err(|_| rcgen::Error::RingUnspecified)?;
                Ok(signed)
            }
        }
    }
}

fn generate_rsa() -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa3072).map_err(|_| KeyError::Generation)?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| KeyError::Generation)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn generate_ec(algorithm: &'static signature::EcdsaSigningAlgorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| KeyError::Generation)?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_survives_its_file_and_keeps_its_thumbprint() {
        let directory = tempfile::tempdir().expect("a directory");
        for kind in [KeyKind::Rsa3072, KeyKind::P256, KeyKind::P384] {
            let key = PrivateKey::generate(kind).expect("generated");
            let path = directory.path().join("key.pem");
            key.save(&path).expect("saved");
            assert_eq!(PrivateKey::load(&path).expect("loaded").thumbprint(), key.thumbprint(), "{kind:?}");
            key.for_tls().expect("usable in TLS");
        }
    }

    #[test]
    fn debug_shows_no_key_material() {
        let key = PrivateKey::generate(KeyKind::P256).expect("generated");
        assert_eq!(format!("{key:?}"), format!("PrivateKey({})", key.thumbprint()));
    }

    #[test]
    fn a_damaged_or_small_key_is_refused() {
        assert!(matches!(PrivateKey::from_pem(b"no pem"), Err(KeyError::Pem(_))));
        let small = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("generated");
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&small).expect("encoded");
        let refused = PrivateKey::from_pkcs8(Zeroizing::new(der.as_ref().to_vec()));
        assert!(matches!(refused, Err(KeyError::Unsupported)));
    }
}
