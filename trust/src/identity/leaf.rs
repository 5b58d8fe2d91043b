//! An end certificate, read strictly (RFC 5280): one SAN URI, no unknown critical extension, no CA.
//!
//! Reading a certificate proves nothing; the verifiers of [`crate::tls`] do, and they read with this.

use ringwall_protocol::id::{CollectiveId, NodeId};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::time::UnixMillis;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer;

use super::{IssuerKind, LeafIdentity, Thumbprint, UriError, thumbprint_of_spki};

/// Longest chain: leaf, intermediate, root.
pub(crate) const MAX_CHAIN_CERTIFICATES: usize = 3;
/// Largest chain: three certificates of ours have some 3 KiB.
pub(crate) const MAX_CHAIN_BYTES: usize = 16 << 10;

/// Why a certificate was refused before anybody asked whether it is trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The chain is longer or larger than any of ours.
    #[error(
        "expected a chain of 1 to {MAX_CHAIN_CERTIFICATES} certificates and {MAX_CHAIN_BYTES} bytes, got {certificates} and {bytes}"
    )]
    ChainSize {
        /// How many came.
        certificates: usize,
        /// Their size together.
        bytes: usize,
    },
    /// Not an X.509 certificate, or something follows it.
    #[error("expected an X.509 v3 certificate in DER")]
    Malformed,
    /// An extension that must be understood is not.
    #[error("certificate has an unknown critical extension {0}")]
    CriticalExtension(String),
    /// Not exactly one URI among the alternative names.
    #[error("expected exactly one URI among the certificate's alternative names, got {0}")]
    UriCount(usize),
    /// The URI is no name of ours.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// A CA's certificate where an end certificate belongs, or an issuer's name in an end certificate.
    #[error("expected an end certificate, got one of a CA")]
    Authority,
    /// An end certificate where an intermediate's belongs.
    #[error("expected the certificate of an intermediate CA")]
    NoIssuer,
    /// The subject of a session's certificate and its URI do not name the same device.
    #[error("certificate's subject does not match its URI")]
    Subject,
}

/// What an end certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Who, from the SAN URI.
    pub identity: LeafIdentity,
    /// The session's name, from the subject; present exactly for [`LeafIdentity::Session`].
    pub session: Option<SessionDn>,
    /// Which key.
    pub thumbprint: Thumbprint,
    /// First moment of validity.
    pub not_before: UnixMillis,
    /// Last moment of validity.
    pub not_after: UnixMillis,
}

impl Leaf {
    /// Reads an end certificate.
    ///
    /// # Errors
    /// [`LeafError`].
    pub fn parse(der: &[u8]) -> Result<Self, LeafError> {
        let certificate = parse_v3(der)?;
        check_critical(&certificate)?;
        let identity = identity_of(&certificate)?;
        if certificate.is_ca() || matches!(identity, LeafIdentity::Issuer { .. }) {
            return Err(LeafError::Authority);
        }
        let session = match identity {
            LeafIdentity::Session { device, .. } => {
                let dn = session_dn(&certificate).ok_or(LeafError::Subject)?;
                if dn.device != device {
                    return Err(LeafError::Subject);
                }
                Some(dn)
            }
            _ => None,
        };
        Ok(Self {
            identity,
            session,
            thumbprint: thumbprint_of_spki(certificate.public_key().raw),
            not_before: seconds(certificate.validity().not_before.timestamp()),
            not_after: seconds(certificate.validity().not_after.timestamp()),
        })
    }

    /// Whether `now` lies within the certificate's validity.
    #[must_use]
    pub(crate) fn valid_at(&self, now: UnixMillis) -> bool {
        self.not_before <= now && now.seconds() <= self.not_after.seconds()
    }
}

/// What an intermediate's certificate says. The caller decides whether to trust it.
pub(crate) struct Issuer {
    pub(crate) collective: CollectiveId,
    pub(crate) node: NodeId,
    pub(crate) kind: IssuerKind,
    pub(crate) thumbprint: Thumbprint,
    pub(crate) not_after: UnixMillis,
}

