//! The first files of the corpora: knocks, ClientHellos, tokens and certificates as programs of a Collective make them.

use ringwall_protocol::id::{DeviceId, LogIndex, NodeId, ProviderId, SignInId, Thumbprint, TokenId, UserId};
use ringwall_protocol::spa::Service;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};

use super::Fixed;
use super::replay::Seeds;
use crate::ca::{RootCa, SealedRoot};
use crate::fixtures::TestCollective;
use crate::identity::{KeyKind, PrivateKey, certificates_to_pem};
use crate::password::{self, Cost};
use crate::secret::{SecretKey, SystemRandom, seal};
use crate::spa::fuzz::{NOW, places};
use crate::spa::{Destination, KnockRequest, SpaKey};
use crate::tls::{Alpn, Tls};
use crate::token::fuzz::WORLD;

type Files = Vec<(&'static str, Vec<u8>)>;

pub(super) fn seeds() -> Vec<Seeds> {
    let mut collective = TestCollective::new();
    vec![
        ("certificate", certificates(&mut collective)),
        ("certificate_request", requests()),
        ("client_hello", hellos()),
        ("identity", identities()),
        ("knock", knocks()),
        ("knock_journal", journals()),
        ("pem", pem(&mut collective)),
        ("secrets", secrets()),
        ("token", tokens()),
        ("user_certificate", user_certificates(&mut collective)),
    ]
}

fn after(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}

fn request() -> KnockRequest {
    KnockRequest { service: Service::Client, destination: Destination::of(places()[0]), now: NOW }
}

fn key() -> SpaKey {
    SpaKey::new(&SecretKey::new([5; 32]))
}

fn knocks() -> Files {
    vec![
        ("packet", after(0, &request().packet(&key(), 2, &Fixed(1)))),
        ("proof", after(1, &request().alpn_entry(&key(), &Fixed(1)))),
        // Key, place, service, clock, random, connections.
        ("made-packet", vec![2, 0, 0, 0, 128, 3, 1]),
        ("made-proof", vec![3, 3, 0, 3, 130, 3, 0]),
        ("late", vec![2, 0, 0, 0, 60, 3, 1]),
        ("elsewhere", vec![2, 0, 1, 0, 128, 3, 1]),
        ("altered", vec![2, 0, 0, 0, 128, 3, 1, 40, 1]),
    ]
}

fn journals() -> Files {
    let record = |seconds: u64, used: u8| [&(NOW.0 + seconds * 1_000).to_be_bytes()[..], &[used; 16]].concat();
    let file = |records: &[Vec<u8>]| [b"rwknock1".to_vec(), records.concat()].concat();
    vec![
        ("empty", file(&[])),
        ("two", file(&[record(5, 1), record(60, 2)])),
        ("torn", file(&[record(5, 1), vec![0xff; 7]])),
    ]
}

/// The bytes of a ClientHello with these ALPN entries.
fn hello(entries: Vec<Vec<u8>>) -> Vec<u8> {
    let name = ServerName::try_from("ringwall.invalid").expect("a name");
    let config = Tls::new().join_client(Vec::new());
    let mut client = rustls::ClientConnection::new_with_alpn(config, name, entries).expect("a connection");
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("written to memory");
    }
    bytes
}

fn hellos() -> Files {
    let proof = |service| {
        let request = KnockRequest { service, ..request() };
        let key = SpaKey::new(&SecretKey::new([if service == Service::Peer { 8 } else { 5 }; 32]));
        request.alpn_entry(&key, &Fixed(1))
    };
    vec![
        ("sign-in", after(255, &hello(vec![proof(Service::Client), Alpn::SignIn.entry()]))),
        ("join", after(20, &hello(vec![proof(Service::Peer), Alpn::Join.entry()]))),
        ("open", after(0, &hello(vec![Alpn::Http.entry(), b"h2".to_vec()]))),
        ("none", after(255, &hello(vec![]))),
        ("http", after(255, b"GET / HTTP/1.0\r\n\r\n")),
        ("endless", after(255, &[&[22, 3, 1, 0x10, 0, 1, 0, 0xea, 0x60][..], &[0; 3_000]].concat())),
    ]
}

fn head() -> Value {
    let expected = WORLD.expected;
    json!({"iss": expected.issuer, "sub": "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local",
        "sid": SignInId::from_random([3; 16]), "jti": TokenId::from_random([4; 16]), "iat": NOW.seconds(),
        "nbf": NOW.seconds(), "exp": NOW.seconds() + 3_600, "aud": expected.audience, "idx": LogIndex(100),
        "epoch": expected.incarnation.epoch, "inc": expected.incarnation.id, "cnf": {"jkt": Thumbprint([6; 32])},
        "userId": UserId::from_random([7; 16]), "providerId": ProviderId::from_random([8; 16]),
        "deviceId": DeviceId::from_random([9; 16])})
}

