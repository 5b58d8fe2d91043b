//! Gateways at a Controller: joining, feed, confirmations, proof of enforcement.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use ringwall_collective::EnforcementOutcome;
use ringwall_collective::PEER_SEATS;
use ringwall_protocol::claims::{ClaimMap, StepUp, StepUpKind};
use ringwall_protocol::connection::{ConnectionProof, ConnectionStatement};
use ringwall_protocol::feed::{FeedEvent, FromController, FromGateway, SessionSummary};
use ringwall_protocol::id::{ApplianceId, CommandId, SessionId, SiteId};
use ringwall_protocol::object::Site;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::join::{JoinReply, JoinRole};
use ringwall_raft::state::gateway::ChangeGatewayState;
use ringwall_trust::identity::{KeyKind, PrivateKey};
use ringwall_trust::tls::Alpn;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::client::Client;
use crate::gateway::{Gateway, ask, join_request};
use crate::harness::{Lab, until};

async fn site(lab: &Lab) -> Site {
    lab.put(json!({ "id": uuid::Uuid::new_v4(), "name": format!("site {}", uuid::Uuid::new_v4()) })).await
}

fn peer_address(lab: &Lab, at: usize) -> String {
    lab.process(at).bound.peer.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_token_admits_one_key_once_and_the_same_key_hears_the_same_again() {
    let lab = Lab::start().await;
    let site = site(&lab).await;
    let seed = lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await;
    let (key, other) = [(); 2].map(|()| PrivateKey::generate(KeyKind::P256).expect("a key")).into();
    let request = join_request(&seed, &key);
    let JoinReply::Admitted(first) = ask(&seed, &request).await else { panic!("refused") };
    assert_eq!(first.site_id, Some(site.base.id));
    let JoinReply::Admitted(again) = ask(&seed, &join_request(&seed, &key)).await else { panic!("refused") };
    assert_eq!(again.appliance_id, first.appliance_id);
    let JoinReply::Refused(refused) = ask(&seed, &join_request(&seed, &other)).await else { panic!("admitted") };
    assert_eq!(refused.code, ErrorCode::Unauthorized);
    assert_eq!(lab.controller(0).replica.state().gateways().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_gives_the_full_state_then_changes_and_confirms_behind_them() {
    let lab = Lab::start().await;
    let site = site(&lab).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    let mut feed = gateway.feed(&peer_address(&lab, 0), None).await;
    let view = feed.view().await;
    assert_eq!(view.site.id, site.base.id);
    assert!(view.gateways.contains_key(&gateway.id));
    let index = lab.block("CN=alice,OU=local").await;
    feed.say(&FromGateway::Poll { nonce: 7 }).await;
    let mut seen = false;
    let read_index = feed
        .until(|frame| match frame {
            FromController::Change { index: at, event: FeedEvent::RevocationAdded { revocation } } => {
                seen |= at == index && revocation.index == index;
                None
            }
            FromController::Confirmed { nonce: 7, read_index } => Some(read_index),
            _ => None,
        })
        .await;
    assert!(read_index >= index && seen, "the confirmation came behind the change");
    // A connection that resumes hears only what is new.
    let position = ringwall_protocol::feed::FeedPosition { incarnation: view.position.incarnation, index };
    let mut resumed = gateway.feed(&peer_address(&lab, 0), Some(position)).await;
    let first = resumed.next().await.expect("the feed goes on");
    assert!(!matches!(first, FromController::Full { .. }), "{first:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_enforcement_tells_of_each_gateway_how_long_it_took() {
    let lab = Lab::start().await;
    let site = site(&lab).await;
    let (near, gone) = (
        Gateway::join(&lab.seed("near", JoinRole::Gateway, Some(site.base.id)).await).await,
        Gateway::join(&lab.seed("gone", JoinRole::Gateway, Some(site.base.id)).await).await,
    );
    let mut feed = near.feed(&peer_address(&lab, 0), None).await;
    feed.view().await;
    let controller = Arc::clone(&lab.process(0).controller);
    let begun = Instant::now();
    let index = lab.block("CN=alice,OU=local").await;
    let waiting = tokio::spawn(async move {
        controller.revocation.wait_enforced(index, None, begun, begun + Duration::from_secs(20)).await
    });
    feed.until(|frame| matches!(frame, FromController::Change { index: at, .. } if at >= index).then_some(())).await;
    feed.say(&FromGateway::Enforced { index, failed: vec![] }).await;
    let outcome = waiting.await.expect("no panic");
    let of = |id| outcome.iter().find(|one| one.gateway == id).expect("listed").outcome;
    assert!(matches!(of(near.id), EnforcementOutcome::Enforced(after) if after < Duration::from_secs(5)));
    assert_eq!(of(gone.id), EnforcementOutcome::Unreachable { lease_ends: None });
    assert!(begun.elapsed() < Duration::from_secs(10), "unreachable gateways are not waited for");
}

/// Connects from an address of its own and says nothing. May be reset before it knows that it was connected.
async fn stranger(number: usize, at: SocketAddr) -> std::io::Result<TcpStream> {
    let [high, low] = u16::try_from(number).expect("few").to_be_bytes();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 1, high, low], 0))).expect("all of 127/8 is this machine");
    socket.connect(at).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stranger_flood_does_not_end_a_lease() {
    let lab = Lab::start().await;
    let site = site(&lab).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    let mut feed = gateway.feed(&peer_address(&lab, 0), None).await;
    feed.view().await;
    let at = lab.process(0).bound.peer;
    let mut flood = VecDeque::new();
    for number in 1..=PEER_SEATS.unproved.total {
        flood.push_back(stranger(number, at).await);
    }
    // It goes on as long as the test does: a thousand a second, each for two seconds.
    let flooding = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(1));
        for number in PEER_SEATS.unproved.total + 1.. {
            pace.tick().await;
            flood.push_back(stranger(number % 60_000 + 1, at).await);
            if flood.len() > 2_000 {
                flood.pop_front();
            }
        }
    });
    until("there is no room for strangers", async || {
        let heard = async { stranger(60_001, at).await?.read(&mut [0]).await };
        let heard = timeout(Duration::from_secs(2), heard).await;
        matches!(heard, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionReset)
    })
    .await;
    for nonce in 0..20 {
        feed.say(&FromGateway::Poll { nonce }).await;
        feed.until(|frame| matches!(frame, FromController::Confirmed { nonce: of, .. } if of == nonce).then_some(()))
            .await;
    }
    // The kernel's queue may be full for a moment, but a member is never turned away.
    let at = peer_address(&lab, 0);
    while let Err(error) = gateway.try_dial(&at, Alpn::Feed).await {
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    }
    assert!(!flooding.is_finished());
    flooding.abort();
}

