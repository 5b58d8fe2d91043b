//! Sign-in under attack: guessing, tiring, stealing, and names that look like something else.

use std::time::{Duration, Instant};

use ringwall_protocol::name::UserDn;
use ringwall_protocol::wire::error::ErrorCode;
use serde_json::json;

use crate::client::{Client, site_tokens};
use crate::entitlements::grant;
use crate::harness::{Lab, PASSWORD};
use crate::mfa::{answer_factor, code, enrol, want_factor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credential_stuffing_over_many_users_is_stopped_at_its_source() {
    let lab = Lab::start().await;
    let at = lab.client_address(0);
    for nth in 0..12 {
        lab.user(&format!("user{nth}")).await;
    }
    // One leaked password tried with every name: no user is locked out by it, the source is.
    let mut heard = Vec::new();
    for nth in 0..12 {
        let client = Client::new(&format!("user{nth}"), lab.root);
        heard.push(client.try_sign_in(at, "leaked elsewhere").await.code());
    }
    assert_eq!(heard[..10], [ErrorCode::SignInRefused; 10]);
    assert_eq!(heard[10..], [ErrorCode::Busy; 2], "ten failures a minute");
    let right = Client::new("user11", lab.root).try_sign_in(at, PASSWORD).await;
    assert_eq!(right.code(), ErrorCode::Busy, "whatever comes from there now");
    let state = lab.controller(0).replica.current().await.expect("a quorum");
    assert_eq!(state.lockouts().count(), 0, "and nobody else pays for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_cannot_lock_a_user_out_of_his_own_device() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    for _ in 0..5 {
        // Knowing the device's id does not make the failures count for the device.
        let mut stranger = Client::new("alice", lab.root);
        stranger.device = alice.device;
        assert_eq!(stranger.try_sign_in(at, "guess").await.code(), ErrorCode::SignInRefused);
    }
    let state = lab.controller(0).replica.current().await.expect("a quorum");
    assert!(state.lockouts().all(|(subject, _)| subject.device.is_none()));
    assert_eq!(state.lockouts().count(), 1, "strangers are locked out");
    alice.try_sign_in(at, PASSWORD).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_user_and_a_wrong_password_take_the_same_answer_and_no_less_time() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    lab.user("bob").await;
    let at = lab.client_address(0);
    for _ in 0..5 {
        Client::new("alice", lab.root).try_sign_in(at, "guess").await;
    }
    let begun = Instant::now();
    let locked = Client::new("alice", lab.root).try_sign_in(at, PASSWORD).await;
    let wrong = Client::new("bob", lab.root).try_sign_in(at, "guess").await;
    assert!(begun.elapsed() >= Duration::from_millis(500), "each waits for the floor");
    assert_eq!((locked.status, &locked.body), (wrong.status, &wrong.body));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompts_for_another_factor_are_bounded_and_tries_run_out() {
    let lab = Lab::start().await;
    let user = lab.user("alice").await;
    let seed = enrol(&lab, user).await;
    want_factor(&lab, true).await;
    let at = lab.client_address(0);
    // Whoever has the password can make three questions at once, not a storm of them.
    let clients: Vec<Client> = (0..4).map(|_| Client::new("alice", lab.root)).collect();
    let mut open = Vec::new();
    for client in &clients[..3] {
        open.push(client.try_sign_in(at, PASSWORD).await.ok());
    }
    assert_ne!(clients[3].try_sign_in(at, PASSWORD).await.status, 202, "a fourth is not asked");
    // Three tries, then not even the right code helps.
    for _ in 0..3 {
        let wrong = answer_factor(&lab, 0, &clients[0], &open[0], "000000").await;
        assert_eq!(wrong.code(), ErrorCode::MfaRefused);
    }
    let late = answer_factor(&lab, 0, &clients[0], &open[0], &code(&seed)).await;
    assert_ne!(late.status, 200, "{late:?}");
    answer_factor(&lab, 0, &clients[1], &open[1], &code(&seed)).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_counts_once_whichever_controllers_hear_it() {
    let mut lab = Lab::start().await;
    let user = lab.user("alice").await;
    lab.join().await;
    let seed = enrol(&lab, user).await;
    want_factor(&lab, true).await;
    let clients: Vec<Client> = (0..2).map(|_| Client::new("alice", lab.root)).collect();
    let mut open = Vec::new();
    for (at, client) in clients.iter().enumerate() {
        open.push(client.try_sign_in(lab.client_address(at), PASSWORD).await.ok());
    }
    let code = code(&seed);
    let (one, other) = tokio::join!(
        answer_factor(&lab, 0, &clients[0], &open[0], &code),
        answer_factor(&lab, 1, &clients[1], &open[1], &code),
    );
    let accepted = [&one, &other].into_iter().filter(|answer| answer.status == 200).count();
    assert_eq!(accepted, 1, "{one:?} {other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_cookie_is_worthless_without_the_devices_key() {
    let lab = Lab::start().await;
    let user = lab.user("alice").await;
    let seed = enrol(&lab, user).await;
    want_factor(&lab, false).await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    let wanted = alice.try_sign_in(at, PASSWORD).await.ok();
    let answer = answer_factor(&lab, 0, &alice, &wanted, &code(&seed)).await.ok();
    alice.keep(&answer);
    // Cookie, password and device id are copied; the key stays where it is.
    let mut thief = Client::new("alice", lab.root);
    (thief.device, thief.cookie) = (alice.device, alice.cookie.clone());
    assert_eq!(thief.try_sign_in(at, PASSWORD).await.code(), ErrorCode::DeviceConflict);
    // As a new device the cookie saves nobody the other factor.
    thief.device = ringwall_protocol::id::DeviceId::new(uuid::Uuid::new_v4());
    assert_eq!(thief.try_sign_in(at, PASSWORD).await.status, 202);
    assert_eq!(alice.try_sign_in(at, PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_look_like_other_names_are_nobody_else() {
    let lab = Lab::start().await;
    let at = lab.client_address(0);
    lab.user("alice").await;
    grant(&lab, "alice", &[]).await;
    let odd = ["x,CN=alice", "alice,OU=local", "alice=", "alice\\", "CN=alice,OU=local", "\u{430}lice", "alice\u{301}"];
    for name in odd {
        lab.user(name).await;
        let mut client = Client::new(name, lab.root);
        client.sign_in(at).await;
        let claims = client.claims_content();
        let dn = claims.head.sub.clone();
        assert_eq!(dn.user.user.as_str(), name, "the name is one component");
        let text = dn.to_string();
        assert_eq!(text.parse::<ringwall_protocol::name::SessionDn>().expect("our own text"), dn, "{text}");
        assert_eq!(claims.user.claim("username"), Some(&json!(name)));
        assert!(site_tokens(&client.entitlements(at).await.ok()).is_empty(), "{name:?} has what alice has");
    }
    // What is done to alice is done to nobody whose name only contains hers.
    let dn: UserDn = "CN=alice,OU=local".parse().expect("a DN");
    lab.block(&dn.to_string()).await;
    let state = lab.controller(0).replica.current().await.expect("a quorum");
    let others = state.devices().filter(|device| state.blocked(&device.dn.user).is_none()).count();
    assert_eq!(others, odd.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_control_characters_do_not_exist() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    for name in ["alice\u{0}", "al\u{0}ice", "alice\n", "\u{7f}alice", "", "alice\u{202e}"] {
        let answer = Client::new(name, lab.root).try_sign_in(at, PASSWORD).await;
        assert_ne!(answer.status, 200, "{name:?}");
        assert!([ErrorCode::SignInRefused, ErrorCode::Invalid].contains(&answer.code()), "{name:?}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_two_sessions_are_not_exchanged() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let (mut one, mut other) = (Client::new("alice", lab.root), Client::new("alice", lab.root));
    one.sign_in(at).await;
    other.sign_in(at).await;
    // Even of the same user: the token of one device is refused with the key of another.
    std::mem::swap(&mut one.claims, &mut other.claims);
    for client in [&one, &other] {
        assert_eq!(client.renew(at).await.code(), ErrorCode::TokenMismatch);
        assert_eq!(client.entitlements(at).await.code(), ErrorCode::TokenMismatch);
    }
    std::mem::swap(&mut one.claims, &mut other.claims);
    one.renew(at).await.ok();
}
