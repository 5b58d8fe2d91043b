//! Every port of a Controller, spoken to by those who may not: strangers, and members in a role that is not theirs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ringwall_actors::support::packed;
use ringwall_protocol::feed::{FromGateway, SessionSummary};
use ringwall_protocol::id::{ApplianceId, CommandId, DeviceId, LogIndex, SessionId};
use ringwall_protocol::object::Site;
use ringwall_protocol::wire::join::{JoinReply, JoinRequest, JoinRole};
use ringwall_trust::identity::{Fingerprint, KeyKind, PrivateKey};
use ringwall_trust::tls::{Alpn, ControllerTrust, Presented, Tls};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::Client;
use crate::feed::{proof_by, reported};
use crate::gateway::Gateway;
use crate::harness::{Lab, until};

/// Every protocol that any port speaks.
const PROTOCOLS: [Alpn; 7] = [Alpn::SignIn, Alpn::Client, Alpn::Raft, Alpn::Feed, Alpn::Join, Alpn::Tunnel, Alpn::Http];
/// Everything that the client API serves; the first three want no certificate, but a proof.
const CLIENT_API: [&str; 10] = [
    "/client/v1/sign-in",
    "/client/v1/sign-in/begin",
    "/client/v1/sign-in/mfa",
    "/client/v1/certificate",
    "/client/v1/certificate/renew",
    "/client/v1/entitlements",
    "/client/v1/renew",
    "/client/v1/step-up",
    "/client/v1/step-up/mfa",
    "/client/v1/sign-out",
];
/// Longest wait for an answer: what says nothing for so long has not let anybody in.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says something at a port; what comes back, nothing if there is no handshake.
async fn speak(
    at: SocketAddr,
    root: Fingerprint,
    protocol: Alpn,
    own: Option<&Arc<Presented>>,
    words: &[u8],
) -> Vec<u8> {
    let config = Tls::new().controller_client(ControllerTrust { roots: vec![root], members: None }, own);
    let mut heard = Vec::new();
    let conversation = async {
        let stream = TcpStream::connect(at).await?;
        let connector = TlsConnector::from(config);
        let connecting = connector.with_alpn(vec![protocol.entry()]);
        let mut stream = connecting.connect(ServerName::from(at.ip()), stream).await?;
        stream.write_all(words).await?;
        stream.flush().await?;
        stream.read_to_end(&mut heard).await
    };
    // An end without an answer, a reset and silence are the same here: nobody was let in.
    let _ = tokio::time::timeout(PATIENCE, conversation).await;
    heard
}

fn http(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: controller\r\nconnection: close\r\naccept: application/vnd.appgate.peer-v24+json\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What can be said: requests of every API without any proof, the first words of every peer, and junk.
fn words() -> Vec<(String, Vec<u8>)> {
    let body = json!({
        "deviceId": DeviceId::new(uuid::Uuid::new_v4()), "identityProvider": "local", "keyThumbprint": "A".repeat(43),
        "credential": {"kind": "password", "username": "root", "password": "guess"}, "deviceClaims": {},
    });
    let mut words: Vec<_> = CLIENT_API.iter().map(|path| ((*path).to_owned(), http(path, &body))).collect();
    for path in ["/admin/sites", "/admin/local-users", "/admin/on-boarded-devices/revoke-tokens"] {
        words.push((path.to_owned(), http(path, &json!({}))));
    }
    let subscribe = FromGateway::Subscribe {
        versions: vec![1],
        gateway: ApplianceId::new(uuid::Uuid::new_v4()),
        position: None,
        witness: false,
    };
    words.push(("subscribe".to_owned(), packed::frame(&subscribe).expect("a frame")));
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let join = JoinRequest {
        join_token: BASE64URL_NOPAD.encode(&[7; 32]),
        appliance_id: ApplianceId::new(uuid::Uuid::new_v4()),
        role: JoinRole::Gateway,
        csr: BASE64URL_NOPAD.encode(&key.request().expect("a request")),
        software_version: "test".to_owned(),
        command_id: CommandId::new(uuid::Uuid::new_v4()),
        controller: None,
    };
    let join = serde_json::to_vec(&join).expect("JSON");
    let length = u32::try_from(join.len()).expect("short").to_be_bytes();
    words.push(("join".to_owned(), [&length[..], &join].concat()));
    words.push(("junk".to_owned(), vec![0x41; 4_096]));
    words
}

/// Whether an answer lets nobody in: none at all, an HTTP refusal, or a refusal of a join.
fn refuses(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    if let Some(status) = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)) {
        return status.starts_with('4');
    }
    let join = answer.get(4..).and_then(|body| serde_json::from_slice::<JoinReply>(body).ok());
    answer.is_empty() || matches!(join, Some(JoinReply::Refused(_)))
}

