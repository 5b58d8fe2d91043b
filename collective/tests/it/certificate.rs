//! Users' certificates as proof: alone, and of users of a directory.

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::{DeviceId, Thumbprint};
use ringwall_protocol::wire::client::certificate_statement;
use ringwall_protocol::wire::error::ErrorCode;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{SignatureAlgorithm, SignatureScheme};
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::client::Client;
use crate::harness::Lab;
use crate::servers::authority::{Authority, Identity};
use crate::servers::slapd::Slapd;

/// A certificate with its key, as a smart card holds it.
pub(crate) struct Card {
    identity: Identity,
    /// What is signed in place of the connection's exporter: a proof taken from elsewhere.
    pub(crate) exporter: Option<[u8; 32]>,
}

impl Card {
    fn new(identity: Identity) -> Self {
        Self { identity, exporter: None }
    }

    /// The credential for one connection.
    pub(crate) fn credential(&self, provider: &str, device: DeviceId, key: Thumbprint, exporter: &[u8; 32]) -> Value {
        let own = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes()).expect("a key");
        let own = rustls::crypto::aws_lc_rs::sign::any_supported_type(&own).expect("a key");
        assert_eq!(own.algorithm(), SignatureAlgorithm::ECDSA);
        let scheme = SignatureScheme::ECDSA_NISTP256_SHA256;
        let signer = own.choose_scheme(&[scheme]).expect("a scheme");
        let exporter = self.exporter.as_ref().unwrap_or(exporter);
        let signature = signer.sign(&certificate_statement(provider, device, &key, exporter)).expect("signed");
        json!({"kind": "certificate", "chain": [BASE64URL_NOPAD.encode(&self.identity.der)],
            "scheme": u16::from(scheme), "signature": BASE64URL_NOPAD.encode(&signature)})
    }
}

pub(crate) fn with_card(lab: &Lab, identity: Identity, provider: &str) -> Client {
    let mut client = Client::new("nobody", lab.root).at_provider(provider);
    client.user_certificate = Some(Card::new(identity));
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_and_its_key_prove_a_user_on_this_connection_only() {
    let (lab, authority) = (Lab::start().await, Authority::new("users"));
    let admin = Admin::root(&lab).await;
    let provider = json!({"name": "cards", "type": "Certificate", "caCertificates": [authority.pem()],
        "revocationLists": [authority.revocations(&[666])],
        "claimScripts": [{"claimName": "corporate", "expression": "user.username.endsWith('@corp.example')"}]});
    admin.create("identity-providers", provider).await;
    let at = lab.client_address(0);
    let mut alice = with_card(&lab, authority.user("Alice@corp.example", 7, false), "cards");
    let answer = alice.try_sign_in(at, "").await.ok();
    alice.keep(&answer);
    let content = alice.claims_content();
    assert_eq!(content.head.sub.user.to_string(), "CN=alice@corp.example,OU=cards");
    assert_eq!(content.user.claim("corporate"), Some(&json!(true)), "a script made a claim");
    let now = ringwall_collective::now().seconds();
    assert!(content.sign_in_until <= now + 86_400, "the sign-in ends with the certificate");
    let other = Authority::new("users");
    let refused = [
        ("of another authority of the same name", other.user("alice@corp.example", 7, false)),
        ("expired", authority.user("alice@corp.example", 8, true)),
        ("revoked", authority.user("alice@corp.example", 666, false)),
        ("for servers", authority.server()),
        ("a name that looks like another", authority.user("\u{430}lice@corp.example", 9, false)),
        ("a name with NUL", authority.user("alice@corp.example\0.evil", 10, false)),
    ];
    for (what, identity) in refused {
        let answer = with_card(&lab, identity, "cards").try_sign_in(at, "").await;
        assert_eq!(answer.code(), ErrorCode::SignInRefused, "{what}: {answer:?}");
    }
    let mut replayed = with_card(&lab, authority.user("alice@corp.example", 7, false), "cards");
    replayed.user_certificate.as_mut().expect("a card").exporter = Some([1; 32]);
    assert_eq!(replayed.try_sign_in(at, "").await.code(), ErrorCode::SignInRefused, "signed for another connection");
    let blocked = json!({"userDistinguishedName": "CN=Alice@corp.example,OU=cards", "reason": "gone"});
    admin.post("/blacklist", &blocked).await.ok();
    let alice = with_card(&lab, authority.user("alice@corp.example", 7, false), "cards");
    assert_eq!(alice.try_sign_in(at, "").await.code(), ErrorCode::SignInRefused, "blocked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_may_name_a_user_of_a_directory() {
    let (lab, mut slapd, authority) = (Lab::start().await, Slapd::start(0).await, Authority::new("users"));
    let admin = Admin::root(&lab).await;
    let mut provider = slapd.provider("cards");
    let more =
        json!({"type": "LdapCertificate", "caCertificates": [authority.pem()], "certificateUserAttribute": "mail"});
    provider.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    admin.create("identity-providers", provider).await;
    let at = lab.client_address(0);
    let mut alice = with_card(&lab, authority.user("alice@corp.example", 7, false), "cards");
    let answer = alice.try_sign_in(at, "").await.ok();
    alice.keep(&answer);
    let content = alice.claims_content();
    assert_eq!(content.head.sub.user.to_string(), "CN=alice,OU=cards");
    assert_eq!(content.user.claim("groups"), Some(&json!(["engineers", "everyone", "staff"])));
    let stranger = with_card(&lab, authority.user("*", 8, false), "cards");
    assert_eq!(stranger.try_sign_in(at, "").await.code(), ErrorCode::SignInRefused);
    // A password is no certificate, and the directory must be there.
    let password = Client::new("alice", lab.root).at_provider("cards");
    assert_eq!(password.try_sign_in(at, "known to the directory").await.code(), ErrorCode::SignInRefused);
    slapd.stop();
    let alice = with_card(&lab, authority.user("alice@corp.example", 7, false), "cards");
    assert_eq!(alice.try_sign_in(at, "").await.code(), ErrorCode::ProviderUnavailable);
}
