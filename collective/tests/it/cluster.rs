//! Restarts and several Controllers.

use ringwall_protocol::feed::FromController;
use ringwall_protocol::object::Site;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::join::JoinRole;
use serde_json::json;

use crate::admin::Admin;
use crate::client::Client;
use crate::gateway::Gateway;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_controller_that_retires_hands_over_and_its_users_go_on_elsewhere() {
    let mut lab = Lab::start().await;
    lab.user("alice").await;
    lab.join().await;
    lab.join().await;
    let site: Site = lab.put(json!({ "id": uuid::Uuid::new_v4(), "name": "office" })).await;
    let gateway = Gateway::join(&lab.seed("gw1", JoinRole::Gateway, Some(site.base.id)).await).await;
    let leader = lab.leader().await;
    let own = |at: usize| lab.controller(at).replica.me();
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(leader)).await;
    let peer = |at: usize| lab.process(at).bound.peer.to_string();
    let mut feed = gateway.feed(&peer(leader), None).await;
    feed.view().await;

    let root = Admin::root(&lab).await;
    let status = root.get("/collective/status").await.ok();
    let controllers = status["controllers"].as_array().expect("controllers");
    let of_leader = controllers.iter().find(|one| one["node"] == json!(own(leader))).expect("the leader is listed");
    let appliance = of_leader["appliance"].as_str().expect("an id").to_owned();
    root.post(&format!("/appliances/{appliance}/retire"), &json!({})).await.ok();
    assert_eq!(
        root.post(&format!("/appliances/{appliance}/retire"), &json!({})).await.status,
        409,
        "it retires already"
    );

    until("another controller leads", async || lab.leader().await != leader).await;
    let others = feed.until(|frame| match frame {
        FromController::UseAnother { controllers } => Some(controllers),
        _ => None,
    });
    let others = others.await;
    assert!(!others.is_empty() && !others.contains(&peer(leader)), "its Gateways are sent to the others: {others:?}");
    let refused = alice.renew(lab.client_address(leader)).await;
    assert_eq!(refused.code(), ErrorCode::Busy, "it signs nothing new");
    let next = (leader + 1) % 3;
    alice.renew(lab.client_address(next)).await.ok();
    let mut bob = Client::new("alice", lab.root);
    bob.sign_in(lab.client_address(next)).await;
    assert!(lab.controller(next).replica.state().retirement_ends(own(leader)).is_some(), "it goes when that has ended");
}
