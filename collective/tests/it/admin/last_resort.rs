//! Somebody can always administer: what would leave nobody is refused, and the break-glass code opens a way in that depends on
//! nothing else.

use serde_json::json;

use super::Admin;
use crate::harness::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_role_cannot_lock_the_last_administrator_out() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    root.create("local-users", json!({"name": "clerk", "password": "a clerk's password"})).await;
    let privileges: Vec<_> = [
        ("Create", "Blacklist"),
        ("View", "Policy"),
        ("Create", "Policy"),
        ("Edit", "LocalUser"),
        ("View", "LocalUser"),
        ("Delete", "LocalUser"),
        ("Edit", "IdentityProvider"),
        ("View", "IdentityProvider"),
    ]
    .map(|(kind, target)| json!({"type": kind, "target": target}))
    .to_vec();
    let role = root.create("administrative-roles", json!({"name": "clerks", "privileges": privileges})).await;
    root.create("policies", json!({"name": "clerks", "type": "Admin", "expression": "user.username == \"clerk\"", "administrativeRoles": [role]})).await;
    let clerk = Admin::signed_in(&lab, "clerk", "a clerk's password").await;
    let founder = root.get("/local-users?query=root").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    let mut provider = clerk.get("/identity-providers?query=local").await.ok()["data"][0].clone();
    provider["adminProvider"] = json!(false);
    let of_provider = format!("/identity-providers/{}", provider["id"].as_str().expect("an id"));
    let refusals = [
        clerk.post("/blacklist", &json!({"userDistinguishedName": "CN=root,OU=local"})).await,
        clerk.put(&format!("/local-users/{founder}"), &json!({"name": "root", "disabled": true})).await,
        clerk.delete(&format!("/local-users/{founder}")).await,
        clerk.put(&of_provider, &provider).await,
        clerk.post("/policies", &json!({"name": "stop", "type": "Stop", "expression": "true"})).await,
    ];
    for reply in refusals {
        assert_eq!(reply.status, 409, "{reply:?}");
        let told = reply.body["message"].as_str().expect("a message");
        assert!(told.contains("nobody able to administer"), "{told}");
    }
    root.get("/sites").await.ok();
    Admin::root(&lab).await.get("/sites").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_break_glass_code_signs_in_where_nobody_else_can_and_everybody_hears_of_it() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    assert_eq!(root.get("/collective/status").await.ok()["breakGlass"]["used"], json!(null), "it is sealed");
    // Nothing of the usual way in is left: as if somebody had managed to.
    let state = lab.controller(0).replica.state();
    let user = state.local_user_named("root").expect("the founder").clone();
    let disabled = ringwall_protocol::object::LocalUser { disabled: true, ..user };
    lab.controller(0).replica.change(ringwall_raft::state::object::PutObject::new(disabled)).await.expect("written");
    assert_eq!(root.get("/sites").await.status, 401);
    assert_eq!(root.sign_in("root", "a long password").await.status, 401);

    let stranger = Admin::with_key(&lab, 0);
    let wrong = stranger.break_glass_sign_in("aaaaaa-bbbbbb-cccccc-dddddd").await;
    assert_eq!((wrong.status, wrong.body["id"].as_str()), (401, Some("signInRefused")));
    let unbound = Admin::stranger(&lab, 0).break_glass_sign_in(&lab.break_glass).await;
    assert_eq!((unbound.status, unbound.body["id"].as_str()), (401, Some("proofInvalid")), "bound to a key only");
    // However many wrong passwords come from its address.
    for _ in 0..12 {
        drop(stranger.sign_in("root", "wrong").await);
    }
    let glass = Admin::break_glass(&lab).await;
    let founder = glass.get("/local-users?query=root").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    glass
        .put(&format!("/local-users/{founder}"), &json!({"name": "root", "password": "a new long password"}))
        .await
        .ok();
    let status = glass.get("/collective/status").await.ok();
    assert_eq!(status["breakGlass"]["usedFrom"], json!("127.0.0.1"));
    let listed = glass.get("/administrator-sessions").await.ok();
    assert_eq!(listed["data"][0]["roles"], json!(["everything (break-glass)"]), "{listed}");

    let renewed = glass.post("/break-glass/renew", &json!({})).await.ok();
    assert_eq!(glass.get("/sites").await.status, 401, "the session that the former code opened has ended");
    assert_eq!(stranger.break_glass_sign_in(&lab.break_glass).await.status, 401);
    let answer = stranger.break_glass_sign_in(renewed["code"].as_str().expect("a code")).await.ok();
    let told = answer["messageOfTheDay"].as_str().expect("a message");
    assert!(told.contains("break-glass administrator signed in"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_provider_takes_the_name_of_the_break_glass_administrator() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let radius =
        json!({"name": "break-glass", "type": "Radius", "hostnames": ["192.0.2.9"], "sharedSecret": "between us two"});
    assert_eq!(root.post("/identity-providers", &radius).await.fields(), ["name"]);
}
