//! What all our certificates have in common, and the exact order of a session's name in a subject.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber,
};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::time::UnixMillis;

use super::{BACKDATING, CaError};
use crate::identity::{IssuerKind, LeafIdentity};
use crate::secret::Random;

/// Another name of an appliance, for tools that look at host names; it grants nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectName {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

/// X.520 `commonName`.
const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];

/// Serial number, validity, key identifiers; nothing else yet.
pub(super) fn blank(now: UnixMillis, not_after: UnixMillis, random: &dyn Random) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&random.array::<16>()));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.minus(BACKDATING).seconds());
    params.not_after = epoch + Duration::from_secs(not_after.seconds());
    params.distinguished_name = DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    params
}

/// A CA: basicConstraints and keyUsage, both critical.
pub(super) fn authority(params: &mut CertificateParams, path_length: u8) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
}

/// An end certificate that signs handshakes and nothing else.
pub(super) fn end_entity(params: &mut CertificateParams) {
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
}

/// The purposes of what an intermediate of this kind issues; stands in the intermediate too and binds it.
pub(super) fn purposes(kind: IssuerKind) -> Vec<ExtendedKeyUsagePurpose> {
    match kind {
        IssuerKind::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        IssuerKind::Appliance => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    }
}

/// The one URI that says who this is.
pub(super) fn identity(params: &mut CertificateParams, identity: &LeafIdentity) -> Result<(), CaError> {
    params.subject_alt_names.push(SanType::URI(identity.to_string().try_into()?));
    Ok(())
}

/// Host names and addresses beside the URI.
pub(super) fn names(params: &mut CertificateParams, names: &[SubjectName]) -> Result<(), CaError> {
    for name in names {
        params.subject_alt_names.push(match name {
            SubjectName::Ip(address) => SanType::IpAddress(*address),
            SubjectName::Dns(host) => {
                let refused = || CaError::Name(host.chars().take(64).collect());
                if host.is_empty() || host.len() > 253 {
                    return Err(refused());
                }
                SanType::DnsName(host.as_str().try_into().map_err(|_| refused())?)
            }
        });
    }
    Ok(())
}

/// `CN=<what>,O=<collective>`: the subject of everything but sessions; for people.
pub(super) fn subject(common_name: &str, collective: impl ToString) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, collective.to_string());
    name.push(DnType::CommonName, common_name);
    name
}

/// `CN=<device>,CN=<user>,OU=<provider>`, as RFC 4514 prints it: in the certificate the order is the reverse.
///
/// rcgen keeps one value for each attribute type, so the first CN in the certificate goes in under its bare OID
/// and the second as `CommonName`: two keys of its map, one OID on the wire (T16).
pub(super) fn session_subject(dn: &SessionDn) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationalUnitName, dn.user.provider.as_str());
    name.push(DnType::CustomDnType(COMMON_NAME.to_vec()), dn.user.user.as_str());
    name.push(DnType::CommonName, dn.device.simple());
    name
}
