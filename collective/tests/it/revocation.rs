//! Revocations: modes, blocklist, devices, sign-out.

use ringwall_collective::revocation::revoke::{Pace, RevocationOrder};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::revocation::RevocationScope;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::device::RemoveDevice;
use ringwall_trust::tls::Alpn;
use serde_json::json;

use crate::client::Client;
use crate::harness::{Lab, until};

fn order(pace: Pace) -> RevocationOrder {
    let scope = RevocationScope::Dn("CN=alice,OU=local".parse::<DnScope>().expect("a scope"));
    RevocationOrder { scope, kinds: Default::default(), site: None, pace, reason: "test".to_owned() }
}

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
    lab.controller(0).revoke(order(Pace::Cut)).await.expect("revoked");
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    assert_eq!(alice.entitlements(at).await.code(), ErrorCode::TokenRevoked);
    alice.sign_in(at).await;
    alice.renew(at).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_renew_the_old_token_still_renews_and_the_new_one_outlives_the_cut() {
    let (lab, mut alice) = signed_in().await;
    let at = lab.client_address(0);
    let index = lab.controller(0).revoke(order(Pace::Renew { delay_seconds: 0, devices_per_second: 2.0 })).await;
    let index = index.expect("revoked");
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
    let dn: ringwall_protocol::name::UserDn = "CN=alice,OU=local".parse().expect("a DN");
    lab.controller(0).block(dn.clone(), String::new()).await.expect("blocked");
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    lab.controller(0).unblock(dn).await.expect("unblocked");
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked);
    alice.sign_in(at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_device_is_nobody_and_registers_anew() {
    let (lab, mut alice) = signed_in().await;
    let at = lab.client_address(0);
    let user_id = alice.claims_content().head.user_id;
    let remove = RemoveDevice { user_id, device_id: alice.device, reason: "lost".to_owned() };
    lab.controller(0).remove_device(remove).await.expect("removed");
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
    let first = lab.controller(0).revoke(order(Pace::Cut)).await.expect("revoked");
    let oldest = alice.claims.clone();
    alice.sign_in(at).await;
    let second = lab.controller(0).revoke(order(Pace::Cut)).await.expect("revoked a second time");
    assert!(second > first, "each has its own place in the log");
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked, "what was minted between the two");
    // Nobody has signed in since: a third one is an order like any other.
    let third = lab.controller(0).revoke(order(Pace::Cut)).await.expect("revoked a third time");
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
