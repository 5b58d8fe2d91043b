//! Sign-in, devices, certificates.

use std::time::{Duration, Instant};

use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::tls::Alpn;
use serde_json::json;

use crate::client::Client;
use crate::harness::{Lab, PASSWORD};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_gives_a_bound_token_an_address_and_a_certificate() {
    let lab = Lab::start().await;
    let user = lab.user("alice").await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let claims = alice.claims_content();
    assert_eq!(claims.head.cnf.jkt, alice.thumbprint());
    assert_eq!(claims.head.user_id, user);
    assert_eq!(claims.head.sub.to_string(), format!("CN={},CN=alice,OU=local", alice.device.simple()));
    assert!(claims.tun_ipv4.is_some() && claims.tun_ipv6.is_some());
    assert_eq!(claims.user.claim("team"), Some(&json!("dev")));
    let leaf = ringwall_trust::identity::Leaf::parse(&alice.certificate.as_ref().expect("issued").chain()[0]);
    let leaf = leaf.expect("a certificate of ours");
    assert_eq!(leaf.session, Some(claims.head.sub));
    // The same device again: same address, cookie replaced.
    let (first, cookie) = (claims.tun_ipv4, alice.cookie.clone());
    alice.sign_in(at).await;
    assert_eq!(alice.claims_content().tun_ipv4, first);
    assert_ne!(alice.cookie, cookie);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_a_stranger_hears_the_same_and_not_too_soon() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    lab.user("mallory").await;
    lab.block("CN=mallory,OU=local").await;
    let at = lab.client_address(0);
    let mut answers = Vec::new();
    for (user, provider, password) in [
        ("alice", "local", "wrong"),
        ("nobody", "local", PASSWORD),
        ("mallory", "local", PASSWORD),
        ("mallory", "local", "wrong"),
        ("alice", "nowhere", PASSWORD),
    ] {
        let client = Client::new(user, lab.root).at_provider(provider);
        let begun = Instant::now();
        let answer = client.try_sign_in(at, password).await;
        assert!(begun.elapsed() >= Duration::from_millis(250), "{user}: {:?}", begun.elapsed());
        assert_eq!(answer.code(), ErrorCode::SignInRefused);
        answers.push((answer.status, answer.body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_lock_out_strangers_but_not_the_registered_device() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    for _ in 0..5 {
        let stranger = Client::new("alice", lab.root);
        assert_eq!(stranger.try_sign_in(at, "wrong").await.code(), ErrorCode::SignInRefused);
    }
    let stranger = Client::new("alice", lab.root);
    assert_eq!(stranger.try_sign_in(at, PASSWORD).await.code(), ErrorCode::SignInRefused);
    alice.try_sign_in(at, PASSWORD).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn device_id_and_password_do_not_make_a_device() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let mut thief = Client::new("alice", lab.root);
    thief.device = alice.device;
    assert_eq!(thief.try_sign_in(at, PASSWORD).await.code(), ErrorCode::DeviceConflict);
    thief.cookie = alice.cookie.clone();
    assert_eq!(thief.try_sign_in(at, PASSWORD).await.code(), ErrorCode::DeviceConflict, "the key counts too");
    alice.try_sign_in(at, PASSWORD).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_registers_no_more_devices_than_the_provider_permits() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let state = lab.controller(0).replica.state();
    let mut provider = serde_json::to_value(state.local_provider().expect("a provider")).expect("JSON");
    provider["deviceLimitPerUser"] = json!(1);
    lab.put::<ringwall_protocol::object::IdentityProvider>(provider).await;
    let mut first = Client::new("alice", lab.root);
    first.sign_in(at).await;
    let second = Client::new("alice", lab.root);
    assert_eq!(second.try_sign_in(at, PASSWORD).await.code(), ErrorCode::DeviceLimit);
    first.sign_in(at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_token_without_its_key_is_worthless() {
    let lab = Lab::start().await;
    for user in ["alice", "eve"] {
        lab.user(user).await;
    }
    let at = lab.client_address(0);
    let (mut alice, mut eve) = (Client::new("alice", lab.root), Client::new("eve", lab.root));
    alice.sign_in(at).await;
    eve.sign_in(at).await;
    // Eve has Alice's token, but not her key: neither her own certificate nor a request of hers helps.
    eve.claims = alice.claims.clone();
    assert_eq!(eve.entitlements(at).await.code(), ErrorCode::TokenMismatch);
    assert_eq!(eve.renew(at).await.code(), ErrorCode::TokenMismatch);
    assert_eq!(eve.try_certificate(at).await.code(), ErrorCode::TokenMismatch);
    // Without any certificate the path does not exist.
    let body = json!({ "claimsToken": alice.claims, "deviceClaims": {} });
    let answer = eve.post(at, Alpn::SignIn, "/client/v1/entitlements", &body).await;
    assert_eq!(answer.code(), ErrorCode::NotFound);
    assert!(eve.post_with(at, Alpn::Client, "/client/v1/entitlements", &body, None).await.is_err());
    alice.renew(at).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_are_refused_without_repeating_them() {
    let lab = Lab::start().await;
    let at = lab.client_address(0);
    let client = Client::new("alice", lab.root);
    let body = json!({ "password": "secret-in-the-wrong-place" });
    let answer = client.post(at, Alpn::SignIn, "/client/v1/sign-in", &body).await;
    assert_eq!((answer.status, answer.code()), (422, ErrorCode::Invalid));
    assert!(!answer.body.to_string().contains("secret"));
    let huge = json!({ "x": "y".repeat(100_000) });
    assert_eq!(client.post(at, Alpn::SignIn, "/client/v1/sign-in", &huge).await.code(), ErrorCode::Invalid);
}

#[expect(clippy::print_stderr, reason = "a measurement is for people")]
fn show(measured: &str) {
    eprintln!("{measured}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_without_its_password_hash_takes_milliseconds() {
    const ROUNDS: usize = 50;
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let answer = alice.try_sign_in(at, PASSWORD).await.ok();
        times.push(begun.elapsed());
        alice.keep(&answer);
    }
    times.sort();
    let (p50, p99) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    show(&format!("sign-in with TLS handshake, without password hash: p50 {p50:?}, p99 {p99:?}"));
    assert!(p50 < Duration::from_millis(100), "p50 {p50:?}, p99 {p99:?}");
}
