//! A user's own certificate and its key, from files, as proof at sign-in (S17, `Certificate` and `LdapCertificate`).
//!
//! Promises: a key that others can read is not used; chain and key are looked at before anybody is asked, so that what is
//! wrong with them is said here, where it can be said; the key signs one sign-in on one connection and is worth nothing
//! on another. Who is meant by the certificate is the Collective's business.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::{DeviceId, Thumbprint};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{Credential, MAX_USER_CHAIN, certificate_statement};
use ringwall_startup::Refusal;
use ringwall_trust::secret::{FileError, read_private};
use ringwall_trust::user_certificate::validity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys, SignatureScheme};

/// Longest file of certificates: four of the largest that a Controller takes.
const MAX_CERTIFICATES: u64 = 128 * 1024;
/// What Controllers verify, the strongest first.
const SCHEMES: [SignatureScheme; 6] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
];

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserKeyError {
    /// No such file, or not ours to read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, Refusal),
    /// The key's file.
    #[error(transparent)]
    KeyFile(#[from] FileError),
    /// Something else than certificates.
    #[error("expected 1 to {MAX_USER_CHAIN} certificates in PEM in {0}, the user's first")]
    Certificates(PathBuf),
    /// Something else than a key.
    #[error("expected a private key in PEM (PKCS #8, PKCS #1 or SEC 1) in {0}")]
    Key(PathBuf),
    /// A key that wants a pass phrase.
    #[error("the key in {0} is protected by a pass phrase, which is not supported")]
    PassPhrase(PathBuf),
    /// A kind of key that Controllers do not take.
    #[error("expected an RSA key of 2,048 bits or more, or one on P-256, P-384 or Ed25519, in {0}")]
    Kind(PathBuf),
    /// They do not belong together.
    #[error("the key in {key} is not that of the first certificate in {certificate}")]
    Mismatch {
        /// The certificates' file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
    },
    /// Not yet, or no more.
    #[error("the certificate in {file} is valid from {from} to {until}, and it is {now}")]
    NotInForce {
        /// Its file.
        file: PathBuf,
        /// First moment.
        from: UnixMillis,
        /// Last moment.
        until: UnixMillis,
        /// This one.
        now: UnixMillis,
    },
}

impl UserKeyError {
    /// What the user can do.
    #[must_use]
    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::KeyFile(FileError::Exposed { .. }) => "find out who could read it, then: chmod 600 <file>",
            Self::Read(..) | Self::KeyFile(_) => "do as the message says, or give another file: --certificate, --key",
            Self::PassPhrase(_) => {
                "make a copy without one that only you can read: (umask 077; openssl pkey -in KEY -out COPY)"
            }
            Self::Mismatch { .. } => "give the key with which the certificate was requested: --key",
            Self::NotInForce { .. } => "look at this machine's clock; if it is right, ask for a new certificate",
            _ => "give --certificate and --key, files in PEM",
        }
    }
}

/// A chain and its key. No `Debug`.
pub(crate) struct UserKey {
    chain: Vec<String>,
    key: Arc<dyn SigningKey>,
}

impl UserKey {
    /// Reads both files.
    ///
    /// # Errors
    /// [`UserKeyError`].
    pub(crate) fn read(certificate: &Path, key: &Path, now: UnixMillis) -> Result<Self, UserKeyError> {
        let chain = read_chain(certificate)?;
        let signing = read_key(key)?;
        let pair = CertifiedKey::new(chain, signing);
        match pair.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(UserKeyError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() });
            }
            Err(_) => return Err(UserKeyError::Certificates(certificate.to_owned())),
        }
        if pair.key.choose_scheme(&SCHEMES).is_none() {
            return Err(UserKeyError::Kind(key.to_owned()));
        }
        let malformed = || UserKeyError::Certificates(certificate.to_owned());
        let (from, until) = pair.cert.first().and_then(|leaf| validity(leaf)).ok_or_else(malformed)?;
        if now < from || now > until {
            return Err(UserKeyError::NotInForce { file: certificate.to_owned(), from, until, now });
        }
        let chain = pair.cert.iter().map(|one| BASE64URL_NOPAD.encode(one)).collect();
        Ok(Self { chain, key: pair.key })
    }

    /// The proof for one sign-in on one connection; `exporter` is the connection's.
    ///
    /// # Errors
    /// What the signature failed for: a defect.
    pub(crate) fn prove(
        &self,
        provider: &str,
        device: DeviceId,
        key: Thumbprint,
        exporter: &[u8; 32],
    ) -> Result<Credential, Error> {
        let signer =
            self.key.choose_scheme(&SCHEMES).ok_or_else(|| Error::General("no signature scheme".to_owned()))?;
        let signature = signer.sign(&certificate_statement(provider, device, &key, exporter))?;
        Ok(Credential::Certificate {
            chain: self.chain.clone(),
            scheme: u16::from(signer.scheme()),
            signature: BASE64URL_NOPAD.encode(&signature),
        })
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, UserKeyError> {
    let unread = |error: std::io::Error| UserKeyError::Read(path.to_owned(), Refusal::of_file(error));
    let mut text = Vec::new();
    File::open(path).map_err(unread)?.take(MAX_CERTIFICATES + 1).read_to_end(&mut text).map_err(unread)?;
    let malformed = || UserKeyError::Certificates(path.to_owned());
    if text.len() as u64 > MAX_CERTIFICATES {
        return Err(malformed());
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    chain.ok().filter(|chain| (1..=MAX_USER_CHAIN).contains(&chain.len())).ok_or_else(malformed)
}

fn read_key(path: &Path) -> Result<Arc<dyn SigningKey>, UserKeyError> {
    let text = read_private(path)?;
    let holds = |words: &str| text.windows(words.len()).any(|window| window == words.as_bytes());
    if holds("BEGIN ENCRYPTED PRIVATE KEY") || holds("Proc-Type: 4,ENCRYPTED") {
        return Err(UserKeyError::PassPhrase(path.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| UserKeyError::Key(path.to_owned()))?;
    rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|_| UserKeyError::Kind(path.to_owned()))
}

#[cfg(test)]
mod tests;
