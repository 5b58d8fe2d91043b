//! Knocks in the ClientHello (mode TCP), at the port for Clients and at the one for peers.

use std::sync::Arc;

use ringwall_collective::profile_key;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::join::JoinRole;
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::device::RevokeDeviceSpaKey;
use ringwall_trust::identity::{KeyKind, PrivateKey};
use ringwall_trust::secret::SecretKey;
use ringwall_trust::tls::Alpn;
use serde_json::json;

use crate::client::Client;
use crate::gateway::{Gateway, join_request, try_ask};
use crate::harness::{Lab, PASSWORD, until};

async fn want_knocks(lab: &Lab) -> SecretKey {
    let controller = Arc::clone(&lab.process(0).controller);
    let state = controller.replica.state();
    let mut settings = state.settings().clone();
    settings.spa_mode = SpaMode::Tcp;
    controller.replica.change(ChangeSettings { settings, expected_version: None }).await.expect("changed");
    // Until it has taken hold a knock is passed over, and proves nothing.
    let (stranger, at) = (Client::new("nobody", lab.root), lab.client_address(0));
    until("strangers hear nothing", async || stranger.sign_in_request(at, "wrong").await.is_err()).await;
    let profile = state.client_profiles().next().expect("the default profile");
    profile_key(&state, &controller.vault, profile).expect("a key")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_knock_nothing_answers_and_with_the_profiles_key_a_sign_in_does() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let key = want_knocks(&lab).await;
    let mut alice = Client::new("alice", lab.root);
    until("strangers hear nothing", async || alice.sign_in_request(at, "wrong").await.is_err()).await;
    alice.knock = Some(SecretKey::generate(&ringwall_trust::secret::SystemRandom));
    assert!(alice.sign_in_request(at, PASSWORD).await.is_err(), "a key that nobody gave opens nothing");
    alice.knock = Some(key);
    // A process refuses knocks that are older than its start and a margin.
    until("the profile's key opens", async || alice.sign_in_request(at, "wrong").await.is_ok()).await;
    let answer = alice.sign_in_request(at, PASSWORD).await.expect("an answer").ok();
    alice.keep(&answer);
    let own = answer["deviceSpaKey"].as_str().expect("a key of its own").parse().expect("a key");
    alice.knock = Some(own);
    until("the device's own key opens", async || alice.sign_in_request(at, "wrong").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profile_key_opens_only_its_provider() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    // The default profile leads to another provider than the one that has the users.
    let state = lab.controller(0).replica.state();
    let other: ringwall_protocol::object::IdentityProvider =
        lab.put(json!({ "id": uuid::Uuid::new_v4(), "name": "elsewhere", "type": "Saml" })).await;
    let mut profile = serde_json::to_value(state.client_profiles().next().expect("a profile")).expect("JSON");
    profile["identityProvider"] = json!(other.base.id);
    lab.put::<ringwall_protocol::object::ClientProfile>(profile).await;
    let key = want_knocks(&lab).await;
    let mut alice = Client::new("alice", lab.root);
    alice.knock = Some(key);
    until("the knock is right", async || alice.sign_in_request(at, "wrong").await.is_ok()).await;
    let answer = alice.sign_in_request(at, PASSWORD).await.expect("an answer");
    assert_eq!(answer.code(), ErrorCode::SignInRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_knock_with_the_keys_of_their_roles() {
    let mut lab = Lab::start().await;
    let profile = want_knocks(&lab).await;
    let peers = lab.process(0).bound.peer.to_string();
    let site: ringwall_protocol::object::Site = lab.put(json!({ "id": uuid::Uuid::new_v4(), "name": "office" })).await;
    let seed = lab.seed("gw", JoinRole::Gateway, Some(site.base.id)).await;
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let request = join_request(&seed, &key);
    let with = |key: Option<&SecretKey>| {
        let spa_key = key.map(|key| key.expose_text().to_string());
        ringwall_protocol::wire::join::Seed { spa_key, ..seed.clone() }
    };
    until("strangers hear nothing", async || try_ask(&with(None), &request).await.is_err()).await;
    assert!(try_ask(&with(Some(&profile)), &request).await.is_err(), "a profile's key is for clients");
    // A process refuses knocks that are older than its start and a margin.
    until("the seed's key joins", async || try_ask(&seed, &request).await.is_ok()).await;
    let seed = lab.seed("gw2", JoinRole::Gateway, Some(site.base.id)).await;
    let mut gateway = Gateway::join(&seed).await;
    let told = gateway.feed(&peers, None).await.view().await;
    let own = gateway.knock.replace(seed.spa_key.as_deref().expect("a key").parse().expect("a key"));
    assert!(gateway.try_dial(&peers, Alpn::Feed).await.is_err(), "the seed's key opens no feed");
    assert_eq!(
        told.peer_spa_key.as_ref().map(|key| key.expose()),
        own.as_ref().map(|key| key.expose_text().to_string()).as_deref()
    );
    gateway.knock = own;
    assert!(gateway.try_dial(&peers, Alpn::Feed).await.is_ok());
    gateway.knock = None;
    assert!(gateway.try_dial(&peers, Alpn::Feed).await.is_err(), "a member's certificate is no knock");
    // Controllers reach each other the same way.
    lab.join().await;
    lab.user("bob").await;
    until("the second controller knows bob", async || {
        lab.controller(1).replica.state().local_users().any(|user| user.base.name == "bob")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_devices_key_can_be_revoked_alone() {
    let lab = Lab::start().await;
    let user = lab.user("alice").await;
    let at = lab.client_address(0);
    let profile = want_knocks(&lab).await;
    let mut alice = Client::new("alice", lab.root);
    alice.knock = Some(profile.clone());
    until("the profile's key opens", async || alice.sign_in_request(at, "wrong").await.is_ok()).await;
    let answer = alice.sign_in_request(at, PASSWORD).await.expect("an answer").ok();
    alice.keep(&answer);
    let stolen: SecretKey = answer["deviceSpaKey"].as_str().expect("a key").parse().expect("a key");
    alice.knock = Some(stolen.clone());
    until("the device's key opens", async || alice.sign_in_request(at, "wrong").await.is_ok()).await;
    let revoke = RevokeDeviceSpaKey { user_id: user, device_id: alice.device };
    lab.controller(0).replica.change(revoke).await.expect("revoked");
    until("it opens nothing any more", async || alice.sign_in_request(at, PASSWORD).await.is_err()).await;
    alice.knock = Some(profile);
    let answer = alice.sign_in_request(at, PASSWORD).await.expect("the registration stands").ok();
    let fresh: SecretKey = answer["deviceSpaKey"].as_str().expect("a key").parse().expect("a key");
    assert!(fresh != stolen);
    alice.knock = Some(fresh);
    until("the new key opens", async || alice.sign_in_request(at, "wrong").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliances_own_mode_counts_for_it_and_for_nobody_else() {
    let mut lab = Lab::start().await;
    lab.join().await;
    lab.user("alice").await;
    let state = lab.controller(0).replica.state();
    assert_eq!(state.settings().spa_mode, SpaMode::Open, "the Collective wants no knocks");
    let profile = state.client_profiles().next().expect("the default profile");
    let key = profile_key(&state, &lab.controller(0).vault, profile).expect("a key");
    let (own, other) = (lab.client_address(1), lab.client_address(0));
    let second = state.controller(lab.controller(1).replica.me()).expect("a member").appliance;
    let set = async |mode: Option<&str>| {
        let appliance =
            lab.controller(0).replica.current().await.expect("a quorum").appliance(second).expect("there").clone();
        let mut appliance = serde_json::to_value(&appliance).expect("JSON");
        appliance["clientInterface"]["overrideSpaMode"] = json!(mode);
        lab.put::<ringwall_protocol::object::Appliance>(appliance).await;
    };
    set(Some("TCP")).await;
    let mut alice = Client::new("alice", lab.root);
    until("the second wants a knock now", async || alice.sign_in_request(own, "wrong").await.is_err()).await;
    assert!(alice.sign_in_request(other, "wrong").await.is_ok(), "the first goes on without");
    alice.knock = Some(key);
    // A process refuses knocks that are older than its start and a margin.
    until("the profile's key opens the second", async || alice.sign_in_request(own, "wrong").await.is_ok()).await;
    // The other way round: the Collective wants knocks, this one does not.
    alice.knock = None;
    want_knocks(&lab).await;
    set(Some("Open")).await;
    until("the first wants a knock now", async || alice.sign_in_request(other, "wrong").await.is_err()).await;
    until("the second wants none", async || alice.sign_in_request(own, "wrong").await.is_ok()).await;
    set(None).await;
    until("without one of its own the Collective's counts", async || {
        alice.sign_in_request(own, "wrong").await.is_err() && alice.sign_in_request(other, "wrong").await.is_err()
    })
    .await;
}
