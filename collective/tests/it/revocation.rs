//! Revocations: modes, blocklist, devices, sign-out.

use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::tls::Alpn;
use serde_json::json;

use crate::admin::caller::Admin;
use crate::client::Client;
use crate::harness::{Lab, until};

async fn signed_in() -> (Lab, Client) {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    (lab, alice)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_voids_what_is_older_and_a_new_sign_in_works_at_once() {
    let (lab, mut alice) = signed_in().await;
    let at = lab.client_address(0);
    let root = Admin::root(&lab).await;
    root.revoke("CN=alice,OU=local", "cut").await;
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    assert_eq!(alice.entitlements(at).await.code(), ErrorCode::TokenRevoked);
    alice.sign_in(at).await;
    alice.renew(at).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_renew_the_old_token_still_renews_and_the_new_one_outlives_the_cut() {
    let (lab, mut alice) = signed_in().await;
    let at = lab.client_address(0);
    let root = Admin::root(&lab).await;
    let index = root.revoke("CN=alice,OU=local", "renewNow").await;
    let old = alice.claims.clone();
    let renewed = alice.renew(at).await.ok();
    alice.claims = renewed["claimsToken"].as_str().map(str::to_owned);
    assert!(alice.claims_content().head.idx > index);
    // The leader makes it effective when its time has come; nobody else's clock counts.
    until("the revocation is effective", async || {
        let state = lab.controller(0).replica.state();
        state.revocations().find(index).is_some_and(|revocation| revocation.effective == 1)
    })
    .await;
    alice.renew(at).await.ok();
    alice.claims = old;
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_cuts_and_unblocking_brings_nothing_back() {
    let (lab, mut alice) = signed_in().await;
    let at = lab.client_address(0);
    let root = Admin::root(&lab).await;
    let dn: ringwall_protocol::name::UserDn = "CN=alice,OU=local".parse().expect("a DN");
    root.block(&dn.to_string()).await;
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    root.unblock(&dn.to_string()).await;
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    alice.sign_in(at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_device_is_nobody_and_registers_anew() {
    let (lab, mut alice) = signed_in().await;
    let at = lab.client_address(0);
    Admin::root(&lab).await.remove_device(&alice.claims_content().head.sub).await;
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    alice.sign_in(at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_this_session_and_no_other() {
    let (lab, alice) = signed_in().await;
    let at = lab.client_address(0);
    let mut other = Client::new("alice", lab.root);
    other.sign_in(at).await;
    let answer = alice.post(at, Alpn::Client, "/client/v1/sign-out", &json!({ "claimsToken": alice.claims })).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    other.renew(at).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_revocation_of_the_same_user_cuts_what_came_after_the_first() {
    let (lab, mut alice) = signed_in().await;
    let at = lab.client_address(0);
    let root = Admin::root(&lab).await;
    let first = root.revoke("CN=alice,OU=local", "cut").await;
    let oldest = alice.claims.clone();
    alice.sign_in(at).await;
    let second = root.revoke("CN=alice,OU=local", "cut").await;
    assert!(second > first, "each has its own place in the log");
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked, "what was minted between the two");
    // Nobody has signed in since: a third one is an order like any other.
    let third = root.revoke("CN=alice,OU=local", "cut").await;
    assert!(third > second);
    alice.claims = oldest;
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    alice.sign_in(at).await;
    alice.renew(at).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_is_enabled_again_signs_in_anew_and_old_tokens_stay_dead() {
    let (lab, mut alice) = signed_in().await;
    let at = lab.client_address(0);
    let state = lab.controller(0).replica.current().await.expect("a quorum");
    let mut user = state.local_user_named("alice").expect("alice").clone();
    user.disabled = true;
    lab.put::<ringwall_protocol::object::LocalUser>(serde_json::to_value(&user).expect("JSON")).await;
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    assert_eq!(alice.try_sign_in(at, crate::harness::PASSWORD).await.code(), ErrorCode::SignInRefused);
    user.disabled = false;
    lab.put::<ringwall_protocol::object::LocalUser>(serde_json::to_value(&user).expect("JSON")).await;
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    assert_eq!(alice.entitlements(at).await.code(), ErrorCode::TokenRevoked);
    assert_eq!(alice.try_certificate(at).await.code(), ErrorCode::TokenRevoked);
    alice.sign_in(at).await;
    alice.renew(at).await.ok();
}

#[test]
fn no_token_lives_as_long_as_a_revocation_is_remembered() {
    for kind in ringwall_protocol::revocation::TokenKind::ALL {
        let lives = ringwall_trust::token::max_life(kind);
        assert!(lives < ringwall_raft::state::revocation::KEPT, "{kind:?} lives for {lives:?}");
    }
}
