//! What our certificates look like, byte for byte where it matters, and what a CA does not do.

use std::time::Duration;

use ringwall_protocol::id::{CollectiveId, DeviceId, NodeId, ProviderId, UserId};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::time::UnixMillis;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::*;
use crate::fixtures::{TestCollective, proved};
use crate::identity::{KeyKind, Leaf, LeafIdentity, PrivateKey, VerifiedRequest};
use crate::secret::SystemRandom;

const NOW: UnixMillis = UnixMillis::from_seconds(1_800_000_000);

fn root() -> (CollectiveId, RootCa) {
    let id = CollectiveId::from_random([1; 16]);
    (id, RootCa::create(id, "test", NOW, &SystemRandom).expect("made"))
}

fn issuing(root: &RootCa, collective: CollectiveId, kind: IssuerKind) -> IssuingCa {
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let certificate = root.sign_intermediate(&proved(&key), collective, NodeId(3), kind, NOW, &SystemRandom);
    IssuingCa::new(key, certificate.expect("signed")).expect("own certificate")
}

fn alice() -> SessionSubject {
    SessionSubject {
        dn: SessionDn {
            device: "4c07bc67-57ea-42dd-b702-c2d6c45419fc".parse().expect("an id"),
            user: UserDn {
                user: UserName::parse("alice").expect("a name"),
                provider: ProviderName::parse("local").expect("a name"),
            },
        },
        user: UserId::from_random([2; 16]),
        provider: ProviderId::from_random([3; 16]),
    }
}

fn session(ca: &IssuingCa, life: Duration) -> Result<CertificateDer<'static>, CaError> {
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    ca.issue_session(&proved(&key), key.thumbprint(), &alice(), life, NOW, &SystemRandom)
}

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    X509Certificate::from_der(certificate).expect("a certificate").1
}

fn critical(certificate: &X509Certificate<'_>) -> Vec<String> {
    let all = certificate.extensions().iter().filter(|extension| extension.critical);
    all.map(|extension| extension.oid.to_id_string()).collect()
}

fn life(certificate: &X509Certificate<'_>) -> (i64, i64) {
    let begin = i64::try_from(NOW.seconds()).expect("small");
    let validity = certificate.validity();
    (validity.not_before.timestamp() - begin, validity.not_after.timestamp() - begin)
}

const DAY: i64 = 86_400;
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";

#[test]
fn certificate_dn_has_both_common_names() {
    let (id, root) = root();
    let leaf = session(&issuing(&root, id, IssuerKind::Client), CLIENT_LIFE).expect("issued");
    // SEQUENCE { SET { OU = local }, SET { CN = alice }, SET { CN = <device> } }, all UTF8String.
    let golden = concat!(
        "304b310e300c060355040b0c056c6f63616c",
        "310e300c06035504030c05616c696365",
        "3129302706035504030c20",
        "3463303762633637353765613432646462373032633264366334353431396663",
    );
    assert_eq!(data_encoding::HEXLOWER.encode(parsed(&leaf).subject().as_raw()), golden);
    let read = Leaf::parse(&leaf).expect("own certificate");
    assert_eq!(read.session.expect("a session").to_string(), "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local");
}

#[test]
fn root_and_intermediates_are_what_the_table_says() {
    let (id, root) = root();
    let certificate = parsed(root.certificate());
    assert_eq!(certificate.basic_constraints().expect("read").expect("there").value.path_len_constraint, Some(1));
    assert!(certificate.extended_key_usage().expect("read").is_none());
    assert_eq!(life(&certificate), (-300, 3_650 * DAY));
    for (kind, server) in [(IssuerKind::Client, false), (IssuerKind::Appliance, true)] {
        let ca = issuing(&root, id, kind);
        let certificate = parsed(ca.certificate());
        let constraints = certificate.basic_constraints().expect("read").expect("there").value;
        assert!(constraints.ca && constraints.path_len_constraint == Some(0), "{kind}");
        let usage = certificate.extended_key_usage().expect("read").expect("there").value;
        assert!(usage.client_auth && usage.server_auth == server, "{kind}");
        let mut expected = vec![BASIC_CONSTRAINTS.to_owned(), KEY_USAGE.to_owned()];
        let mut got = critical(&certificate);
        expected.sort();
        got.sort();
        assert_eq!(got, expected, "{kind}");
        assert_eq!(life(&certificate), (-300, 365 * DAY), "{kind}");
        assert_eq!((ca.node(), ca.kind()), (NodeId(3), kind));
    }
}

