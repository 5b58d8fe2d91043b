//! Keys that all Controllers share are replaced by order and by the removal of a Controller, and nobody is shut out by it (T72).

use std::path::Path;

use ringwall_collective::{Purpose, peer_key, profile_key};
use ringwall_protocol::feed::{FeedEvent, FromController, FromGateway};
use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::object::Site;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::wire::join::JoinRole;
use ringwall_raft::State;
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::spa_master::PeerKeyHolder;
use ringwall_trust::secret::{SecretKey, SystemRandom, seal};
use ringwall_trust::spa::PeerRole;
use ringwall_trust::tls::Alpn;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::client::Client;
use crate::gateway::Gateway;
use crate::harness::{Lab, PASSWORD, until};

/// Generations of the key-encryption key in a data directory.
fn kept(directory: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(directory.join("kek.key")).expect("key-encryption keys");
    text.lines().map(|line| line.split_once(' ').expect("a number and a key").0.parse().expect("a number")).collect()
}

fn kept_by_all(lab: &Lab, nodes: &[usize], generations: &[u32]) -> bool {
    nodes.iter().all(|at| kept(&lab.nodes[*at].config.data_dir) == generations)
}

fn state(lab: &Lab, at: usize) -> std::sync::Arc<State> {
    lab.controller(at).replica.state()
}

async fn keys(admin: &Admin) -> Value {
    admin.get("/collective/status").await.ok()["keys"].take()
}