/// Reads an intermediate's certificate.
pub(crate) fn parse_issuer(der: &[u8]) -> Result<Issuer, LeafError> {
    let certificate = parse_v3(der)?;
    check_critical(&certificate)?;
    match identity_of(&certificate)? {
        LeafIdentity::Issuer { collective, node, kind } if certificate.is_ca() => Ok(Issuer {
            collective,
            node,
            kind,
            thumbprint: thumbprint_of_spki(certificate.public_key().raw),
            not_after: seconds(certificate.validity().not_after.timestamp()),
        }),
        _ => Err(LeafError::NoIssuer),
    }
}

/// The key of any certificate.
pub(crate) fn key_of(der: &[u8]) -> Result<Thumbprint, LeafError> {
    Ok(thumbprint_of_spki(parse_v3(der)?.public_key().raw))
}

/// Refuses chains beyond [`MAX_CHAIN_CERTIFICATES`] and [`MAX_CHAIN_BYTES`].
///
/// # Errors
/// [`LeafError::ChainSize`].
pub(crate) fn check_chain_size(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), LeafError> {
    let certificates = 1 + others.len();
    let bytes = leaf.len() + others.iter().map(|certificate| certificate.len()).sum::<usize>();
    if certificates > MAX_CHAIN_CERTIFICATES || bytes > MAX_CHAIN_BYTES {
        return Err(LeafError::ChainSize { certificates, bytes });
    }
    Ok(())
}

fn parse_v3(der: &[u8]) -> Result<X509Certificate<'_>, LeafError> {
    if der.len() > MAX_CHAIN_BYTES {
        return Err(LeafError::ChainSize { certificates: 1, bytes: der.len() });
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) if certificate.version().0 == 2 => Ok(certificate),
        _ => Err(LeafError::Malformed),
    }
}

/// Extensions that are understood here or by webpki; any other critical one refuses the certificate.
fn check_critical(certificate: &X509Certificate<'_>) -> Result<(), LeafError> {
    let known = [
        oid::OID_X509_EXT_BASIC_CONSTRAINTS,
        oid::OID_X509_EXT_KEY_USAGE,
        oid::OID_X509_EXT_EXTENDED_KEY_USAGE,
        oid::OID_X509_EXT_SUBJECT_ALT_NAME,
    ];
    match certificate.extensions().iter().find(|extension| extension.critical && !known.contains(&extension.oid)) {
        Some(unknown) => Err(LeafError::CriticalExtension(unknown.oid.to_id_string())),
        None => Ok(()),
    }
}

fn identity_of(certificate: &X509Certificate<'_>) -> Result<LeafIdentity, LeafError> {
    let mut uris = Vec::new();
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                uris.extend(names.general_names.iter().filter_map(|name| match name {
                    GeneralName::URI(uri) => Some(*uri),
                    _ => None,
                }));
            }
            _ if extension.oid == oid::OID_X509_EXT_SUBJECT_ALT_NAME => return Err(LeafError::Malformed),
            _ => {}
        }
    }
    match uris.as_slice() {
        [uri] => Ok(uri.parse()?),
        several => Err(LeafError::UriCount(several.len())),
    }
}

/// The subject `OU=<provider>, CN=<user>, CN=<device>` in the certificate's order, which RFC 4514 prints backwards.
fn session_dn(certificate: &X509Certificate<'_>) -> Option<SessionDn> {
    let mut components = Vec::new();
    for set in certificate.subject().iter_rdn() {
        let mut attributes = set.iter();
        let attribute = attributes.next()?;
        if attributes.next().is_some() || components.len() == 3 {
            return None;
        }
        components.push((attribute.attr_type(), attribute.as_str().ok()?));
    }
    let [(ou, provider), (cn, user), (cn_device, device)] = components.as_slice() else { return None };
    let types = [**ou == oid::OID_X509_ORGANIZATIONAL_UNIT, **cn == oid::OID_X509_COMMON_NAME, cn == cn_device];
    if types != [true; 3] {
        return None;
    }
    let dn = SessionDn {
        device: device.parse().ok()?,
        user: UserDn { user: UserName::parse(*user).ok()?, provider: ProviderName::parse(*provider).ok()? },
    };
    (dn.device.simple() == *device).then_some(dn)
}

fn seconds(timestamp: i64) -> UnixMillis {
    UnixMillis::from_seconds(u64::try_from(timestamp).unwrap_or(0))
}
