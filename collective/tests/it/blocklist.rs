//! Blocked users where the provider tells the name: nothing is registered of them.

use std::sync::Arc;

use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::certificate::with_card;
use crate::harness::Lab;
use crate::servers::authority::Authority;

/// Everything that a sign-in leaves: devices with their cookies and times, and their addresses.
fn registered(state: &Arc<State>) -> Vec<String> {
    let of = |device: &ringwall_protocol::device::DeviceRegistration| {
        format!("{device:?} {:?}", state.addresses_of(device.user_id, device.device_id))
    };
    state.devices().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_user_of_a_certificate_is_refused_before_anything_is_registered() {
    let (lab, authority) = (Lab::start().await, Authority::new("users"));
    let admin = Admin::root(&lab).await;
    let provider = json!({"name": "cards", "type": "Certificate", "caCertificates": [authority.pem()]});
    admin.create("identity-providers", provider).await;
    let at = lab.client_address(0);
    let now = || lab.controller(0).replica.state();
    let card = || authority.user("alice@corp.example", 7, false);

    // Before the user was ever here.
    let blocked = json!({"userDistinguishedName": "CN=alice@corp.example,OU=cards", "reason": "gone"});
    admin.post("/blacklist", &blocked).await.ok();
    let refused = with_card(&lab, card(), "cards").try_sign_in(at, "").await;
    assert_eq!(refused.code(), ErrorCode::SignInRefused);
    assert_eq!((&refused.body["claimsToken"], &refused.body["deviceCookie"]), (&Value::Null, &Value::Null));
    assert_eq!(registered(&now()), Vec::<String>::new());

    // With a device that is registered: nothing of it changes, and a further one is not registered.
    admin.delete("/blacklist/CN%3Dalice@corp.example%2COU%3Dcards").await.ok();
    let mut alice = with_card(&lab, card(), "cards");
    let answer = alice.try_sign_in(at, "").await.ok();
    alice.keep(&answer);
    admin.post("/blacklist", &blocked).await.ok();
    let before = registered(&now());
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(alice.try_sign_in(at, "").await.code(), ErrorCode::SignInRefused);
    let elsewhere = with_card(&lab, card(), "cards");
    assert_eq!(elsewhere.try_sign_in(at, "").await.code(), ErrorCode::SignInRefused);
    assert_eq!(registered(&now()), before);
    // And what the device had before the block is void.
    assert_eq!(alice.try_certificate(at).await.status, 401);
}
