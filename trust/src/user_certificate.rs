//! A user's own certificate as proof at sign-in: issued by an authority that an operator named, in force, not revoked,
//! and its key signed a statement of this very sign-in (RFC 5280; RFC 8446 §4.2.3 for the signature).
//!
//! Which user it means is left to the caller: names are given as they stand.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use ringwall_protocol::time::UnixMillis;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use webpki::aws_lc_rs as algorithm;
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Longest certificate of a chain, in bytes.
const MAX_CERTIFICATE: usize = 16 * 1024;
/// Most certificates of a chain: leaf and three intermediates.
const MAX_CHAIN: usize = 4;
/// Most authorities or lists, and longest text of one.
const MAX_LISTED: usize = 32;
const MAX_TEXT: usize = 1024 * 1024;
/// `id-ms-san-upn`, the user principal name among other names.
const PRINCIPAL_NAME: &str = "1.3.6.1.4.1.311.20.2.3";

/// What users' certificates are signed with.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithm::ECDSA_P256_SHA256,
    algorithm::ECDSA_P256_SHA384,
    algorithm::ECDSA_P384_SHA256,
    algorithm::ECDSA_P384_SHA384,
    algorithm::ED25519,
    algorithm::RSA_PKCS1_2048_8192_SHA256,
    algorithm::RSA_PKCS1_2048_8192_SHA384,
    algorithm::RSA_PKCS1_2048_8192_SHA512,
    algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Authorities of users' certificates, and what they revoked.
pub struct UserAuthorities {
    anchors: Vec<TrustAnchor<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
}

/// What is wrong with authorities or lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// `caCertificates`.
    #[error("expected certificates of authorities in PEM: {0}")]
    Authorities(String),
    /// `revocationLists`.
    #[error("expected revocation lists in PEM: {0}")]
    Lists(String),
}

/// Why a certificate proves nobody.
#[derive(Debug, thiserror::Error)]
pub enum UserCertificateError {
    /// Too long, or no X.509.
    #[error("expected 1 to {MAX_CHAIN} certificates in DER")]
    Malformed,
    /// Not issued by a named authority, not in force, revoked, or not for clients.
    #[error("the certificate is not accepted: {0}")]
    Chain(webpki::Error),
    /// A signature method that is not accepted.
    #[error("signature scheme {0:#06x} is not accepted")]
    Scheme(u16),
    /// The key did not sign the statement.
    #[error("the key did not sign this sign-in")]
    Signature,
}

/// What a proved certificate says of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCertificate {
    /// User principal names among the alternative names.
    pub principal_names: Vec<String>,
    /// E-mail addresses among the alternative names.
    pub emails: Vec<String>,
    /// Common names of the subject.
    pub common_names: Vec<String>,
    /// When it ends.
    pub not_after: UnixMillis,
}

/// A chain and the proof of its key.
#[derive(Debug, Clone, Copy)]
pub struct Presentation<'a> {
    /// Leaf first, DER.
    pub chain: &'a [Vec<u8>],
    /// What was signed.
    pub statement: &'a [u8],
    /// Number of the signature scheme (RFC 8446 §4.2.3).
    pub scheme: u16,
    /// The signature.
    pub signature: &'a [u8],
}

