//! Restarts and several Controllers.

use crate::client::Client;
use crate::harness::{Lab, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_a_restart() {
    let mut lab = Lab::start().await;
    lab.user("alice").await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    let before = lab.controller(0).replica.state();
    lab.stop(0).await;
    lab.restart(0).await;
    let after = lab.controller(0).replica.state();
    assert!(after.index() >= before.index());
    assert!(after.devices().eq(before.devices()));
    let at = lab.client_address(0);
    alice.renew(at).await.ok();
    alice.sign_in(at).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_signing_key_leaves_older_tokens_valid_and_outlives_a_restart() {
    let mut lab = Lab::start().await;
    lab.user("alice").await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    let kids = |lab: &Lab| lab.controller(0).replica.state().keys().map(|key| key.kid.clone()).collect::<Vec<_>>();
    assert_eq!(kids(&lab).len(), 1);
    lab.controller(0).own_keys.rotate_signing_key().await.expect("rotated");
    assert_eq!(kids(&lab).len(), 2);
    let renewed = alice.renew(lab.client_address(0)).await.ok();
    alice.claims = renewed["claimsToken"].as_str().map(str::to_owned);
    lab.stop(0).await;
    lab.restart(0).await;
    alice.renew(lab.client_address(0)).await.ok();
    alice.sign_in(lab.client_address(0)).await;
    assert_eq!(kids(&lab).len(), 2, "the stored key is the active one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_controllers_serve_and_outlive_their_leader() {
    let mut lab = Lab::start().await;
    lab.user("alice").await;
    lab.join().await;
    lab.join().await;
    let mut alice = Client::new("alice", lab.root);
    for at in 0..3 {
        alice.sign_in(lab.client_address(at)).await;
        for other in 0..3 {
            alice.renew(lab.client_address(other)).await.ok();
        }
    }
    let leader = lab.leader().await;
    lab.stop(leader).await;
    let next = (leader + 1) % 3;
    let begun = std::time::Instant::now();
    until("another controller decides", async || {
        alice.try_sign_in(lab.client_address(next), crate::harness::PASSWORD).await.status == 200
    })
    .await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    lab.restart(leader).await;
    let index = lab.controller(next).replica.current().await.expect("a quorum").index();
    until("the former leader has caught up", async || lab.controller(leader).replica.state().index() >= index).await;
    let (one, other) = (lab.controller(next).replica.state(), lab.controller(leader).replica.state());
    assert!(one.devices().eq(other.devices()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_factor_asked_by_one_controller_may_be_answered_at_another() {
    let mut lab = Lab::start().await;
    let user = lab.user("alice").await;
    lab.join().await;
    let seed = crate::mfa::enrol(&lab, user).await;
    crate::mfa::want_factor(&lab, true).await;
    let alice = Client::new("alice", lab.root);
    let wanted = alice.try_sign_in(lab.client_address(0), crate::harness::PASSWORD).await;
    assert_eq!(wanted.status, 202, "{wanted:?}");
    let code = crate::mfa::code(&seed);
    crate::mfa::answer_factor(&lab, 1, &alice, &wanted.body, &code).await.ok();
}
