//! The root key in a file: AES-256-GCM under a key that Argon2id makes from a passphrase (RFC 9106).
//!
//! The file is JSON with the root's certificate in the clear, so that people can see which root they hold.

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{CaError, RootCa};
use crate::identity::{Fingerprint, KeyError, PrivateKey, certificates_from_pem, certificates_to_pem};
use crate::password::Cost;
use crate::secret::{Random, SealError, SecretKey, open, seal};

/// Largest file that is read; ours have some 2 KiB.
const MAX_FILE: usize = 32 << 10;
/// Most memory and passes that a file may ask for: a foreign file must not stop the machine.
const MAX_COST: Cost = Cost { memory_kib: 1 << 20, iterations: 16, lanes: 8 };

/// Why a sealed root did not open.
#[derive(Debug, thiserror::Error)]
pub enum SealedRootError {
    /// Not a file that this program writes.
    #[error("expected a sealed root key of version 1")]
    Malformed,
    /// The file asks for more work than is reasonable.
    #[error("sealed root key asks for too much memory or time")]
    Cost,
    /// Wrong passphrase, or the file was altered.
    #[error("passphrase is wrong or the file was altered")]
    Passphrase(#[source] SealError),
    /// What was in it is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Key and certificate do not belong together.
    #[error(transparent)]
    Root(#[from] CaError),
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SealedRoot {
    version: u8,
    /// The root's certificate, PEM.
    certificate: String,
    kdf: Kdf,
    /// The PKCS#8 key, sealed; base64url.
    sealed: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kdf {
    algorithm: String,
    memory_kib: u32,
    iterations: u32,
    lanes: u32,
    salt: String,
}

impl SealedRoot {
    /// Seals a root under a passphrase. [`Cost::ROOT_KEY`] takes some 0.2 s.
    #[must_use]
    pub fn seal(root: &RootCa, passphrase: &str, cost: Cost, random: &dyn Random) -> Self {
        let salt: [u8; 16] = random.array();
        let key = stretch(passphrase, &salt, cost);
        let sealed = seal(&key, &label(root.certificate()), root.key().expose_pkcs8(), random);
        Self {
            version: 1,
            certificate: certificates_to_pem(std::slice::from_ref(root.certificate())),
            kdf: Kdf {
                algorithm: "argon2id".to_owned(),
                memory_kib: cost.memory_kib,
                iterations: cost.iterations,
                lanes: cost.lanes,
                salt: data_encoding::BASE64URL_NOPAD.encode(&salt),
            },
            sealed: data_encoding::BASE64URL_NOPAD.encode(&sealed),
        }
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers always serialise")
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// [`SealedRootError::Malformed`].
    pub fn from_json(text: &[u8]) -> Result<Self, SealedRootError> {
        if text.len() > MAX_FILE {
            return Err(SealedRootError::Malformed);
        }
        let root: Self = serde_json::from_slice(text).map_err(|_| SealedRootError::Malformed)?;
        if root.version != 1 || root.kdf.algorithm != "argon2id" {
            return Err(SealedRootError::Malformed);
        }
        Ok(root)
    }

    /// The root's certificate, which needs no passphrase.
    ///
    /// # Errors
    /// [`SealedRootError::Malformed`].
    pub fn certificate(&self) -> Result<CertificateDer<'static>, SealedRootError> {
        let mut all = certificates_from_pem(self.certificate.as_bytes()).map_err(|_| SealedRootError::Malformed)?;
        if all.len() == 1 { Ok(all.remove(0)) } else { Err(SealedRootError::Malformed) }
    }

    /// Opens the root.
    ///
    /// # Errors
    /// [`SealedRootError`].
    pub fn open(&self, passphrase: &str) -> Result<RootCa, SealedRootError> {
        let decode = |text: &str| data_encoding::BASE64URL_NOPAD.decode(text.as_bytes());
        let salt = decode(&self.kdf.salt).map_err(|_| SealedRootError::Malformed)?;
        let sealed = decode(&self.sealed).map_err(|_| SealedRootError::Malformed)?;
        let Kdf { memory_kib, iterations, lanes, .. } = self.kdf;
        let cost = Cost { memory_kib, iterations, lanes };
        if !cost.within(MAX_COST) || !(8..=64).contains(&salt.len()) {
            return Err(SealedRootError::Cost);
        }
        let certificate = self.certificate()?;
        let key = stretch(passphrase, &salt, cost);
        let pkcs8 = open(&key, &label(&certificate), &sealed).map_err(SealedRootError::Passphrase)?;
        Ok(RootCa::from_parts(PrivateKey::from_pkcs8(pkcs8)?, certificate)?)
    }
}

fn label(certificate: &CertificateDer<'_>) -> String {
    format!("root-key/{}", Fingerprint::of(certificate))
}

fn stretch(passphrase: &str, salt: &[u8], cost: Cost) -> SecretKey {
    let mut key = Zeroizing::new([0; 32]);
    cost.argon2()
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .expect("salt and cost are within Argon2's bounds");
    SecretKey::new(*key)
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::id::CollectiveId;
    use ringwall_protocol::time::UnixMillis;

    use super::*;
    use crate::secret::SystemRandom;

    fn sealed() -> (RootCa, SealedRoot) {
        let id = CollectiveId::from_random([1; 16]);
        let root = RootCa::create(id, "test", UnixMillis::from_seconds(1_800_000_000), &SystemRandom).expect("made");
        let sealed = SealedRoot::seal(&root, "correct horse", Cost::FAST, &SystemRandom);
        (root, sealed)
    }

    #[test]
    fn a_sealed_root_opens_with_its_passphrase_only() {
        let (root, sealed) = sealed();
        let read = SealedRoot::from_json(sealed.to_json().as_bytes()).expect("own text");
        let opened = read.open("correct horse").expect("own passphrase");
        assert_eq!(opened.fingerprint(), root.fingerprint());
        assert_eq!(opened.key().thumbprint(), root.key().thumbprint());
        assert!(matches!(read.open("wrong"), Err(SealedRootError::Passphrase(_))));
    }

    #[test]
    fn a_sealed_root_with_another_certificate_does_not_open() {
        let (_, mut one) = sealed();
        let (_, other) = sealed();
        one.certificate = other.certificate;
        assert!(matches!(one.open("correct horse"), Err(SealedRootError::Passphrase(_))));
    }

    #[test]
    fn a_file_that_asks_for_the_whole_machine_is_refused() {
        let (_, mut sealed) = sealed();
        sealed.kdf.memory_kib = u32::MAX;
        assert!(matches!(sealed.open("correct horse"), Err(SealedRootError::Cost)));
        assert!(matches!(SealedRoot::from_json(b"{}"), Err(SealedRootError::Malformed)));
        assert!(matches!(SealedRoot::from_json(&vec![b' '; MAX_FILE + 1]), Err(SealedRootError::Malformed)));
    }
}
