//! Privileges: type × target × scope on every call, and nobody grants what he does not hold.

use serde_json::{Value, json};

use super::Admin;
use crate::harness::Lab;

const CLERK: &str = "a clerk's password";

/// An administrator `clerk` with these privileges, signed in.
async fn clerk(lab: &Lab, root: &Admin, privileges: Value) -> Admin {
    root.create("local-users", json!({"name": "clerk", "password": CLERK})).await;
    let role = root.create("administrative-roles", json!({"name": "clerks", "privileges": privileges})).await;
    let policy = json!({"name": "clerks", "type": "Admin", "expression": "user.username == \"clerk\"", "administrativeRoles": [role]});
    root.create("policies", policy).await;
    Admin::signed_in(lab, "clerk", CLERK).await
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_hide_what_lies_outside() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let eu = root.create("sites", json!({"name": "eu", "tags": ["eu"]})).await;
    let us = root.create("sites", json!({"name": "us", "tags": ["us"]})).await;
    let tags = json!({"all": false, "tags": ["eu"]});
    let privileges = ["View", "Edit", "Delete"].map(|kind| json!({"type": kind, "target": "Site", "scope": tags}));
    let mut privileges = privileges.to_vec();
    privileges.push(json!({"type": "Create", "target": "Site", "scope": tags, "defaultTags": ["eu"]}));
    let clerk = clerk(&lab, &root, privileges.into()).await;
    let seen = clerk.get("/sites").await.ok();
    assert_eq!((seen["data"].as_array().map(Vec::len), &seen["totalCount"]), (Some(1), &json!(1)));
    assert_eq!(clerk.get(&format!("/sites/{us}")).await.status, 404, "what may not be seen is not there");
    assert_eq!(clerk.delete(&format!("/sites/{us}")).await.status, 404);
    assert_eq!(clerk.put(&format!("/sites/{us}"), &json!({"name": "mine"})).await.status, 404);
    clerk.put(&format!("/sites/{eu}"), &json!({"name": "eu", "tags": ["eu"], "leaseSeconds": 30})).await.ok();
    assert_eq!(
        clerk.put(&format!("/sites/{eu}"), &json!({"name": "eu", "tags": ["us"]})).await.status,
        403,
        "not out of the scope"
    );
    assert_eq!(
        clerk.put(&format!("/sites/{eu}"), &json!({"name": "eu", "tags": ["eu", "x"]})).await.status,
        403,
        "no Tag privilege"
    );
    let made = clerk.post("/sites", &json!({"name": "new"})).await.ok();
    assert_eq!(made["tags"], json!(["eu"]), "default tags of the privilege");
    for (method, path) in [
        ("GET", "/policies"),
        ("POST", "/policies"),
        ("GET", "/on-boarded-devices"),
        ("POST", "/on-boarded-devices/revoke-tokens"),
        ("GET", "/blacklist"),
        ("GET", "/global-settings"),
        ("GET", "/otp/seeds"),
        ("GET", "/stats/active-sessions/dn"),
        ("POST", "/conditions/test"),
        ("POST", "/collective/transfer"),
        ("GET", "/collective/status"),
    ] {
        let body = match path {
            "/conditions/test" => r#"{"expression":"true"}"#,
            "/collective/transfer" => r#"{"node":1}"#,
            "/on-boarded-devices/revoke-tokens" => r#"{"distinguishedNameFilter":""}"#,
            _ => "{}",
        };
        let reply = clerk.call(method, path, body).await;
        assert_eq!((reply.status, reply.body["id"].as_str()), (403, Some("forbidden")), "{method} {path}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_want_the_privilege_to_export() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let everything_but = ["View", "Create", "Edit", "Delete"].map(|kind| json!({"type": kind, "target": "All"}));
    let clerk = clerk(&lab, &root, everything_but.to_vec().into()).await;
    let profile = root.get("/client-profiles").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    for form in ["url", "barcode", "email", "page"] {
        assert_eq!(clerk.get(&format!("/client-profiles/{profile}/{form}")).await.status, 403, "{form}");
    }
    assert_eq!(clerk.post(&format!("/client-profiles/{profile}/on-boarding"), &json!({})).await.status, 403);
    assert!(root.get(&format!("/client-profiles/{profile}")).await.ok().get("exported").is_none());
    let site = root.create("sites", json!({"name": "office"})).await;
    let gateway = json!({"name": "gw1", "gateway": {"enabled": true}, "site": site, "clientInterface": {"addresses": ["gw1.example:443"]}});
    let gateway = root.create("appliances", gateway).await;
    assert_eq!(clerk.post(&format!("/appliances/{gateway}/export"), &json!({})).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_grants_what_he_does_not_hold() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let everything_but = ["View", "Create", "Edit", "Tag", "Delete"].map(|kind| json!({"type": kind, "target": "All"}));
    let clerk = clerk(&lab, &root, everything_but.to_vec().into()).await;
    let powerful = root.get("/administrative-roles?query=system").await.ok()["data"][0].clone();
    let founders = root.get("/local-users?query=root").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    let role = |privilege: Value| json!({"name": "r", "privileges": [privilege]});
    assert_eq!(
        clerk
            .post("/administrative-roles", &role(json!({"type": "Revoke", "target": "RegisteredDevice"})))
            .await
            .status,
        403
    );
    clerk.post("/administrative-roles", &role(json!({"type": "View", "target": "Site"}))).await.ok();
    let policy = json!({"name": "p", "type": "Admin", "expression": "true", "administrativeRoles": [powerful["id"]]});
    assert_eq!(clerk.post("/policies", &policy).await.status, 403);
    let existing = root.get("/policies?query=system").await.ok()["data"][0].clone();
    let mut wider = existing.clone();
    wider["expression"] = "true".into();
    let path = format!("/policies/{}", existing["id"].as_str().expect("an id"));
    assert_eq!(clerk.put(&path, &wider).await.status, 403);
    let password = json!({"name": "root", "password": "taken over now"});
    assert_eq!(clerk.put(&format!("/local-users/{founders}"), &password).await.status, 403);
    assert_eq!(clerk.post("/otp/seeds", &json!({"userDistinguishedName": "CN=root,OU=local"})).await.status, 403);
    clerk.post("/local-users", &json!({"name": "plain", "password": "a plain password"})).await.ok();
    clerk.post("/otp/seeds", &json!({"userDistinguishedName": "CN=plain,OU=local"})).await.ok();
    root.sign_in("root", "a long password").await.ok();
}
