//! What stands as an address in an appliance is never a tunnel's.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::merged;
use crate::admin::Admin;
use crate::client::Client;
use crate::harness::{Lab, PASSWORD};

/// Devices that sign in: more than the pool has addresses.
const DEVICES: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_an_appliance_is_given_to_no_tunnel() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let root = Admin::root(&lab).await;
    let pool = json!({"name": "few", "ranges": [{"first": "100.66.0.8", "last": "100.66.0.15"}]});
    let pool = root.create("ip-pools", pool).await;
    let appliance = json!({"name": "c2", "controller": {"enabled": true}, "peerInterface": {"addresses": ["100.66.0.12:444"]},
        "clientInterface": {"addresses": ["100.66.0.13:443"]}});
    root.create("appliances", appliance).await;
    let local = root.get("/identity-providers?query=local").await.ok()["data"][0].clone();
    let path = format!("/identity-providers/{}", local["id"].as_str().expect("an id"));
    root.put(&path, &merged(&local, &json!({"ipPoolV4": pool}))).await.ok();
    let mut given = BTreeSet::new();
    for _ in 0..DEVICES {
        let mut alice = Client::new("alice", lab.root);
        let answer = alice.try_sign_in(lab.client_address(0), PASSWORD).await;
        if answer.status != 200 || answer.body == Value::Null {
            break;
        }
        alice.keep(&answer.body);
        given.extend(alice.claims_content().tun_ipv4);
    }
    let of = |last: u8| given.contains(&Ipv4Addr::new(100, 66, 0, last));
    assert!(of(11) && of(14), "the pool is used up: {given:?}");
    assert!(!of(12) && !of(13), "an appliance's address was given to a tunnel: {given:?}");
}