impl UserAuthorities {
    /// Reads authorities and revocation lists, PEM.
    ///
    /// # Errors
    /// [`AuthoritiesError`]; no authority at all is one.
    pub fn parse(authorities: &[String], lists: &[String]) -> Result<Self, AuthoritiesError> {
        let no_authority = |cause: String| AuthoritiesError::Authorities(cause);
        let mut anchors = Vec::new();
        for text in bounded(authorities).map_err(AuthoritiesError::Authorities)? {
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                let certificate = certificate.map_err(|error| no_authority(error.to_string()))?;
                let (_, parsed) =
                    X509Certificate::from_der(&certificate).map_err(|_| no_authority("no X.509".to_owned()))?;
                if !parsed.is_ca() {
                    return Err(no_authority(format!("{} is no authority", parsed.subject())));
                }
                let anchor = anchor_from_trusted_cert(&certificate).map_err(|error| no_authority(error.to_string()))?;
                anchors.push(anchor.to_owned());
            }
        }
        if anchors.is_empty() {
            return Err(no_authority("there is none".to_owned()));
        }
        let no_list = |cause: String| AuthoritiesError::Lists(cause);
        let mut revoked = Vec::new();
        for text in bounded(lists).map_err(AuthoritiesError::Lists)? {
            for list in CertificateRevocationListDer::pem_slice_iter(text.as_bytes()) {
                let list = list.map_err(|error| no_list(error.to_string()))?;
                let list = OwnedCertRevocationList::from_der(&list).map_err(|error| no_list(error.to_string()))?;
                revoked.push(CertRevocationList::Owned(list));
            }
        }
        if revoked.is_empty() && !lists.is_empty() {
            return Err(no_list("there is none".to_owned()));
        }
        Ok(Self { anchors, revoked })
    }

    /// Whom a certificate proves.
    ///
    /// # Errors
    /// [`UserCertificateError`].
    pub fn prove(&self, presented: Presentation<'_>, now: UnixMillis) -> Result<UserCertificate, UserCertificateError> {
        let fits = (1..=MAX_CHAIN).contains(&presented.chain.len())
            && presented.chain.iter().all(|one| one.len() <= MAX_CERTIFICATE);
        if !fits {
            return Err(UserCertificateError::Malformed);
        }
        let chain: Vec<_> = presented.chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let leaf = EndEntityCert::try_from(&chain[0]).map_err(|_| UserCertificateError::Malformed)?;
        let lists: Vec<_> = self.revoked.iter().collect();
        // With lists, whoever no list speaks of is refused, and so is what an outdated list says.
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::EndEntity)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.0));
        leaf.verify_for_usage(ALGORITHMS, &self.anchors, &chain[1..], at, KeyUsage::client_auth(), revocation, None)
            .map_err(UserCertificateError::Chain)?;
        let scheme = scheme(presented.scheme).ok_or(UserCertificateError::Scheme(presented.scheme))?;
        leaf.verify_signature(scheme, presented.statement, presented.signature)
            .map_err(|_| UserCertificateError::Signature)?;
        said(&chain[0]).ok_or(UserCertificateError::Malformed)
    }
}

impl std::fmt::Debug for UserAuthorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserAuthorities({} authorities, {} lists)", self.anchors.len(), self.revoked.len())
    }
}

/// First and last moment of a certificate, DER. Reading it proves nothing.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(UnixMillis, UnixMillis)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let moment = |seconds: i64| Some(UnixMillis(u64::try_from(seconds).ok()?.checked_mul(1_000)?));
    let validity = certificate.validity();
    Some((moment(validity.not_before.timestamp())?, moment(validity.not_after.timestamp())?))
}

fn bounded(texts: &[String]) -> Result<&[String], String> {
    if texts.len() > MAX_LISTED || texts.iter().any(|text| text.len() > MAX_TEXT) {
        return Err(format!("at most {MAX_LISTED} texts of at most {MAX_TEXT} bytes"));
    }
    Ok(texts)
}

/// Signature methods of TLS 1.3 for end certificates.
fn scheme(number: u16) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    Some(match number {
        0x0403 => algorithm::ECDSA_P256_SHA256,
        0x0503 => algorithm::ECDSA_P384_SHA384,
        0x0804 => algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        0x0805 => algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        0x0806 => algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        0x0807 => algorithm::ED25519,
        _ => return None,
    })
}

/// The names of a certificate that was verified.
fn said(der: &[u8]) -> Option<UserCertificate> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() || certificate.is_ca() {
        return None;
    }
    let names = certificate.subject_alternative_name().ok()?;
    let names = names.as_ref().map_or(&[][..], |extension| extension.value.general_names.as_slice());
    let (mut principal_names, mut emails) = (Vec::new(), Vec::new());
    for name in names {
        match name {
            GeneralName::OtherName(kind, value) if kind.to_id_string() == PRINCIPAL_NAME => {
                principal_names.push(utf8_string(value)?);
            }
            GeneralName::RFC822Name(email) => emails.push((*email).to_owned()),
            _ => {}
        }
    }
    let common_names: Option<Vec<_>> =
        certificate.subject().iter_common_name().map(|name| name.as_str().ok().map(str::to_owned)).collect();
    let end = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    let not_after = UnixMillis(end.checked_mul(1_000)?);
    Some(UserCertificate { principal_names, emails, common_names: common_names?, not_after })
}

/// `[0] EXPLICIT UTF8String`, both of a short length or one of up to two bytes.
fn utf8_string(value: &[u8]) -> Option<String> {
    let inner = match value {
        [0xa0, rest @ ..] => content(rest)?,
        other => other,
    };
    let [0x0c, rest @ ..] = inner else { return None };
    std::str::from_utf8(content(rest)?).ok().map(str::to_owned)
}

/// What follows a length and fills the rest.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let (length, content) = match bytes {
        [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    (content.len() == length).then_some(content)
}