/// A session of a Client that signed in, as the Gateway reports it to which it connected, with a further proof.
pub(crate) fn reported(lab: &Lab, client: &Client, site: SiteId, gateway: ApplianceId, seq: u64) -> SessionSummary {
    let claims = client.claims_content();
    let otp = StepUp {
        kind: StepUpKind::Otp,
        provider_id: uuid::Uuid::nil(),
        condition_id: None,
        at: UnixMillis(5),
        transaction_id: None,
    };
    SessionSummary {
        session: SessionId::from_random([3; 16]),
        dn: claims.head.sub.clone(),
        sid: claims.head.sid,
        sign_in_idx: claims.sign_in_idx,
        connect_seq: seq,
        proof: connection_proof(lab, client, gateway, seq),
        user_id: claims.head.user_id,
        site,
        gateway,
        since: UnixMillis(1),
        client_address: "192.0.2.9:4000".to_owned(),
        tunnel_addresses: vec![],
        entitlements: vec![],
        device: ClaimMap::default(),
        reasons: BTreeMap::new(),
        user: ClaimMap::default(),
        step_ups: [("vault".to_owned(), otp)].into(),
        refused_names: vec![],
        rules: 3,
        generation: 1,
    }
}

/// What a Client signs when it connects to a Gateway.
fn connection_proof(lab: &Lab, client: &Client, gateway: ApplianceId, seq: u64) -> ConnectionProof {
    proof_by(lab, client, &client.key, gateway, seq)
}

