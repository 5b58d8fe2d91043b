//! Sessions of administrators: what they may do is what policies say now, what opened them ends them, and a token that is bound
//! to a key is worth nothing without it.

use ringwall_trust::dpop::ProofKey;
use serde_json::{Value, json};

use super::Admin;
use crate::harness::Lab;

const HELPER: &str = "a helper's password";

/// An administrator `helper` who holds everything, signed in; his policy and his user.
async fn helper(lab: &Lab, root: &Admin) -> (Admin, String, String) {
    let user = root.create("local-users", json!({"name": "helper", "password": HELPER})).await;
    let role = root.get("/administrative-roles?query=system").await.ok()["data"][0]["id"].clone();
    let policy = json!({"name": "helpers", "type": "Admin", "expression": "user.username == \"helper\"", "administrativeRoles": [role]});
    let policy = root.create("policies", policy).await;
    (Admin::signed_in(lab, "helper", HELPER).await, policy, user)
}

fn ended(reply: &super::caller::Reply) -> bool {
    reply.status == 401
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_session_has_no_more_authority_than_the_policies_of_the_moment() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let (session, policy, _) = helper(&lab, &root).await;
    session.get("/sites").await.ok();
    // Another role: seen at the next request, without a new sign-in.
    let reader = json!({"name": "reader", "privileges": [{"type": "View", "target": "Site"}]});
    let reader = root.create("administrative-roles", reader).await;
    let mut less = root.get(&format!("/policies/{policy}")).await.ok();
    less["administrativeRoles"] = json!([reader]);
    root.put(&format!("/policies/{policy}"), &less).await.ok();
    session.get("/sites").await.ok();
    assert_eq!(session.get("/policies").await.status, 403);
    let made = json!({"name": "mine", "password": "created by an old session"});
    assert_eq!(session.post("/local-users", &made).await.status, 403);
    assert_eq!(session.get("/authorization").await.ok()["user"]["privileges"].as_array().map(Vec::len), Some(1));
    // No role at all: the session has ended, and stays so when the policy comes back.
    assert_eq!(root.delete(&format!("/policies/{policy}")).await.status, 204);
    let refused = session.get("/sites").await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("tokenRevoked")), "{refused:?}");
    root.create("policies", json!({"name": "helpers", "type": "Admin", "expression": "user.username == \"helper\"", "administrativeRoles": [reader]})).await;
    assert!(ended(&session.get("/sites").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_seed_or_provider_ends_the_sessions_that_it_opened() {
    let lab = Lab::start().await;
    let root = Admin::break_glass(&lab).await;
    let (first, _, user) = helper(&lab, &root).await;
    let bystander = Admin::root(&lab).await;
    root.put(&format!("/local-users/{user}"), &json!({"name": "helper", "password": "another password"})).await.ok();
    assert!(ended(&first.get("/sites").await), "the password that opened it is no more");
    let second = Admin::signed_in(&lab, "helper", "another password").await;
    root.post("/otp/seeds", &json!({"userDistinguishedName": "CN=helper,OU=local"})).await.ok();
    assert!(ended(&second.get("/sites").await), "a new seed");
    let third = Admin::signed_in(&lab, "helper", "another password").await;
    root.post("/blacklist", &json!({"userDistinguishedName": "CN=helper,OU=local"})).await.ok();
    assert!(ended(&third.get("/sites").await), "the blocklist");
    bystander.get("/sites").await.ok();
    let mut provider = root.get("/identity-providers?query=local").await.ok()["data"][0].clone();
    let path = format!("/identity-providers/{}", provider["id"].as_str().expect("an id"));
    provider["minPasswordLength"] = json!(10);
    root.put(&path, &provider).await.ok();
    bystander.get("/sites").await.ok();
    provider["claimMappings"] = json!([{"attributeName": "email", "claimName": "mail"}]);
    root.put(&path, &provider).await.ok();
    assert!(ended(&bystander.get("/sites").await), "the provider says other things of its users");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_with_what_they_may_do_now_and_ended_by_order() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let (helper, _, _) = helper(&lab, &root).await;
    let bound = signed_in_with_key(&lab, "helper", HELPER).await;
    let all = root.get("/administrator-sessions?orderBy=distinguishedName").await.ok();
    let rows: Vec<Value> = all["data"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 3, "{all}");
    assert_eq!(rows.iter().filter(|row| row["current"] == true).count(), 1);
    assert!(rows.iter().all(|row| row["roles"] == json!(["system administration"]) && row["source"] == "127.0.0.1"));
    assert_eq!(rows.iter().filter(|row| row["keyBound"] == true).count(), 1);
    let of_key = rows.iter().find(|row| row["keyBound"] == true).expect("a bound one")["id"].as_str().expect("an id");
    bound.get("/sites").await.ok();
    assert_eq!(root.delete(&format!("/administrator-sessions/{of_key}")).await.status, 204);
    assert!(ended(&bound.get("/sites").await));
    assert_eq!(root.delete(&format!("/administrator-sessions/{of_key}")).await.status, 404);
    helper.get("/sites").await.ok();
    // Without the privilege one sees and ends one's own.
    let reader = root
        .create("administrative-roles", json!({"name": "r", "privileges": [{"type": "View", "target": "Site"}]}))
        .await;
    root.create("local-users", json!({"name": "clerk", "password": HELPER})).await;
    root.create("policies", json!({"name": "c", "type": "Admin", "expression": "user.username == \"clerk\"", "administrativeRoles": [reader]})).await;
    let clerk = Admin::signed_in(&lab, "clerk", HELPER).await;
    let own = clerk.get("/administrator-sessions").await.ok();
    assert_eq!(own["data"].as_array().map(Vec::len), Some(1), "{own}");
    let foreign = rows.iter().find(|row| row["current"] == true).expect("root's")["id"].as_str().expect("an id");
    assert_eq!(clerk.delete(&format!("/administrator-sessions/{foreign}")).await.status, 403);
    let mine = own["data"][0]["id"].as_str().expect("an id");
    assert_eq!(clerk.delete(&format!("/administrator-sessions/{mine}")).await.status, 204);
    assert!(ended(&clerk.get("/sites").await));
    root.get("/sites").await.ok();
}

async fn signed_in_with_key(lab: &Lab, user: &str, password: &str) -> Admin {
    let mut admin = Admin::with_key(lab, 0);
    let answer = admin.sign_in(user, password).await.ok();
    admin.token = Some(answer["token"].as_str().expect("a token").to_owned());
    admin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_bound_to_a_key_is_worthless_without_it() {
    let lab = Lab::start().await;
    let root = signed_in_with_key(&lab, "root", "a long password").await;
    root.get("/sites?range=0-1").await.ok();
    root.post("/sites", &json!({"name": "office"})).await.ok();
    let refused =
        |reply: super::caller::Reply| (reply.status, reply.body["id"].as_str().unwrap_or_default().to_owned());
    let stolen = Admin { key: None, ..root.clone() };
    assert_eq!(refused(stolen.get("/sites").await), (401, "tokenMismatch".to_owned()), "as a bearer token");
    let other = Some(std::sync::Arc::new(ProofKey::generate().expect("a key")));
    let thief = Admin { key: other, ..root.clone() };
    assert_eq!(refused(thief.get("/sites").await), (401, "tokenMismatch".to_owned()), "with another key");
    // A proof that was seen is good for nothing: not again, not for another request, not without the token.
    let key = root.key.clone().expect("a key");
    let with = |proof: String| {
        Admin { key: None, token: None, ..root.clone() }
            .with_header("authorization", &format!("DPoP {}", root.token.as_deref().expect("a token")))
            .with_header("dpop", &proof)
    };
    let once = with(root.proof(&key, "GET", "/sites"));
    once.get("/sites").await.ok();
    assert_eq!(refused(once.get("/sites").await), (401, "proofInvalid".to_owned()), "used before");
    let elsewhere = with(root.proof(&key, "GET", "/policies"));
    assert_eq!(refused(elsewhere.get("/sites").await), (401, "proofInvalid".to_owned()), "for another path");
    let unlinked = with(Admin { token: None, ..root.clone() }.proof(&key, "GET", "/sites"));
    assert_eq!(refused(unlinked.get("/sites").await), (401, "proofInvalid".to_owned()), "for no token");
    let none = Admin { key: None, token: None, ..root.clone() }
        .with_header("authorization", &format!("DPoP {}", root.token.as_deref().expect("a token")));
    assert_eq!(refused(none.get("/sites").await), (401, "proofInvalid".to_owned()), "without a proof");
    // And a bearer's token gains nothing by a proof.
    let bearer = Admin::root(&lab).await;
    let mixed = Admin { key: root.key.clone(), ..bearer.clone() };
    assert_eq!(refused(mixed.get("/sites").await), (401, "tokenMismatch".to_owned()));
    bearer.get("/sites").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_tokens_are_given_and_accepted_where_the_settings_permit_only() {
    let lab = Lab::start().await;
    let (bearer, bound) = (Admin::root(&lab).await, signed_in_with_key(&lab, "root", "a long password").await);
    let mut settings = bound.get("/global-settings").await.ok();
    settings["bearerSources"] = json!(["192.0.2.0/24"]);
    bound.put("/global-settings", &settings).await.ok();
    let refused = bearer.get("/sites").await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("sourceRefused")));
    let refused = bearer.sign_in("root", "a long password").await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("sourceRefused")));
    bound.get("/sites").await.ok();
    settings["bearerSources"] = json!(["127.0.0.0/8"]);
    bound.put("/global-settings", &settings).await.ok();
    bearer.get("/sites").await.ok();
    settings["bearerIdleMinutes"] = json!(90);
    assert_eq!(bound.put("/global-settings", &settings).await.fields(), ["bearerIdleMinutes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_an_order_away_by_choosing_its_id() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let (helper, _, _) = helper(&lab, &root).await;
    let order =
        json!({"distinguishedNameFilter": "CN=nobody,OU=local", "mode": "cut", "commandId": uuid::Uuid::new_v4()});
    let mut other = order.clone();
    other["distinguishedNameFilter"] = "CN=somebody,OU=local".into();
    helper.post("/on-boarded-devices/revoke-tokens", &order).await.ok();
    assert_eq!(helper.post("/on-boarded-devices/revoke-tokens", &other).await.status, 409, "one's own id is taken");
    root.post("/on-boarded-devices/revoke-tokens", &other).await.ok();
}
