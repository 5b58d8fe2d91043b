//! Dual control: what can end the Collective waits for a second administrator.

use ringwall_protocol::wire::join::JoinReply;
use ringwall_trust::identity::{Fingerprint, KeyKind, PrivateKey};
use serde_json::{Value, json};

use super::Admin;
use super::admission::{controller_seed, request};
use super::caller::Reply;
use crate::devices::Captured;
use crate::gateway::ask;
use crate::harness::Lab;

pub(super) const PASSWORD: &str = "a long password too";

/// Somebody to whom a policy of his own gives a role.
pub(super) async fn administrator(lab: &Lab, by: &Admin, name: &str, role: &str) -> Admin {
    by.create("local-users", json!({"name": name, "password": PASSWORD})).await;
    let expression = format!("user.username == {name:?}");
    let policy = json!({"name": name, "type": "Admin", "expression": expression, "administrativeRoles": [role]});
    by.create("policies", policy).await;
    Admin::signed_in(lab, name, PASSWORD).await
}

/// A role with these privileges.
pub(super) async fn role(by: &Admin, name: &str, privileges: &[(&str, &str)]) -> String {
    let privileges: Vec<Value> =
        privileges.iter().map(|(kind, target)| json!({"type": kind, "target": target})).collect();
    by.create("administrative-roles", json!({"name": name, "privileges": privileges})).await
}

pub(super) async fn everything(root: &Admin) -> String {
    let roles = root.get("/administrative-roles").await.ok();
    let all = |role: &&Value| {
        role["privileges"][0]
            == json!({"type": "All", "target": "All", "scope": role["privileges"][0]["scope"], "defaultTags": role["privileges"][0]["defaultTags"]})
    };
    let roles = roles["data"].as_array().expect("roles").clone();
    roles.iter().find(all).expect("the founder's role")["id"].as_str().expect("an id").to_owned()
}

pub(super) async fn set_dual_control(by: &Admin, wanted: &str) -> Reply {
    let mut settings = by.get("/global-settings").await.ok();
    settings["dualControl"] = wanted.into();
    by.put("/global-settings", &settings).await
}

/// The founder and a second administrator who holds everything, under dual control.
pub(super) async fn two(lab: &Lab) -> (Admin, Admin) {
    let root = Admin::root(lab).await;
    let role = everything(&root).await;
    let second = administrator(lab, &root, "second", &role).await;
    set_dual_control(&root, "Required").await.ok();
    (root, second)
}

/// The id of the order that an answer says waits.
pub(super) fn waits(reply: &Reply) -> String {
    assert_eq!((reply.status, reply.body["id"].as_str()), (202, Some("approvalWanted")), "{reply:?}");
    let id = reply.body["approval"].as_str().expect("an id").to_owned();
    assert!(reply.body["message"].as_str().is_some_and(|text| text.contains(&format!("ringctl approve {id}"))));
    id
}

pub(super) async fn approve(by: &Admin, id: &str) -> Reply {
    by.post(&format!("/approvals/{id}"), &json!({})).await
}

pub(super) async fn withdraw(by: &Admin, id: &str) -> Reply {
    by.delete(&format!("/approvals/{id}")).await
}

pub(super) async fn listed(by: &Admin) -> Vec<Value> {
    by.get("/approvals").await.ok()["data"].as_array().expect("a list").clone()
}