/// The same, signed by some key.
pub(crate) fn proof_by(
    lab: &Lab,
    client: &Client,
    key: &PrivateKey,
    gateway: ApplianceId,
    seq: u64,
) -> ConnectionProof {
    let (state, claims) = (lab.controller(0).replica.state(), client.claims_content());
    let collective = state.collective().expect("founded");
    let statement = ConnectionStatement {
        collective: collective.id,
        incarnation: collective.incarnation,
        gateway,
        dn: &claims.head.sub,
        sid: claims.head.sid,
        sign_in_idx: claims.sign_in_idx,
        connect_seq: seq,
    };
    ringwall_trust::connection_proof::sign(&statement, ringwall_collective::now(), key).expect("signed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_gateways_report_are_known_to_the_collective() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    let site = site(&lab).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    let mut feed = gateway.feed(&peer_address(&lab, 0), None).await;
    feed.view().await;
    let session = reported(&lab, &alice, site.base.id, gateway.id, 1);
    feed.say(&FromGateway::SessionOpened { session: session.clone() }).await;
    until("the session is bound", async || {
        lab.controller(0).replica.state().binding(&session.dn, site.base.id).is_some()
    })
    .await;
    assert_eq!(lab.controller(0).peers.sessions.of(&session.dn).len(), 1);
    let ended =
        FromGateway::SessionEnded { session: session.session, dn: session.dn.clone(), code: ErrorCode::Revoked };
    feed.say(&ended).await;
    until("the session is gone", async || {
        lab.controller(0).replica.state().binding(&session.dn, site.base.id).is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_gateway_is_nobody_from_the_next_handshake_on() {
    let lab = Lab::start().await;
    let site = site(&lab).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    let mut feed = gateway.feed(&peer_address(&lab, 0), None).await;
    feed.view().await;
    let remove = ChangeGatewayState { gateway: gateway.id, state: ApplianceState::Removed };
    lab.controller(0).replica.change(remove).await.expect("removed");
    until("new handshakes fail", async || {
        let mut feed = gateway.feed(&peer_address(&lab, 0), None).await;
        feed.next().await.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_former_key_of_a_gateway_ends_with_the_first_use_of_the_next() {
    let lab = Lab::start().await;
    let site = site(&lab).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    let (at, keys) = (peer_address(&lab, 0), || {
        lab.controller(0).replica.state().gateway(gateway.id).expect("a gateway").keys.clone()
    });
    let mut feed = gateway.feed(&at, None).await;
    feed.view().await;
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let csr = BASE64URL_NOPAD.encode(&key.request().expect("a request"));
    feed.say(&FromGateway::RenewCertificate { command_id: CommandId::new(uuid::Uuid::new_v4()), csr }).await;
    let chain = feed.until(|frame| match frame {
        FromController::Certificate { chain, .. } => Some(chain),
        _ => None,
    });
    let renewed = gateway.renewed(&chain.await, &key);
    // The answer may have been lost: until the next key is used, the former one counts.
    gateway.feed(&at, None).await.view().await;
    assert_eq!(keys().len(), 2);
    until("the next key is known", async || renewed.feed(&at, None).await.next().await.is_some()).await;
    until("the former key ended", async || keys() == [key.thumbprint()]).await;
    until("it opens nothing", async || gateway.feed(&at, None).await.next().await.is_none()).await;
    renewed.feed(&at, None).await.view().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn enforcement_is_asked_of_the_controller_that_has_the_feed() {
    let mut lab = Lab::start().await;
    lab.join().await;
    let site = site(&lab).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    // The other Controller must know the Gateway before it can let it in.
    until("the gateway is known everywhere", async || lab.controller(1).replica.state().gateway(gateway.id).is_some())
        .await;
    let mut feed = gateway.feed(&peer_address(&lab, 1), None).await;
    feed.view().await;
    let controller = Arc::clone(&lab.process(0).controller);
    let begun = Instant::now();
    let index = lab.block("CN=alice,OU=local").await;
    let waiting = tokio::spawn(async move {
        controller.revocation.wait_enforced(index, None, begun, begun + Duration::from_secs(20)).await
    });
    feed.until(|frame| matches!(frame, FromController::Change { index: at, .. } if at >= index).then_some(())).await;
    feed.say(&FromGateway::Enforced { index, failed: vec![] }).await;
    let outcome = waiting.await.expect("no panic");
    assert!(matches!(outcome[0].outcome, EnforcementOutcome::Enforced(after) if after < Duration::from_secs(5)));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_is_shown_in_full_by_a_controller_that_does_not_have_its_feed() {
    let mut lab = Lab::start().await;
    lab.join().await;
    let site = site(&lab).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    until("the gateway is known everywhere", async || lab.controller(1).replica.state().gateway(gateway.id).is_some())
        .await;
    let mut feed = gateway.feed(&peer_address(&lab, 1), None).await;
    feed.view().await;
    lab.user("alice").await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    let session = reported(&lab, &alice, site.base.id, gateway.id, 1);
    let signed_in = async || lab.controller(1).replica.state().device(session.user_id, session.dn.device).is_some();
    until("the other controller knows the device", signed_in).await;
    feed.say(&FromGateway::SessionOpened { session: session.clone() }).await;
    until("the other controller knows", async || !lab.controller(1).peers.sessions.of(&session.dn).is_empty()).await;
    let here = lab.controller(0);
    assert!(here.peers.sessions.of(&session.dn).is_empty(), "its feed does not end here");
    let state = here.replica.current().await.expect("a quorum");
    let scope = ringwall_protocol::name::DnScope::Device(session.dn.clone());
    let known = here.peers.sessions_everywhere(&state, &scope).await;
    assert_eq!(known.silent, []);
    assert_eq!(known.sessions.len(), 1);
    assert_eq!(known.sessions[0].step_ups, session.step_ups, "proofs come with it");
    assert_eq!(known.sessions[0].client_address, session.client_address);
    lab.stop(1).await;
    let known = lab.controller(0).peers.sessions_everywhere(&state, &scope).await;
    assert_eq!(known.silent.len(), 1, "who does not answer is named");
}
