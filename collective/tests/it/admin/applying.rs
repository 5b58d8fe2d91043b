//! Objects written together over the wire: all or none, planned first, by whoever may write each of them.

use serde_json::{Value, json};

use super::Admin;
use super::approvals::{PASSWORD, approve, everything, two, waits};
use crate::harness::Lab;

const SITE: &str = "0190a000-0000-7000-8000-0000000000a1";
const WEB: &str = "0190a000-0000-7000-8000-0000000000a2";

fn site() -> Value {
    json!({"kind": "Site", "object": {"id": SITE, "name": "office", "networkSubnets": ["10.20.0.0/16"]}})
}

fn web(fields: Value) -> Value {
    let mut object = json!({"id": WEB, "name": "web", "site": SITE, "actions": [
        {"subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.10"], "ports": ["443"]}]});
    object.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    json!({"kind": "Entitlement", "object": object})
}

async fn apply(by: &Admin, objects: &[Value]) -> super::caller::Reply {
    by.post("/apply", &json!({ "objects": objects })).await
}

async fn plan(by: &Admin, objects: &[Value]) -> Value {
    by.post("/apply", &json!({ "objects": objects, "dryRun": true })).await.ok()
}

/// What becomes of the nth object, and of which of its fields: name, left out, overwrites.
fn told(answer: &Value, nth: usize) -> (&str, Vec<(&str, bool, bool)>) {
    let change = &answer["changes"][nth];
    let fields = change["fields"].as_array().expect("fields").iter().map(|field| {
        let flag = |name: &str| field[name].as_bool().expect("a flag");
        (field["field"].as_str().expect("a name"), flag("leftOut"), flag("overwrites"))
    });
    (change["what"].as_str().expect("a word"), fields.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_written_together_or_not_at_all() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let nowhere = json!({"site": "0190a000-0000-7000-8000-00000000dead"});
    let refused = apply(&root, &[site(), web(nowhere)]).await;
    assert_eq!(refused.fields(), ["objects[1].site"]);
    assert_eq!(root.get(&format!("/sites/{SITE}")).await.status, 404, "the first one was not written either");
    let beside = json!({"actions": [{"subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.5/24"]}]});
    assert_eq!(apply(&root, &[site(), web(beside)]).await.fields(), ["objects[1].actions[0].hosts[0]"]);

    let planned = plan(&root, &[site(), web(json!({}))]).await;
    assert_eq!((told(&planned, 0).0, told(&planned, 1).0), ("created", "created"));
    assert!(planned["index"].is_null());
    assert_eq!(root.get(&format!("/sites/{SITE}")).await.status, 404, "a plan writes nothing");
    let done = apply(&root, &[site(), web(json!({}))]).await.ok();
    let [of_site, of_web] = [format!("/sites/{SITE}"), format!("/entitlements/{WEB}")];
    let versions = [root.get(&of_site).await, root.get(&of_web).await];
    let etag = format!("\"{}\"", done["index"]);
    assert!(versions.iter().all(|reply| reply.header("etag") == Some(etag.as_str())), "one entry: {versions:?}");
    let again = apply(&root, &[site(), web(json!({}))]).await.ok();
    assert_eq!((told(&again, 0).0, told(&again, 1).0), ("unchanged", "unchanged"));
    assert!(again["index"].is_null(), "and nothing is written: {again}");

    let both = json!({"deletions": [{"kind": "Entitlement", "id": WEB}, {"kind": "Site", "id": SITE}]});
    root.post("/apply", &both).await.ok();
    assert_eq!(root.get(&of_site).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_left_out_is_its_default_and_is_told_beforehand() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let condition = root.create("conditions", json!({"name": "fresh", "expression": "true"})).await;
    apply(&root, &[site(), web(json!({"conditions": [condition]}))]).await.ok();
    let planned = plan(&root, &[site(), web(json!({}))]).await;
    assert_eq!(told(&planned, 0), ("unchanged", vec![]));
    assert_eq!(told(&planned, 1), ("changed", vec![("conditions", true, false)]));
    assert_eq!(root.get(&format!("/entitlements/{WEB}")).await.ok()["conditions"], json!([condition]));
    apply(&root, &[site(), web(json!({}))]).await.ok();
    assert_eq!(root.get(&format!("/entitlements/{WEB}")).await.ok()["conditions"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_changed_is_told_as_overwritten_and_an_old_plan_is_refused() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    apply(&root, &[site(), web(json!({}))]).await.ok();
    let planned = plan(&root, &[web(json!({"tags": ["prod"]}))]).await;
    assert_eq!(told(&planned, 0), ("changed", vec![("tags", false, false)]));
    let by_hand = web(json!({"notes": "by hand"}))["object"].clone();
    root.put(&format!("/entitlements/{WEB}"), &by_hand).await.ok();
    let order = json!({"objects": [web(json!({"tags": ["prod"]}))], "base": planned["base"]});
    let stale = root.post("/apply", &order).await;
    assert_eq!((stale.status, stale.body["id"].as_str()), (409, Some("conflict")), "{stale:?}");
    let planned = plan(&root, &[web(json!({"tags": ["prod"]}))]).await;
    assert_eq!(told(&planned, 0), ("changed", vec![("notes", true, true), ("tags", false, false)]));
    let order = json!({"objects": [web(json!({"tags": ["prod"]}))], "base": planned["base"]});
    root.post("/apply", &order).await.ok();
    assert_eq!(root.get(&format!("/entitlements/{WEB}")).await.ok()["notes"], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_batch_cuts_several_users() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let mut users = Vec::new();
    for name in ["alice", "bob"] {
        let id = root.create("local-users", json!({"name": name, "password": PASSWORD})).await;
        users.push(json!({"kind": "LocalUser", "object": {"id": id, "name": name, "disabled": true}}));
    }
    let before = lab.controller(0).replica.current().await.expect("a quorum").revocations().iter().count();
    let done = apply(&root, &users).await.ok();
    assert_eq!(told(&done, 1), ("changed", vec![("disabled", false, false)]));
    let state = lab.controller(0).replica.current().await.expect("a quorum");
    assert_eq!(state.revocations().iter().count(), before + 2, "each of them");
    assert_eq!(state.revocations_owed().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_wants_its_own_privilege() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let role = json!({"name": "sites", "privileges": [{"type": "All", "target": "Site"}]});
    let role = root.create("administrative-roles", role).await;
    root.create("local-users", json!({"name": "sally", "password": PASSWORD})).await;
    let policy = json!({"name": "sally", "type": "Admin", "expression": "user.username == \"sally\"", "administrativeRoles": [role]});
    root.create("policies", policy).await;
    let sally = Admin::signed_in(&lab, "sally", PASSWORD).await;
    let refused = apply(&sally, &[site(), web(json!({}))]).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.body["message"].as_str().is_some_and(|text| text.contains("objects[1] (\"web\")")), "{refused:?}");
    assert_eq!(root.get(&format!("/sites/{SITE}")).await.status, 404);
    let settings = root.get("/global-settings").await.ok();
    assert_eq!(sally.post("/apply", &json!({ "settings": settings })).await.status, 403);
    apply(&sally, &[site()]).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_dual_control_a_batch_waits_as_a_whole() {
    let lab = Lab::start().await;
    let (root, second) = two(&lab).await;
    let all = everything(&root).await;
    let puppet = json!({"kind": "LocalUser", "object": {"name": "puppet", "password": PASSWORD}});
    let policy = json!({"kind": "Policy", "object": {"name": "puppet", "type": "Admin",
        "expression": "user.username == \"puppet\"", "administrativeRoles": [all]}});
    let order = waits(&apply(&root, &[puppet, policy, site()]).await);
    assert_eq!(root.get(&format!("/sites/{SITE}")).await.status, 404, "nothing of it is done yet");
    let shown = second.get("/approvals").await.ok();
    assert_eq!(shown["data"][0]["details"]["objects"].as_array().map(Vec::len), Some(3), "{shown}");
    approve(&second, &order).await.ok();
    assert_eq!(root.get(&format!("/sites/{SITE}")).await.status, 200);
    Admin::stranger(&lab, 0).sign_in("puppet", PASSWORD).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_tells_nobody_whether_a_password_is_right() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let id = root.create("local-users", json!({"name": "alice", "password": PASSWORD})).await;
    let with =
        |password: &str| json!({"kind": "LocalUser", "object": {"id": id, "name": "alice", "password": password}});
    for password in [PASSWORD, "another long password"] {
        assert_eq!(told(&plan(&root, &[with(password)]).await, 0), ("unchanged", vec![]));
    }
    let same = apply(&root, &[with(PASSWORD)]).await.ok();
    assert_eq!(told(&same, 0), ("unchanged", vec![]));
    let other = apply(&root, &[with("another long password")]).await.ok();
    assert_eq!(told(&other, 0), ("changed", vec![("password", false, false)]));
    assert!(!other.to_string().contains("another long password"));
}
