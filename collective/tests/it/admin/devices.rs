//! Devices, blocked users, seeds: with a Client that has really signed in.

use serde_json::json;

use super::Admin;
use crate::client::Client;
use crate::harness::Lab;

fn escaped(dn: &str) -> String {
    dn.replace('=', "%3D").replace(',', "%2C")
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_listed_revoked_and_removed() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let root = Admin::root(&lab).await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    let listed = root.get("/on-boarded-devices?query=alice").await.ok();
    let device = listed["data"][0].clone();
    let dn = format!("CN={},CN=alice,OU=local", alice.device.simple());
    assert_eq!(device["distinguishedName"], dn.as_str());
    assert_eq!(
        (&device["device_type"], &device["hostname"], &device["username"]),
        (&json!("Client"), &json!("test"), &json!("alice"))
    );
    assert_eq!(root.get(&format!("/on-boarded-devices/{}", escaped(&dn))).await.ok(), device);

    let order = json!({"distinguishedNameFilter": "OU=local,CN=alice", "tokenType": "claims", "mode": "cut", "wait": "enforced",
        "commandId": "0190a000-0000-4000-8000-000000000001"});
    let answer = root.post("/on-boarded-devices/revoke-tokens", &order).await.ok();
    assert_eq!(
        (&answer["data"], &answer["kinds"], &answer["enforced"]),
        (&json!([device]), &json!(["Claims"]), &json!([]))
    );
    let again = root.post("/on-boarded-devices/revoke-tokens", &order).await.ok();
    assert_eq!(again["indexes"], answer["indexes"], "a repeated order is the same revocation");
    assert_eq!(alice.renew(lab.client_address(0)).await.status, 401);
    let specific = json!({"distinguishedNameFilter": "", "specificDistinguishedNames": [dn], "delayMinutes": 0});
    assert_eq!(
        root.post("/on-boarded-devices/revoke-tokens", &specific).await.ok()["indexes"].as_array().map(Vec::len),
        Some(1)
    );
    let errors = root.post("/on-boarded-devices/revoke-tokens", &json!({"distinguishedNameFilter": "DC=x"})).await;
    assert_eq!(errors.fields(), ["distinguishedNameFilter"]);

    alice.sign_in(lab.client_address(0)).await;
    assert_eq!(
        root.post(&format!("/on-boarded-devices/reevaluate/{}", escaped("CN=alice,OU=local")), &json!({})).await.ok()["reevaluated"],
        json!([])
    );
    assert_eq!(root.delete(&format!("/on-boarded-devices/{}", escaped(&dn))).await.status, 204);
    assert_eq!(root.get("/on-boarded-devices").await.ok()["data"], json!([]));
    assert_eq!(alice.renew(lab.client_address(0)).await.status, 401);
    assert_eq!(root.delete(&format!("/on-boarded-devices/{}", escaped(&dn))).await.status, 404);
    assert_eq!(root.get(&format!("/session-info/{}", escaped(&dn))).await.status, 404);
    assert_eq!(root.get("/stats/active-sessions/dashboard").await.ok()["totalCount"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_users_stay_out_until_they_are_unblocked() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let root = Admin::root(&lab).await;
    let dn = "CN=alice,OU=local";
    let entry = root.post("/blacklist", &json!({"userDistinguishedName": dn, "reason": "stolen"})).await.ok();
    assert_eq!(
        (&entry["username"], &entry["providerName"], &entry["reason"]),
        (&json!("alice"), &json!("local"), &json!("stolen"))
    );
    assert_eq!(root.get("/blacklist").await.ok()["data"], json!([entry]));
    let alice = Client::new("alice", lab.root);
    assert_eq!(alice.try_sign_in(lab.client_address(0), crate::harness::PASSWORD).await.status, 401);
    assert_eq!(root.delete(&format!("/blacklist/{}", escaped(dn))).await.status, 204);
    assert_eq!(root.delete(&format!("/blacklist/{}", escaped(dn))).await.status, 404);
    alice.try_sign_in(lab.client_address(0), crate::harness::PASSWORD).await.ok();
    assert_eq!(
        root.post("/blacklist", &json!({"userDistinguishedName": "CN=root,OU=local"})).await.status,
        409,
        "not oneself"
    );
    assert_eq!(
        root.post("/blacklist", &json!({"userDistinguishedName": "CN=x,OU=nowhere"})).await.fields(),
        ["userDistinguishedName"]
    );
    assert_eq!(
        root.post("/blacklist", &json!({"userDistinguishedName": "alice"})).await.fields(),
        ["userDistinguishedName"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_shown_once() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let root = Admin::root(&lab).await;
    let made = root.post("/otp/seeds", &json!({"userDistinguishedName": "CN=alice,OU=local"})).await.ok();
    assert!(made["secret"].as_str().is_some_and(|secret| secret.len() == 32));
    assert!(made["otpAuthUrl"].as_str().is_some_and(|url| url.starts_with("otpauth://totp/")));
    let listed = root.get("/otp/seeds").await.ok();
    assert_eq!(
        listed["data"],
        json!([{"userDistinguishedName": "CN=alice,OU=local", "username": "alice", "providerName": "local", "verified": true, "mayEnrolUntil": null}])
    );
    assert_eq!(root.delete("/otp/seeds/CN%3Dalice%2COU%3Dlocal").await.status, 204);
    assert_eq!(root.delete("/otp/seeds/CN%3Dalice%2COU%3Dlocal").await.status, 404);
    assert_eq!(root.post("/otp/seeds", &json!({"userDistinguishedName": "CN=ghost,OU=local"})).await.status, 404);
}