/// A Controller that asks to join: its appliance, and the fingerprint of its key.
async fn candidate(by: &Admin) -> (String, String) {
    let (id, seed) = controller_seed(by).await;
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    assert_eq!(ask(&seed, &request(&seed, &key)).await, JoinReply::Waiting {});
    (id, Fingerprint(key.thumbprint().0).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_and_removal_of_controllers_wait_for_a_second_administrator() {
    let log = Captured::begin();
    let lab = Lab::start().await;
    let (root, second) = two(&lab).await;
    let (id, fingerprint) = candidate(&root).await;
    let members = || lab.controller(0).replica.state().controllers().count();
    let admit = format!("/collective/waiting/{id}/admit");
    assert_eq!(root.post(&admit, &json!({"fingerprint": "00".repeat(32)})).await.fields(), ["fingerprint"]);
    let order = waits(&root.post(&admit, &json!({ "fingerprint": fingerprint })).await);
    assert_eq!(order, waits(&root.post(&admit, &json!({ "fingerprint": fingerprint })).await), "it waits once");
    assert_eq!(members(), 1, "nothing is done yet");
    let [shown] = &listed(&second).await[..] else { panic!("one order") };
    assert_eq!((&shown["id"], &shown["askedBy"]), (&json!(order), &json!("CN=root,OU=local")));
    assert!(shown["summary"].as_str().is_some_and(|text| text.contains(&fingerprint)), "{shown}");
    let status = root.get("/collective/status").await.ok();
    assert_eq!((&status["dualControl"], &status["ordersWaiting"]), (&json!("Required"), &json!(1)));

    assert_eq!(approve(&root, &order).await.status, 409, "not by the one who asked");
    assert_eq!(approve(&Admin::root(&lab).await, &order).await.status, 409, "nor by another session of his");
    assert_eq!(members(), 1);
    approve(&second, &order).await.ok();
    assert_eq!(members(), 2);
    assert_eq!(approve(&second, &order).await.status, 404, "once");
    let text = log.text();
    let both = |kind: &str, names: [&str; 2]| {
        text.lines().any(|line| line.contains(kind) && names.iter().all(|name| line.contains(name)))
    };
    assert!(both("order_approved", ["CN=second,OU=local", "\"asked_by\":\"CN=root,OU=local\""]));
    assert!(both("controller_admitted", ["CN=root,OU=local", "\"approved_by\":\"CN=second,OU=local\""]));

    // Its removal waits too, and is taken back.
    let remove = format!("/appliances/{id}");
    let order = waits(&second.delete(&remove).await);
    let withdrawn = withdraw(&second, &order).await;
    assert_eq!(withdrawn.status, 204, "{withdrawn:?}");
    assert_eq!(approve(&root, &order).await.status, 404);
    root.get(&remove).await.ok();
    let order = waits(&second.delete(&remove).await);
    approve(&root, &order).await.ok();
    assert_eq!(root.get(&remove).await.status, 404);
    // What ends nothing waits for nobody.
    let plain = root
        .create(
            "appliances",
            json!({"name": "c3", "controller": {"enabled": true}, "peerInterface": {"addresses": ["192.0.2.9:444"]}}),
        )
        .await;
    assert_eq!(root.delete(&format!("/appliances/{plain}")).await.status, 204, "it never joined");
}

#[tokio::test(flavor = "multi_thread")]
async fn retirement_is_decided_anew_when_it_is_approved() {
    let mut lab = Lab::start().await;
    lab.join().await;
    let (root, second) = two(&lab).await;
    let id = root.get("/appliances?query=c2").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    let node = lab.controller(1).replica.me();
    let state_of = || lab.controller(0).replica.state().controller(node).map(|one| one.state);
    let retire = format!("/appliances/{id}/retire");
    let (one, other) = (waits(&root.post(&retire, &json!({})).await), waits(&second.post(&retire, &json!({})).await));
    assert_eq!(state_of(), Some(ringwall_protocol::object::appliance::ApplianceState::Active));
    approve(&second, &one).await.ok();
    assert_eq!(state_of(), Some(ringwall_protocol::object::appliance::ApplianceState::Retiring));
    let late = approve(&root, &other).await;
    assert_eq!(late.status, 409, "it retires already: {late:?}");
    assert_eq!(listed(&root).await.len(), 1, "what was refused goes on waiting");
    lab.stop(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whoever_could_give_an_order_himself_sees_and_approves_it() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let revokes = role(&root, "revokes", &[("Revoke", "RegisteredDevice"), ("View", "RegisteredDevice")]).await;
    let looks = role(&root, "looks", &[("View", "All")]).await;
    let (asker, helper) =
        (administrator(&lab, &root, "asker", &revokes).await, administrator(&lab, &root, "helper", &revokes).await);
    let looker = administrator(&lab, &root, "looker", &looks).await;
    let (_, second) = two(&lab).await;
    let cut = json!({"distinguishedNameFilter": "", "mode": "cut", "tokenType": "Entitlement"});
    let cut_everybody = async |by: &Admin| waits(&by.post("/on-boarded-devices/revoke-tokens", &cut).await);
    let revocations = || lab.controller(0).replica.state().revocations().iter().count();

    let order = cut_everybody(&asker).await;
    assert_eq!(listed(&looker).await, Vec::<Value>::new());
    assert_eq!(approve(&looker, &order).await.status, 403);
    assert_eq!(withdraw(&looker, &order).await.status, 403);
    assert_eq!((listed(&helper).await.len(), listed(&second).await.len()), (1, 1));
    // The asker loses his privilege while it waits: nobody can approve it, whatever he holds himself.
    let policy = root.get("/policies?query=asker").await.ok()["data"][0].clone();
    let path = format!("/policies/{}", policy["id"].as_str().expect("an id"));
    let mut weaker = policy.clone();
    weaker["administrativeRoles"] = json!([looks]);
    root.put(&path, &weaker).await.ok();
    let before = revocations();
    let refused = approve(&helper, &order).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body["message"].as_str().is_some_and(|text| text.contains("cannot order this any more")));
    assert_eq!(revocations(), before);
    assert_eq!(withdraw(&helper, &order).await.status, 204, "whoever could approve it may end it");

    // An order ends with the session in which it was asked.
    let order = cut_everybody(&helper).await;
    let session = root.get("/administrator-sessions?query=helper").await.ok()["data"][0]["id"].clone();
    let session = session.as_str().expect("an id");
    assert_eq!(root.delete(&format!("/administrator-sessions/{session}")).await.status, 204);
    assert_eq!(approve(&root, &order).await.status, 404);
    assert_eq!(listed(&root).await, Vec::<Value>::new());

    // An approver without the privilege of the moment is none.
    let order = cut_everybody(&root).await;
    root.put(&path, &json!({"name": "asker", "type": "Admin", "expression": "false", "administrativeRoles": [looks]}))
        .await
        .ok();
    assert_eq!(approve(&asker, &order).await.status, 401, "no role is left");
    approve(&second, &order).await.ok();
    assert_eq!(revocations(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_everybody_or_a_whole_provider_waits_and_one_user_does_not() {
    let lab = Lab::start().await;
    let (root, second) = two(&lab).await;
    let revoke = async |filter: &str, mode: &str| {
        let order = json!({"distinguishedNameFilter": filter, "mode": mode, "tokenType": "Entitlement", "revocationReason": "test"});
        root.post("/on-boarded-devices/revoke-tokens", &order).await
    };
    revoke("CN=somebody,OU=local", "cut").await.ok();
    for (filter, mode) in [("", "cut"), ("", "renewNow"), ("OU=local", "cut")] {
        let before = lab.controller(0).replica.state().revocations().iter().count();
        let order = waits(&revoke(filter, mode).await);
        assert_eq!(lab.controller(0).replica.state().revocations().iter().count(), before);
        let key = second.with_header("idempotency-key", &format!("{filter}{mode}"));
        let first = approve(&key, &order).await.ok();
        assert_eq!(approve(&key, &order).await.ok()["index"], first["index"], "a repetition gets the first answer");
        let state = lab.controller(0).replica.state();
        assert_eq!(state.revocations().iter().count(), before + 1, "and happens once");
        assert!(state.revocations().iter().any(|one| one.reason == "test" && json!(one.index) == first["index"]));
    }
}
