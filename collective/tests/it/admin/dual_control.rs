//! Dual control cannot be got round: not by ending it, not by making a second administrator, not by the break-glass code.

use serde_json::json;

use super::Admin;
use super::approvals::{
    PASSWORD, administrator, approve, everything, listed, role, set_dual_control, two, waits, withdraw,
};
use crate::harness::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn dual_control_begins_with_two_and_ends_with_two() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let alone = set_dual_control(&root, "Required").await;
    assert_eq!(alone.status, 409, "{alone:?}");
    let fault = &alone.body["errors"][0];
    assert_eq!(fault["field"], "dualControl");
    assert!(fault["message"].as_str().is_some_and(|text| text.contains("two local users")));
    let (root, second) = two(&lab).await;
    // Neither goes away while it lasts.
    let of_second =
        root.get("/local-users?query=second").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    let of_second = format!("/local-users/{of_second}");
    for refused in [
        root.delete(&of_second).await,
        root.put(&of_second, &json!({"name": "second", "disabled": true})).await,
        root.post("/blacklist", &json!({"userDistinguishedName": "CN=second,OU=local"})).await,
    ] {
        assert_eq!(refused.status, 409, "{refused:?}");
        assert!(refused.body["message"].as_str().is_some_and(|text| text.contains("fewer than two")), "{refused:?}");
    }
    let reset = waits(&root.delete("/global-settings").await);
    assert_eq!(withdraw(&root, &reset).await.status, 204);
    let end = waits(&set_dual_control(&root, "Off").await);
    assert_eq!(root.get("/global-settings").await.ok()["dualControl"], "Required");
    // Settings that changed meanwhile are not written over.
    let mut settings = root.get("/global-settings").await.ok();
    settings["messageOfTheDay"] = "changed".into();
    root.put("/global-settings", &settings).await.ok();
    assert_eq!(approve(&second, &end).await.status, 409);
    let end = waits(&set_dual_control(&root, "Off").await);
    approve(&second, &end).await.ok();
    let settings = root.get("/global-settings").await.ok();
    assert_eq!((&settings["dualControl"], &settings["messageOfTheDay"]), (&json!("Off"), &json!("changed")));
    assert_eq!(root.delete(&of_second).await.status, 204, "one is enough again");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_himself_a_second_administrator() {
    let lab = Lab::start().await;
    let (root, second) = two(&lab).await;
    let all = everything(&root).await;
    let of = async |name: &str| {
        let user = root.get(&format!("/local-users?query={name}")).await.ok()["data"][0].clone();
        format!("/local-users/{}", user["id"].as_str().expect("an id"))
    };
    root.create("local-users", json!({"name": "puppet", "password": PASSWORD})).await;
    let more = json!({"name": "more", "privileges": [{"type": "All", "target": "GlobalSetting"}]});
    waits(&root.post("/administrative-roles", &more).await);
    let policy = json!({"name": "puppet", "type": "Admin", "expression": "user.username == \"puppet\"", "administrativeRoles": [all]});
    let order = waits(&root.post("/policies", &policy).await);
    let shown = listed(&second).await.into_iter().find(|one| one["id"] == json!(order)).expect("listed");
    assert_eq!(shown["details"]["expression"], policy["expression"], "what is approved is seen: {shown}");
    waits(&root.put(&of("second").await, &json!({"name": "second", "password": "known to root only"})).await);
    let stranger = Admin::stranger(&lab, 0);
    assert_eq!(stranger.sign_in("puppet", PASSWORD).await.status, 403);
    assert_eq!(stranger.sign_in("second", "known to root only").await.status, 401);
    // A role that approves nothing is given by one, and so is one's own password.
    let looks = role(&root, "looks", &[("View", "All")]).await;
    administrator(&lab, &root, "looker", &looks).await;
    root.put(&of("root").await, &json!({"name": "root", "password": "another long password"})).await.ok();
    let root = Admin::signed_in(&lab, "root", "another long password").await;
    // The session that asked for the policy has ended with the former password.
    assert_eq!(approve(&second, &order).await.status, 404);
    let order = waits(&root.post("/policies", &policy).await);
    approve(&second, &order).await.ok();
    stranger.sign_in("puppet", PASSWORD).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_break_glass_code_is_no_second_administrator() {
    let lab = Lab::start().await;
    let (root, second) = two(&lab).await;
    let glass = Admin::break_glass(&lab).await;
    // It approves nothing, and what it asks for waits.
    let order = waits(&root.post("/break-glass/renew", &json!({})).await);
    assert_eq!(approve(&glass, &order).await.status, 403);
    let end = waits(&set_dual_control(&glass, "Off").await);
    assert_eq!(approve(&glass, &end).await.status, 409, "its own");
    // It restores an administrator who lost his password.
    let of_second =
        root.get("/local-users?query=second").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    let body = json!({"name": "second", "password": "a new long password"});
    glass.put(&format!("/local-users/{of_second}"), &body).await.ok();
    assert_eq!(second.get("/sites").await.status, 401, "his former sessions have ended");
    let second = Admin::signed_in(&lab, "second", "a new long password").await;
    // The new code is read by whoever approves, and the former one is void.
    let renewed = approve(&second, &order).await.ok();
    assert_eq!(glass.get("/sites").await.status, 401);
    let with_key = Admin::with_key(&lab, 0);
    assert_eq!(with_key.break_glass_sign_in(&lab.break_glass).await.status, 401);
    with_key.break_glass_sign_in(renewed["breakGlassCode"].as_str().expect("a code")).await.ok();
    assert_eq!(approve(&root, &end).await.status, 404, "the session that asked has ended");
}