async fn site(lab: &Lab, name: &str) -> Site {
    lab.put(json!({ "id": uuid::Uuid::new_v4(), "name": name })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listener_denies_whoever_proves_nothing_or_the_wrong_thing() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let bound = lab.process(0).bound;
    let site = site(&lab, "office").await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(bound.client).await;
    let clients = alice.certificate.clone().expect("a certificate");
    let before = lab.controller(0).replica.current().await.expect("a quorum");
    let words = words();
    let mut answered = 0;
    for (port, at) in [("client", bound.client), ("admin", bound.admin), ("peer", bound.peer)] {
        for protocol in PROTOCOLS {
            for (who, own) in [("a stranger", None), ("a client", Some(&clients)), ("a gateway", Some(&gateway.own))] {
                // A Gateway may open its own feed.
                if (port, protocol, who) == ("peer", Alpn::Feed, "a gateway") {
                    continue;
                }
                let said = words
                    .iter()
                    .map(|(what, bytes)| async move { (what, speak(at, lab.root, protocol, own, bytes).await) });
                for (what, answer) in futures_util::future::join_all(said).await {
                    let told = String::from_utf8_lossy(&answer);
                    assert!(refuses(&answer), "{who} says {what} in {protocol} at the {port} port and hears {told}");
                    answered += usize::from(!answer.is_empty());
                }
            }
        }
    }
    assert!(answered > 20, "the ports that speak were spoken to: {answered}");
    let after = lab.controller(0).replica.current().await.expect("a quorum");
    assert_eq!(after.gateways().count(), before.gateways().count(), "nobody joined");
    assert_eq!(after.bindings().count(), 0);
    let state = lab.controller(0).replica.current().await.expect("a quorum");
    assert_eq!(state.revocations().iter().count(), before.revocations().iter().count(), "nobody revoked anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_speaks_for_no_user_and_for_no_other_site() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let (at, peers) = (lab.client_address(0), lab.process(0).bound.peer.to_string());
    let (own, other) = (site(&lab, "own").await.base.id, site(&lab, "other").await.base.id);
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(own)).await).await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;

    // It has seen alice's tokens: they passed through its hands. It has its own key only.
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let csr = BASE64URL_NOPAD.encode(&key.request().expect("a request"));
    let stolen = json!({ "claimsToken": alice.claims, "deviceClaims": {} });
    let asked = json!({ "claimsToken": alice.claims, "csr": csr });
    let answer = alice.post(at, Alpn::SignIn, "/client/v1/certificate", &asked).await;
    assert!((400..500).contains(&answer.status), "a certificate for its own key: {answer:?}");
    for path in &CLIENT_API[4..] {
        let heard = alice.post_with(at, Alpn::Client, path, &stolen, Some(&gateway.own)).await;
        assert!(heard.as_ref().map_or(true, |answer| (400..500).contains(&answer.status)), "{path}: {heard:?}");
    }

    // It reports sessions for which nobody proved anything to it.
    let mut feed = gateway.feed(&peers, None).await;
    feed.view().await;
    let state = || lab.controller(0).replica.state();
    let dn = alice.claims_content().head.sub;
    // Alice connected to it once: it has her proof of that, with the number 7.
    let session = |nth: u8| SessionSummary {
        session: SessionId::from_random([nth; 16]),
        ..reported(&lab, &alice, own, gateway.id, 7)
    };
    let elsewhere = SessionSummary { site: other, ..session(1) };
    let never = SessionSummary { sign_in_idx: LogIndex(u64::MAX), ..session(2) };
    let of_another = SessionSummary { gateway: ApplianceId::new(uuid::Uuid::new_v4()), ..session(3) };
    let highest = SessionSummary { connect_seq: u64::MAX, ..session(5) };
    let own_key = SessionSummary {
        proof: proof_by(&lab, &alice, &key, gateway.id, u64::MAX),
        connect_seq: u64::MAX,
        ..session(6)
    };
    let invented = SessionSummary {
        dn: "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=nobody,OU=local".parse().expect("a DN"),
        ..session(7)
    };
    for forged in [elsewhere, never, of_another, highest, own_key, invented] {
        feed.say(&FromGateway::SessionOpened { session: forged.clone() }).await;
        feed.say(&FromGateway::SessionUpdated { session: forged }).await;
    }
    // Reports are heard in order: after this one all have been judged.
    feed.say(&FromGateway::SessionOpened { session: session(4) }).await;
    until("its own true session is bound", async || state().binding(&dn, own).is_some()).await;
    assert_eq!(
        state().binding(&dn, own).map(|bound| bound.session),
        Some(session(4).session),
        "not one from the future"
    );
    assert_eq!(state().binding(&dn, own).map(|bound| bound.connect_seq), Some(7), "with the Client's own number");
    assert_eq!(state().bindings().count(), 1, "and nobody else");
    assert_eq!(lab.controller(0).peers.sessions.all().len(), 1);
    assert!(state().binding(&dn, other).is_none(), "nothing in another Site");
    assert!(lab.controller(0).peers.sessions.of(&dn).iter().all(|one| one.site == own && one.gateway == gateway.id));
    alice.renew(at).await.ok();
}
