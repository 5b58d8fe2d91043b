//! Knocks in the ClientHello (mode TCP).

use std::sync::Arc;

use ringwall_collective::spa::profile_key;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_trust::secret::SecretKey;
use serde_json::json;

use crate::client::Client;
use crate::harness::{Lab, PASSWORD, until};

async fn want_knocks(lab: &Lab) -> SecretKey {
    let controller = Arc::clone(&lab.process(0).controller);
    let state = controller.node.state();
    let mut settings = state.settings().clone();
    settings.spa_mode = SpaMode::Tcp;
    controller.change(ChangeSettings { settings, expected_version: None }).await.expect("changed");
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
    let state = lab.controller(0).node.state();
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
