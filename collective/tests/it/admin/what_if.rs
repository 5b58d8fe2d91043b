//! Questions about changes that nobody has made: simulation and linter over the wire.

use serde_json::{Value, json};

use super::Admin;
use crate::client::Client;
use crate::harness::Lab;

/// A Site, two entitlements and a policy that gives the first to everybody; ids by name.
async fn plan(root: &Admin) -> (String, String, String) {
    let site = root.create("sites", json!({"name": "office", "networkSubnets": ["10.20.0.0/16"]})).await;
    let action = |host: &str| json!([{"subtype": "tcp_up", "action": "allow", "hosts": [host], "ports": ["443"]}]);
    let web = json!({"name": "web", "site": site, "actions": action("10.20.0.10")});
    let web = root.create("entitlements", web).await;
    let payroll = json!({"name": "payroll", "site": site, "actions": action("10.20.0.11")});
    let payroll = root.create("entitlements", payroll).await;
    let policy = json!({"name": "everybody", "type": "Access", "expression": "true", "entitlements": [web]});
    let policy = root.create("policies", policy).await;
    (web, payroll, policy)
}

async fn signed_in(lab: &Lab, name: &str) {
    lab.user(name).await;
    Client::new(name, lab.root).sign_in(lab.client_address(0)).await;
}

fn shifts<'a>(simulation: &'a Value, user: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    let people = simulation["people"].as_array().expect("people").iter();
    let of_user = |person: &&Value| person["distinguishedName"].as_str().is_some_and(|dn| dn.contains(user));
    let shifts = people.filter(of_user).flat_map(|person| person["shifts"].as_array().expect("shifts"));
    shifts
        .map(|shift| {
            let text = |field: &str| shift[field].as_str().expect("a text");
            (text("effect"), text("name"), text("because"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_tells_who_gains_and_who_loses_and_changes_nothing() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let (web, payroll, policy) = plan(&root).await;
    signed_in(&lab, "alice").await;
    signed_in(&lab, "bob").await;
    let before = lab.controller(0).replica.current().await.expect("a quorum").digest();
    let others = json!({"kind": "Policy", "object": {"id": policy, "name": "everybody", "type": "Access",
        "expression": "user.username != \"bob\"", "entitlements": [web, payroll]}});
    let simulation = root.post("/simulate", &json!({"objects": [others]})).await.ok();
    assert_eq!(shifts(&simulation, "alice"), [("gained", "payroll", "given by the policy \"everybody\"")]);
    assert_eq!(shifts(&simulation, "bob"), [("lost", "web", "the policy \"everybody\" no longer matches")]);
    assert_eq!(simulation["affected"], 2);
    assert_eq!(simulation["changes"][0]["what"], "changed");
    assert_eq!(simulation["notices"][0]["mode"], "renewNow");
    let stop = json!({"kind": "Policy", "object": {"name": "nobody", "type": "Stop", "expression": "true"}});
    let simulation = root.post("/simulate", &json!({"objects": [stop]})).await.ok();
    assert_eq!(shifts(&simulation, "alice"), [("lost", "web", "the Stop policy \"nobody\" matches")]);
    assert!(simulation["warnings"].as_array().expect("warnings").iter().any(|one| one["rule"] == "constant-criteria"));
    let deletion = json!({"deletions": [{"kind": "Policy", "id": policy}]});
    let simulation = root.post("/simulate", &deletion).await.ok();
    assert_eq!(shifts(&simulation, "bob"), [("lost", "web", "the policy \"everybody\" is gone or disabled")]);
    let users = root.get("/local-users").await.ok();
    let bob = users["data"].as_array().expect("users").iter().find(|user| user["name"] == "bob").expect("bob");
    let disabled = json!({"kind": "LocalUser", "object": {"id": bob["id"], "name": "bob", "disabled": true}});
    let simulation = root.post("/simulate", &json!({"objects": [disabled]})).await.ok();
    assert_eq!(shifts(&simulation, "bob"), [("lost", "web", "the user is disabled or gone")]);
    assert_eq!(lab.controller(0).replica.current().await.expect("a quorum").digest(), before, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_asks_for_the_privileges_of_the_change_itself() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let (web, ..) = plan(&root).await;
    let role = json!({"name": "viewers", "privileges": [{"type": "View", "target": "All"}]});
    let role = root.create("administrative-roles", role).await;
    root.create("local-users", json!({"name": "vera", "password": "a wall with 1 door"})).await;
    let policy = json!({"name": "vera", "type": "Admin", "expression": "user.username == \"vera\"", "administrativeRoles": [role]});
    root.create("policies", policy).await;
    let vera = Admin::signed_in(&lab, "vera", "a wall with 1 door").await;
    let change = json!({"kind": "Policy", "object": {"name": "x", "type": "Access", "expression": "true", "entitlements": [web]}});
    assert_eq!(vera.post("/simulate", &json!({"objects": [change]})).await.status, 403);
    assert_eq!(vera.post("/lint", &json!({"objects": [change]})).await.status, 403);
    assert!(vera.get("/lint").await.ok()["findings"].is_array());
    let wrong =
        json!({"objects": [{"kind": "Policy", "object": {"name": "x", "type": "Access", "expression": "user."}}]});
    assert_eq!(root.post("/simulate", &wrong).await.fields(), ["objects[0].expression"]);
    let unknown = json!({"objects": [{"kind": "Policy", "object": {"name": "x", "expression": "true", "whom": "me"}}]});
    assert_eq!(root.post("/simulate", &unknown).await.fields(), ["objects[0].whom"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_linter_judges_what_is_there_and_what_would_be() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let (_, payroll, _) = plan(&root).await;
    let has = |answer: &Value, rule: &str, name: &str| {
        let findings = answer["findings"].as_array().expect("findings").iter();
        findings.clone().any(|finding| finding["rule"] == rule && finding["name"] == name)
    };
    let now = root.get("/lint").await.ok();
    assert!(has(&now, "unused-entitlement", "payroll") && has(&now, "site-without-gateway", "web"), "{now}");
    let given = json!({"kind": "Policy", "object": {"name": "some", "type": "Access",
        "expression": "user.username == \"alice\"", "entitlements": [payroll]}});
    let then = root.post("/lint", &json!({"objects": [given]})).await.ok();
    assert!(!has(&then, "unused-entitlement", "payroll"), "{then}");
}