fn tokens() -> Files {
    let body = |more: Value| {
        let mut body = head();
        let fields = more.as_object().expect("fields").clone();
        body.as_object_mut().expect("fields").extend(fields);
        body
    };
    let part = |key: usize, kind: &str, body: &Value| {
        let header = json!({"alg": "EdDSA", "typ": kind, "kid": WORLD.signers[key].kid()});
        [header.to_string().as_bytes(), &[0], body.to_string().as_bytes()].concat()
    };
    let admin = body(json!({"sessionId": DeviceId::from_random([1; 16])}));
    let claims = body(json!({"signInIdx": 90, "authTime": NOW.seconds(), "signInUntil": NOW.seconds() + 86_400,
        "user": {"groups": ["staff"]}, "system": {}, "tunIpv4": "10.9.0.1", "stepUps": {}}));
    let entitlement = body(json!({"aud": DeviceId::from_random([5; 16]), "claimsIdx": 100, "policyIdx": 90,
        "siteName": "office", "gateways": [], "entitlements": [], "conditions": {},
        "routes": {"include": ["10.0.0.0/8"], "exclude": []}, "dns": [], "leaseSeconds": 15}));
    let read: ringwall_protocol::token::AdminToken = serde_json::from_value(admin.clone()).expect("a body");
    let minted = WORLD.signers[0].mint(&read).expect("minted");
    vec![
        ("text", after(0, minted.as_bytes())),
        ("claims", after(1, &part(0, "rw-claims+jwt", &claims))),
        ("entitlement", after(1, &part(0, "rw-entitlement+jwt", &entitlement))),
        ("admin", after(1, &part(0, "rw-admin+jwt", &admin))),
        ("retired", after(2, &part(1, "rw-admin+jwt", &admin))),
        ("removed", after(3, &part(2, "rw-admin+jwt", &admin))),
        ("foreign", after(4, &part(0, "rw-admin+jwt", &admin))),
        ("none", after(0, b"eyJhbGciOiJub25lIiwidHlwIjoicnctYWRtaW4rand0Iiwia2lkIjoieCJ9.e30.")),
    ]
}

fn certificates(collective: &mut TestCollective) -> Files {
    let controller = collective.controller(NodeId(1));
    let gateway = collective.gateway();
    let client = collective.client("alice");
    vec![
        ("controller", controller.own.chain[0].to_vec()),
        ("gateway", gateway.own.chain[0].to_vec()),
        ("client", client.own.chain[0].to_vec()),
        ("issuer", collective.issuers_of(NodeId(1)).0.certificate().to_vec()),
        ("root", collective.root.certificate().to_vec()),
    ]
}

fn requests() -> Files {
    let of = |kind| PrivateKey::generate(kind).expect("a key").request().expect("signed");
    vec![("p256", of(KeyKind::P256)), ("rsa", of(KeyKind::Rsa3072)), ("p384", of(KeyKind::P384))]
}

fn pem(collective: &mut TestCollective) -> Files {
    let gateway = collective.gateway();
    let client = collective.client("bob");
    vec![
        ("chain", certificates_to_pem(&gateway.own.chain).into_bytes()),
        ("root", certificates_to_pem(std::slice::from_ref(collective.root.certificate())).into_bytes()),
        ("key", client.own.key.expose_pem().as_bytes().to_vec()),
        ("no-end", b"-----BEGIN CERTIFICATE-----\nAAAA\n".to_vec()),
    ]
}

fn user_certificates(collective: &mut TestCollective) -> Files {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Alice");
    params.subject_alt_names = vec![
        rcgen::SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "alice@corp.example".into())),
        rcgen::SanType::Rfc822Name("alice@corp.example".try_into().expect("an address")),
    ];
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let card = params.self_signed(&key).expect("signed").der().to_vec();
    vec![
        ("card", card),
        ("client", collective.client("alice").own.chain[0].to_vec()),
        ("name", b"\xa0\x14\x0c\x12alice@corp.example".to_vec()),
    ]
}

fn identities() -> Files {
    let id = "0198c0de-0000-7000-8000-000000000001";
    let names = [
        ("session", format!("ringwall://{id}/session/{id}/{id}/{id}")),
        ("controller", format!("ringwall://{id}/controller/18446744073709551615")),
        ("gateway", format!("ringwall://{id}/gateway/{id}")),
        ("issuer", format!("ringwall://{id}/issuer/1/appliance")),
        ("fingerprint", "AB:".repeat(31) + "cd"),
        ("secret", SecretKey::new([7; 32]).expose_text().to_string()),
    ];
    names.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
}

fn secrets() -> Files {
    let root = RootCa::create(WORLD.expected.issuer, "test", NOW, &SystemRandom).expect("a root");
    let phc = password::hash("hunter2", Cost::FAST, &Fixed(1)).expect("hashed");
    vec![
        ("sealed", seal(&SecretKey::new([1; 32]), "label", b"a bind password", &Fixed(2))),
        ("root", SealedRoot::seal(&root, "correct horse", Cost::FAST, &Fixed(3)).to_json().into_bytes()),
        ("greedy", phc.replace("m=8", "m=4294967295").into_bytes()),
        ("hash", phc.into_bytes()),
        ("code", b"287082".to_vec()),
    ]
}