#[test]
fn end_certificates_are_what_the_table_says() {
    let (id, root) = root();
    let (client, appliance) = (issuing(&root, id, IssuerKind::Client), issuing(&root, id, IssuerKind::Appliance));
    let request = proved(&PrivateKey::generate(KeyKind::P256).expect("a key"));
    let names = [SubjectName::Dns("gw.example".to_owned()), SubjectName::Ip("192.0.2.1".parse().expect("an address"))];
    let node = appliance.issue_controller(&request, NodeId(3), &names, NOW, &SystemRandom).expect("issued");
    let leaf = session(&client, CLIENT_LIFE).expect("issued");
    for (certificate, server, days) in [(&node, true, 30), (&leaf, false, 1)] {
        let certificate = parsed(certificate);
        assert!(!certificate.is_ca());
        let usage = certificate.extended_key_usage().expect("read").expect("there").value;
        assert!(usage.client_auth && usage.server_auth == server);
        let usage = certificate.key_usage().expect("read").expect("there").value;
        assert!(usage.digital_signature() && !usage.key_cert_sign());
        assert_eq!(life(&certificate), (-300, days * DAY));
        assert_eq!(critical(&certificate).len(), 2);
        assert!((14..=17).contains(&certificate.raw_serial().len()), "128 random bits");
    }
    assert_ne!(parsed(&node).raw_serial(), parsed(&leaf).raw_serial());
    let read = Leaf::parse(&node).expect("own certificate");
    assert_eq!(read.identity, LeafIdentity::Controller { collective: id, node: NodeId(3) });
    assert_eq!(read.thumbprint, request.thumbprint());
    assert!(read.session.is_none());
}

#[test]
fn a_request_for_a_ca_and_foreign_names_yields_neither() {
    let (id, root) = root();
    let ca = issuing(&root, id, IssuerKind::Client);
    let mut wishes = rcgen::CertificateParams::new(vec!["admin.example".to_owned()]).expect("a name");
    wishes.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    wishes.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    wishes.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::Any];
    wishes
        .subject_alt_names
        .push(rcgen::SanType::URI(format!("ringwall://{id}/controller/1").try_into().expect("ASCII")));
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let request = wishes.serialize_request(&key).expect("signed");
    let request = VerifiedRequest::verify(request.der()).expect("the key is good");
    let leaf = ca.issue_session(&request, key.thumbprint(), &alice(), CLIENT_LIFE, NOW, &SystemRandom);
    let leaf = leaf.expect("issued");
    let certificate = parsed(&leaf);
    assert!(!certificate.is_ca());
    let usage = certificate.extended_key_usage().expect("read").expect("there").value;
    assert!(usage.client_auth && !usage.any && !usage.server_auth);
    let names = certificate.subject_alternative_name().expect("read").expect("there").value;
    assert_eq!(names.general_names.len(), 1);
    let device = alice().dn.device;
    assert!(
        matches!(Leaf::parse(&leaf).expect("own").identity, LeafIdentity::Session { device: d, .. } if d == device)
    );
}

#[test]
fn a_key_that_was_not_announced_gets_no_certificate() {
    let (id, root) = root();
    let ca = issuing(&root, id, IssuerKind::Client);
    let [one, other] = [(); 2].map(|()| PrivateKey::generate(KeyKind::P256).expect("a key"));
    let refused = ca.issue_session(&proved(&one), other.thumbprint(), &alice(), CLIENT_LIFE, NOW, &SystemRandom);
    assert!(matches!(refused, Err(CaError::KeyMismatch)));
}

#[test]
fn an_intermediate_issues_only_its_own_kind() {
    let (id, root) = root();
    let request = proved(&PrivateKey::generate(KeyKind::P256).expect("a key"));
    let client = issuing(&root, id, IssuerKind::Client);
    let refused = client.issue_controller(&request, NodeId(1), &[], NOW, &SystemRandom);
    assert!(matches!(refused, Err(CaError::WrongIssuer { .. })));
    let refused = session(&issuing(&root, id, IssuerKind::Appliance), CLIENT_LIFE);
    assert!(matches!(refused, Err(CaError::WrongIssuer { .. })));
}

#[test]
fn lives_are_capped_by_code_and_by_the_issuers_own() {
    let (id, root) = root();
    let ca = issuing(&root, id, IssuerKind::Client);
    let long = session(&ca, Duration::from_hours(24 * 365)).expect("issued");
    assert_eq!(life(&parsed(&long)).1, 7 * DAY);
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let issue = |now| ca.issue_session(&proved(&key), key.thumbprint(), &alice(), CLIENT_LIFE, now, &SystemRandom);
    let near_the_end = issue(ca.not_after().minus(Duration::from_mins(1))).expect("issued");
    assert_eq!(Leaf::parse(&near_the_end).expect("own").not_after, ca.not_after());
    assert!(matches!(issue(ca.not_after()), Err(CaError::Expired)));
}

#[test]
fn keys_and_certificates_that_do_not_belong_together_are_refused() {
    let (id, root) = root();
    let ca = issuing(&root, id, IssuerKind::Client);
    let other = PrivateKey::generate(KeyKind::P256).expect("a key");
    assert!(matches!(IssuingCa::new(other, ca.certificate().clone()), Err(CaError::ForeignKey)));
    let other = PrivateKey::generate(KeyKind::P384).expect("a key");
    assert!(matches!(RootCa::from_parts(other, root.certificate().clone()), Err(CaError::ForeignKey)));
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let leaf = ca.issue_session(&proved(&key), key.thumbprint(), &alice(), CLIENT_LIFE, NOW, &SystemRandom);
    assert!(matches!(IssuingCa::new(key, leaf.expect("issued")), Err(CaError::Certificate(_))));
}

