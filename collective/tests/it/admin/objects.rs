//! Every kind of objects: created, read, replaced, deleted; what is wrong is said field by field.

use serde_json::{Value, json};

use super::Admin;
use crate::harness::Lab;

/// One valid object of every kind, and a change to it. `REF` stands for ids made before, by collection.
pub(super) fn samples(refer: impl Fn(&str) -> Value) -> Vec<(&'static str, Value, Value)> {
    let action = json!({"subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.10"], "ports": ["80"]});
    vec![
        ("ip-pools", json!({"name": "pool", "ranges": [{"cidr": "100.64.0.0/16"}]}), json!({"leaseTimeDays": 60})),
        ("mfa-providers", json!({"name": "codes", "type": "DefaultTimeBased"}), json!({"notes": "n"})),
        ("sites", json!({"name": "office", "networkSubnets": ["10.20.0.0/24"]}), json!({"leaseSeconds": 30})),
        (
            "appliances",
            json!({"name": "gw1", "gateway": {"enabled": true}, "site": refer("sites"),
            "clientInterface": {"addresses": ["gw1.example:443"]}}),
            json!({"hostname": "gw1.example"}),
        ),
        (
            "local-users",
            json!({"name": "alice", "password": "a wall with 1 door"}),
            json!({"email": "alice@ringwall.example"}),
        ),
        (
            "conditions",
            json!({"name": "fresh code", "expression": "hasMfa(\"payroll\", 30)", "remedyMethods": [{"type": "OtpAuthentication",
            "message": "A code, please.", "claimSuffix": "payroll", "providerId": refer("mfa-providers")}]}),
            json!({"repeatSchedules": ["15m"]}),
        ),
        (
            "criteria-scripts",
            json!({"name": "researchers", "expression": "user.labels.team == \"research\""}),
            json!({"notes": "n"}),
        ),
        (
            "administrative-roles",
            json!({"name": "viewer", "privileges": [{"type": "View", "target": "All"}]}),
            json!({"notes": "n"}),
        ),
        (
            "entitlements",
            json!({"name": "web", "site": refer("sites"), "conditions": [refer("conditions")], "actions": [action]}),
            json!({"disabled": true}),
        ),
        (
            "policies",
            json!({"name": "research", "type": "Access", "expression": "researchers()", "entitlements": [refer("entitlements")]}),
            json!({"disabled": true}),
        ),
        (
            "client-profiles",
            json!({"name": "demo", "identityProviderName": "local"}),
            json!({"hostname": "sdp.example:443"}),
        ),
    ]
}