async fn in_mode(lab: &Lab, mode: SpaMode) {
    let controller = lab.controller(0);
    let settings =
        ringwall_protocol::object::GlobalSettings { spa_mode: mode, ..controller.replica.state().settings().clone() };
    controller.replica.change(ChangeSettings { settings, expected_version: None }).await.expect("changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shared_keys_rotate_by_order_when_every_controller_holds_the_next() {
    let mut lab = Lab::start().await;
    lab.join().await;
    lab.join().await;
    lab.user("alice").await;
    let root = Admin::root(&lab).await;
    assert_eq!(keys(&root).await["stage"], "settled");
    let before = state(&lab, 0);
    // One that is away is waited for: it could not open what is sealed meanwhile.
    lab.stop(2).await;
    let root = Admin::root(&lab).await;
    assert_eq!(root.post("/collective/rotate-keys", &json!({})).await.ok()["generation"], 1);
    until("two of three hold the next key", async || kept_by_all(&lab, &[0, 1], &[1, 2])).await;
    let waits = keys(&root).await;
    assert_eq!((&waits["stage"], &waits["generation"]), (&json!("offered"), &json!(1)), "{waits}");
    assert_eq!(waits["waitingFor"].as_array().map(Vec::len), Some(1), "{waits}");
    lab.restart(2).await;
    until("the former key is deleted everywhere", async || kept_by_all(&lab, &[0, 1, 2], &[2])).await;
    let done = keys(&root).await;
    assert_eq!((&done["stage"], &done["generation"]), (&json!("settled"), &json!(2)), "{done}");
    assert_eq!(done["formerKnockKeys"], true);
    let after = state(&lab, 0);
    assert_eq!(after.spa_masters().generation(), before.spa_masters().generation() + 1);
    assert_eq!(after.secrets_under_former_keys().count(), 0);
    // What only the first Controller keeps is sealed anew as well: it starts, and signs another Controller's intermediates.
    let root_key = std::fs::read_to_string(lab.nodes[0].config.data_dir.join("root.sealed")).expect("the root key");
    assert!(root_key.starts_with("2."));
    lab.stop(0).await;
    lab.restart(0).await;
    lab.join().await;
    assert_eq!(kept(&lab.nodes[3].config.data_dir), [2], "who joins gets what is in use");
    let mut alice = Client::new("alice", lab.root);
    for at in 0..4 {
        alice.sign_in(lab.client_address(at)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_removed_controller_knew_opens_nothing_new() {
    let mut lab = Lab::start().await;
    lab.join().await;
    lab.join().await;
    let root = Admin::root(&lab).await;
    let appliance = state(&lab, 0).controller(lab.controller(2).replica.me()).expect("a member").appliance;
    let knew = std::fs::read_to_string(lab.nodes[2].config.data_dir.join("kek.key")).expect("its keys");
    let former = knew.trim().split_once(' ').expect("a key").1.parse::<SecretKey>().expect("a key");
    let before = state(&lab, 0);
    let role_key = |state: &State| peer_key(state, &lab.controller(0).vault, PeerRole::Raft).expect("a key");
    let peer_before = role_key(&before);
    assert_eq!(root.delete(&format!("/appliances/{appliance}")).await.status, 204);
    until("the others have another key", async || kept_by_all(&lab, &[0, 1], &[2])).await;
    let after = state(&lab, 0);
    assert!(role_key(&after) != peer_before, "it knows no key of peers");
    let master = after.spa_masters().keys[0].sealed.as_str();
    let (generation, text) = master.split_once('.').expect("a sealed text");
    assert_eq!(generation, "2");
    let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url");
    assert!(ringwall_trust::secret::open(&former, "spa/master", &bytes).is_err(), "its key opens nothing new");
    assert_eq!(kept(&lab.nodes[2].config.data_dir), [1], "nobody gave it the next one");
    // It is the former key that does not open it, and not the label.
    let own = seal(&former, "spa/master", &[1; 32], &SystemRandom);
    assert!(ringwall_trust::secret::open(&former, "spa/master", &own).is_ok());
    lab.user("alice").await;
    Client::new("alice", lab.root).sign_in(lab.client_address(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_shut_out_by_new_knock_keys_and_the_former_end_by_order() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let site: Site = lab.put(json!({ "id": uuid::Uuid::new_v4(), "name": "office" })).await;
    let root = Admin::root(&lab).await;
    in_mode(&lab, SpaMode::Tcp).await;
    let seed = lab.seed("gw", JoinRole::Gateway, Some(site.base.id)).await;
    let (vault, at) = (&lab.controller(0).vault, lab.client_address(0));
    let profile =
        |state: &State| profile_key(state, vault, state.client_profiles().next().expect("a profile")).expect("a key");
    let link = profile(&state(&lab, 0));
    let mut alice = Client::new("alice", lab.root);
    alice.knock = Some(link.clone());
    // A process refuses knocks that are older than its start and a margin.
    until("the link opens", async || alice.sign_in_request(at, "wrong").await.is_ok()).await;
    let answer = alice.sign_in_request(at, PASSWORD).await.expect("an answer").ok();
    alice.keep(&answer);
    let own: SecretKey = answer["deviceSpaKey"].as_str().expect("a key of its own").parse().expect("a key");
    let mut gateway = Gateway::join(&seed).await;
    let peers = lab.process(0).bound.peer.to_string();
    let mut feed = gateway.feed(&peers, None).await;
    let told = feed.view().await;
    let former_peer = told.peer_spa_key.as_ref().expect("a key").expose().to_owned();
    let gateway_key = state(&lab, 0).spa_keys(gateway.id)[0].sealed.clone();

    root.post("/collective/rotate-keys", &json!({})).await.ok();
    until("the keys are replaced", async || kept_by_all(&lab, &[0], &[2])).await;
    // The Gateway hears of its own new key, of the former beside it, and of the one for knocking on Controllers.
    let (keys_told, peer_told) = feed
        .until(|frame| match frame {
            FromController::Change { event: FeedEvent::SpaChanged { keys, peer_key: Some(peer), .. }, .. }
                if keys.len() == 2 && peer.expose() != former_peer =>
            {
                Some((keys, peer))
            }
            _ => None,
        })
        .await;
    let newest = state(&lab, 0).spa_keys(gateway.id)[0].clone();
    assert_ne!(newest.sealed, gateway_key);
    let opened = vault.open_key(Purpose::GatewaySpa(gateway.id), newest.sealed.as_str()).expect("a key");
    assert_eq!(keys_told[0].expose(), opened.expose_text().as_str());
    assert!(gateway.try_dial(&peers, Alpn::Feed).await.is_ok(), "with the key from before");
    gateway.knock = Some(peer_told.expose().parse().expect("a key"));
    until("the new one opens", async || gateway.try_dial(&peers, Alpn::Feed).await.is_ok()).await;
    // Devices: the link and the own key from before open; the next sign-in brings another own key.
    for former in [&link, &own] {
        alice.knock = Some(former.clone());
        assert!(alice.sign_in_request(at, "wrong").await.is_ok(), "a key from before the rotation");
    }
    let answer = alice.sign_in_request(at, PASSWORD).await.expect("an answer").ok();
    alice.keep(&answer);
    let renewed: SecretKey = answer["deviceSpaKey"].as_str().expect("a key").parse().expect("a key");
    assert!(renewed != own, "a removed Controller knew the former one");
    assert!(alice.sign_in_request(at, "wrong").await.is_ok(), "the answer might have been lost");
    alice.knock = Some(renewed.clone());
    until("the new one opens", async || alice.sign_in_request(at, "wrong").await.is_ok()).await;
    let answer = alice.sign_in_request(at, PASSWORD).await.expect("an answer").ok();
    assert_eq!(answer["deviceSpaKey"].as_str(), Some(renewed.expose_text().as_str()), "once is enough");
    alice.keep(&answer);
    alice.knock = Some(own);
    until("the former one opens nothing", async || alice.sign_in_request(at, "wrong").await.is_err()).await;

    // Former keys end by order, but not while a member needs them.
    let early = root.post("/collective/end-former-keys", &json!({})).await;
    assert_eq!(early.status, 409, "{early:?}");
    assert!(early.body["message"].as_str().is_some_and(|text| text.contains("gw")), "{early:?}");
    let holder = PeerKeyHolder::Gateway(gateway.id);
    let digest = |key: &str| Thumbprint(key.parse::<SecretKey>().expect("a key").digest());
    feed.say(&FromGateway::PeerKey { digest: digest(&former_peer) }).await;
    feed.say(&FromGateway::PeerKey { digest: digest(peer_told.expose()) }).await;
    until("the gateway's new key is noted", async || state(&lab, 0).knows_peer_key(holder)).await;
    until("the controller knows its own", async || {
        keys(&root).await["membersWithFormerKey"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
    let ended = root.post("/collective/end-former-keys", &json!({})).await.ok();
    assert_eq!(ended["formerKnockKeys"], false);
    let mut stranger = Client::new("alice", lab.root);
    stranger.knock = Some(link);
    until("the former link opens nothing", async || stranger.sign_in_request(at, "wrong").await.is_err()).await;
    stranger.knock = Some(profile(&state(&lab, 0)));
    until("the present link does", async || stranger.sign_in_request(at, "wrong").await.is_ok()).await;
    gateway.knock = Some(former_peer.parse().expect("a key"));
    assert!(gateway.try_dial(&peers, Alpn::Feed).await.is_err(), "nor the former key of peers");
}