#[test]
fn leaves_with_no_several_or_foreign_uris_are_refused() {
    let (id, root) = root();
    let collective = TestCollective::new();
    let controller = format!("ringwall://{id}/controller/1");
    let gateway = format!("ringwall://{id}/gateway/{}", DeviceId::from_random([5; 16]));
    let made = |uris: &[&str]| {
        let mut params = rcgen::CertificateParams::default();
        for uri in uris {
            params.subject_alt_names.push(rcgen::SanType::URI((*uri).try_into().expect("ASCII")));
        }
        let key = PrivateKey::generate(KeyKind::P256).expect("a key");
        params.self_signed(&key).expect("signed").der().clone()
    };
    assert!(Leaf::parse(&made(&[&controller])).is_ok());
    assert_eq!(Leaf::parse(&made(&[])), Err(LeafError::UriCount(0)));
    assert_eq!(Leaf::parse(&made(&[&controller, &gateway])), Err(LeafError::UriCount(2)));
    assert_eq!(Leaf::parse(&made(&[&controller, "https://example.org"])), Err(LeafError::UriCount(2)));
    assert!(matches!(Leaf::parse(&made(&["https://example.org"])), Err(LeafError::Uri(_))));
    assert_eq!(Leaf::parse(&made(&[&format!("ringwall://{id}/issuer/1/client")])), Err(LeafError::Authority));
    assert!(Leaf::parse(root.certificate()).is_err());
    assert!(Leaf::parse(collective.root.certificate()).is_err());
    assert_eq!(Leaf::parse(b"junk"), Err(LeafError::Malformed));
}

#[test]
fn a_session_whose_subject_names_another_device_is_refused() {
    let (id, _) = root();
    let uri = format!(
        "ringwall://{id}/session/{}/{}/{}",
        ProviderId::from_random([3; 16]),
        UserId::from_random([2; 16]),
        DeviceId::from_random([9; 16])
    );
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = template::session_subject(&alice().dn);
    params.subject_alt_names.push(rcgen::SanType::URI(uri.try_into().expect("ASCII")));
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    assert_eq!(Leaf::parse(certificate.der()), Err(LeafError::Subject));
}

#[test]
fn an_unknown_critical_extension_refuses_the_certificate() {
    let (id, _) = root();
    let mut params = rcgen::CertificateParams::default();
    let uri = format!("ringwall://{id}/controller/1");
    params.subject_alt_names.push(rcgen::SanType::URI(uri.try_into().expect("ASCII")));
    let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    params.custom_extensions = vec![extension.clone()];
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    assert!(Leaf::parse(params.self_signed(&key).expect("signed").der()).is_ok(), "not critical: ignored");
    extension.set_criticality(true);
    params.custom_extensions = vec![extension];
    let refused = Leaf::parse(params.self_signed(&key).expect("signed").der());
    assert_eq!(refused, Err(LeafError::CriticalExtension("1.3.6.1.4.1.99999.1".to_owned())));
}

#[test]
fn key_identifiers_chain() {
    let (id, root) = root();
    let ca = issuing(&root, id, IssuerKind::Client);
    let leaf = session(&ca, CLIENT_LIFE).expect("issued");
    let subject_id = |certificate: &X509Certificate<'_>| {
        certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
    };
    let authority_id = |certificate: &X509Certificate<'_>| {
        certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => None,
        })
    };
    assert_eq!(authority_id(&parsed(&leaf)), subject_id(&parsed(ca.certificate())));
    assert_eq!(authority_id(&parsed(ca.certificate())), subject_id(&parsed(root.certificate())));
    assert!(subject_id(&parsed(root.certificate())).is_some());
}

#[test]
fn damaged_certificates_and_requests_are_refused_and_never_panic() {
    let (id, root) = root();
    let leaf = session(&issuing(&root, id, IssuerKind::Client), CLIENT_LIFE).expect("issued").to_vec();
    let request = PrivateKey::generate(KeyKind::P256).expect("a key").request().expect("signed");
    let mut refused = 0;
    for at in 0..leaf.len() {
        for value in [0, 0x7F, 0x80, 0xFF, leaf[at] ^ 1] {
            let mut damaged = leaf.clone();
            damaged[at] = value;
            refused += usize::from(Leaf::parse(&damaged).is_err());
        }
        assert_eq!(Leaf::parse(&leaf[..at]), Err(LeafError::Malformed), "cut at {at}");
    }
    assert!(refused > leaf.len(), "most damage is seen without a signature: {refused}");
    refused = 0;
    let key = VerifiedRequest::verify(&request).expect("undamaged").thumbprint();
    for at in 0..request.len() {
        let mut damaged = request.clone();
        damaged[at] ^= 0x41;
        // The algorithm's encoding is outside of what is signed; whatever is accepted is this key and no other.
        if let Ok(accepted) = VerifiedRequest::verify(&damaged) {
            assert_eq!(accepted.thumbprint(), key, "byte {at}");
        } else {
            refused += 1;
        }
        assert!(VerifiedRequest::verify(&request[..at]).is_err(), "cut at {at}");
    }
    assert!(refused > request.len() * 9 / 10, "{refused} of {}", request.len());
}