fn overlay(object: &Value, change: &Value) -> Value {
    let mut merged = object.clone();
    let fields = merged.as_object_mut().expect("an object");
    fields.extend(change.as_object().expect("an object").clone());
    merged
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_every_kind_live_their_whole_life() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let mut made: Vec<(&str, String)> = Vec::new();
    for at in 0..samples(|_| Value::Null).len() {
        let known = made.clone();
        let refer = |collection: &str| {
            known.iter().find(|(one, _)| *one == collection).map_or(Value::Null, |(_, id)| id.as_str().into())
        };
        let (collection, body, change) = samples(refer).swap_remove(at);
        let created = root.post(&format!("/{collection}"), &body).await;
        let version = created.header("etag").expect("a version").to_owned();
        let created = created.ok();
        assert!(created.get("password").is_none(), "passwords are never read back");
        let id = created["id"].as_str().expect("an id").to_owned();
        let path = format!("/{collection}/{id}");
        assert_eq!(root.get(&path).await.ok(), created, "{collection}");
        let twice = root.post(&format!("/{collection}"), &body).await;
        assert_eq!(twice.status, 409, "{collection}: {twice:?}");

        let unchanged = root.put(&path, &body).await;
        assert_eq!(unchanged.header("etag"), Some(version.as_str()), "{collection}: writing the same changes nothing");
        let mut wanted = overlay(&created, &change);
        for read_only in ["created", "updated"] {
            wanted.as_object_mut().expect("an object").remove(read_only);
        }
        let replaced = root.put(&path, &wanted).await;
        assert_ne!(replaced.header("etag"), Some(version.as_str()));
        let replaced = replaced.ok();
        for (field, value) in change.as_object().expect("an object") {
            assert_eq!(&replaced[field], value, "{collection}.{field}");
        }
        let stale = root.with_header("if-match", &version).put(&path, &body).await;
        assert_eq!((stale.status, stale.body["id"].as_str()), (409, Some("conflict")), "{collection}");
        made.push((collection, id));
    }
    for (collection, id) in made
        .iter()
        .filter(|(collection, _)| ["sites", "conditions", "entitlements", "mfa-providers"].contains(collection))
    {
        let reply = root.delete(&format!("/{collection}/{id}")).await;
        assert_eq!(reply.status, 409, "{collection} is referred to: {reply:?}");
        assert!(reply.body["message"].as_str().expect("a text").contains("still in use by"), "{reply:?}");
    }
    let reply = root.delete(&format!("/criteria-scripts/{}", made[6].1)).await;
    assert!(reply.status == 409 && reply.body["message"].as_str().expect("a text").contains("research"), "{reply:?}");
    for (collection, id) in made.iter().rev() {
        assert_eq!(root.delete(&format!("/{collection}/{id}")).await.status, 204, "{collection}");
        assert_eq!(root.get(&format!("/{collection}/{id}")).await.status, 404, "{collection}");
        assert_eq!(root.delete(&format!("/{collection}/{id}")).await.status, 404, "{collection}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_cannot_be_enforced_is_refused_by_the_name_of_its_field() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let site = root.create("sites", json!({"name": "office"})).await;
    let web = json!({"name": "web", "site": site, "actions": [{"subtype": "http_up", "action": "allow", "hosts": ["10.0.0.1"]}]});
    let reply = root.post("/entitlements", &web).await;
    assert_eq!(reply.fields(), ["actions[0].subtype"]);
    assert!(reply.body["errors"][0]["message"].as_str().expect("a text").contains("http_up"));
    assert_eq!(root.post("/entitlements", &json!({"name": "web", "site": site})).await.fields(), ["actions"]);
    assert_eq!(
        root.post("/sites", &json!({"name": "s", "networkSubnets": ["nonsense"]})).await.fields(),
        ["networkSubnets[0]"]
    );
    assert_eq!(root.post("/sites", &json!({"name": "s", "unheardOf": {"on": true}})).await.fields(), ["unheardOf"]);
    assert_eq!(root.post("/sites", &json!({"name": "", "leaseSeconds": 1})).await.fields(), ["name", "leaseSeconds"]);
    assert_eq!(root.post("/local-users", &json!({"name": "u"})).await.fields(), ["password"]);
    assert_eq!(root.post("/local-users", &json!({"name": "u", "password": "short"})).await.fields(), ["password"]);
    let other = json!({"id": "0190a000-0000-7000-8000-000000000001", "name": "office"});
    assert_eq!(root.put(&format!("/sites/{site}"), &other).await.fields(), ["id"]);
    assert_eq!(root.put("/sites/0190a000-0000-7000-8000-000000000001", &json!({"name": "x"})).await.status, 404);
    assert_eq!(root.get("/sites/no-id").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_may_choose_ids_and_repeat_orders() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let id = "0190a000-0000-7000-8000-0000000000aa";
    let made = root.post("/sites", &json!({"id": id, "name": "chosen"})).await.ok();
    assert_eq!(made["id"], id);
    assert_eq!(root.post("/sites", &json!({"id": id, "name": "other"})).await.status, 409);
    let keyed = root.with_header("idempotency-key", "order 66");
    let first = keyed.post("/sites", &json!({"name": "once"})).await.ok();
    let again = keyed.post("/sites", &json!({"name": "once"})).await.ok();
    assert_eq!(first, again);
    assert_eq!(keyed.post("/sites", &json!({"name": "twice"})).await.status, 409, "another order under the same key");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_kept_changed_and_recognised() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let user = json!({"name": "alice", "password": "a wall with 1 door"});
    let id = root.create("local-users", user.clone()).await;
    let path = format!("/local-users/{id}");
    let before = root.get(&path).await.ok();
    assert_eq!(before["passwordSet"], true);
    assert_eq!(root.put(&path, &user).await.ok()["updated"], before["updated"], "the same password is no change");
    let after = root.put(&path, &json!({"name": "alice", "password": "two doors and a wall"})).await.ok();
    assert_ne!(after["updated"], before["updated"]);
    root.put(&path, &json!({"name": "alice", "lastName": "Archer"})).await.ok();
    let role = root.get("/administrative-roles").await.ok()["data"][0]["id"].clone();
    let policy = json!({"name": "alice", "type": "Admin", "expression": "user.username == \"alice\"", "administrativeRoles": [role]});
    root.create("policies", policy).await;
    let stranger = Admin::stranger(&lab, 0);
    assert_eq!(stranger.sign_in("alice", "a wall with 1 door").await.status, 401);
    stranger.sign_in("alice", "two doors and a wall").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_links_and_questions_answer() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let mut settings = root.get("/global-settings").await.ok();
    settings["messageOfTheDay"] = "mind the wall".into();
    assert_eq!(root.put("/global-settings", &settings).await.ok(), settings);
    assert_eq!(root.sign_in("root", "a long password").await.ok()["messageOfTheDay"], "mind the wall");
    settings["claimsTokenExpiration"] = 0.into();
    assert_eq!(root.put("/global-settings", &settings).await.fields(), ["claimsTokenExpiration"]);
    assert_eq!(root.delete("/global-settings").await.status, 204);
    let reset = root.get("/global-settings").await.ok();
    assert_eq!((&reset["messageOfTheDay"], &reset["profileHostname"]), (&json!(""), &settings["profileHostname"]));

    let profile = root.get("/client-profiles").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    let url = root.get(&format!("/client-profiles/{profile}/url")).await.ok();
    assert!(url["url"].as_str().expect("a link").starts_with("ringwall://"));
    assert!(root.get(&format!("/client-profiles/{profile}/barcode")).await.ok()["barcode"].is_string());

    let site = root.create("sites", json!({"name": "office"})).await;
    let closed = root
        .create("conditions", json!({"name": "from the office", "expression": "isClientInNetwork(\"10.0.0.0/8\")"}))
        .await;
    let action = |port: &str| json!([{"subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.10", "dns://web.corp.example"], "ports": [port]}]);
    let open = root.create("entitlements", json!({"name": "web", "site": site, "actions": action("80")})).await;
    let shut = root
        .create(
            "entitlements",
            json!({"name": "payroll", "site": site, "actions": action("81"), "conditions": [closed]}),
        )
        .await;
    root.create(
        "policies",
        json!({"name": "everybody", "type": "Access", "expression": "true", "entitlements": [open, shut]}),
    )
    .await;
    let ask = async |destination: &str| {
        root.post("/explain", &json!({"user": "root", "destination": destination})).await.ok()
    };
    let yes = ask("10.20.0.10:80").await;
    assert_eq!((&yes["entitlements"][0]["name"], &yes["entitlements"][0]["open"]), (&json!("web"), &json!(true)));
    assert_eq!(yes["entitlements"][0]["rule"], "allow tcp_up 10.20.0.10, dns://web.corp.example ports 80");
    assert_eq!(yes["entitlements"][0]["givenBy"], json!(["everybody"]));
    assert!(yes["because"].as_str().expect("a text").contains("no Gateway"), "{yes}");
    assert_eq!(ask("web.corp.example:80").await["entitlements"][0]["open"], true);
    let no = ask("10.20.0.10:81").await;
    assert_eq!((&no["allowed"], &no["entitlements"][0]["conditions"][0]["holds"]), (&json!(false), &json!(false)));
    assert!(no["because"].as_str().expect("a text").contains("from the office"));
    assert_eq!(ask("10.20.0.10:82").await["entitlements"], json!([]));
    assert_eq!(root.post("/explain", &json!({"user": "ghost", "destination": "10.0.0.1:1"})).await.status, 404);
    assert_eq!(root.post("/explain", &json!({"user": "root", "destination": "x"})).await.fields(), ["destination"]);

    let tried = json!({"expression": "user.team == \"a\" && device.ok", "userClaims": {"team": "a"}, "deviceClaims": {"ok": true}});
    let tried = root.post("/conditions/test", &tried).await.ok();
    assert_eq!(tried["result"], true);
    assert!(tried["read"].as_array().expect("claims").contains(&json!("user.team")));
    assert_eq!(root.post("/conditions/test", &json!({"expression": "user."})).await.fields(), ["expression"]);
    let names = root.get("/claims/names").await.ok();
    assert!(names["user"].as_array().expect("names").iter().any(|name| name["claimName"] == "username"));
}
