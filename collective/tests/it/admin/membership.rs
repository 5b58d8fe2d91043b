//! Appliances: exported, joined, led, removed.

use ringwall_collective::Process;
use ringwall_collective::RawConfig;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_trust::secret::write_private;
use serde_json::json;

use super::Admin;
use crate::harness::{Lab, admitted, config, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_joins_with_an_exported_seed_leads_and_is_removed() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let appliance =
        json!({"name": "c2", "controller": {"enabled": true}, "peerInterface": {"addresses": ["127.0.0.1:444"]}});
    let id = root.create("appliances", appliance).await;
    assert_eq!(
        root.post(&format!("/appliances/{id}/export"), &json!({"validityDays": 31})).await.fields(),
        ["validityDays"]
    );
    let void = root.post(&format!("/appliances/{id}/export"), &json!({})).await.ok();
    let seed = root.post(&format!("/appliances/{id}/export"), &json!({"validityDays": 2})).await.ok();
    assert_ne!(void["joinToken"], seed["joinToken"]);
    let write = |name: &str, seed: &serde_json::Value| {
        let file = lab.directory.path().join(name);
        write_private(&file, seed.to_string().as_bytes()).expect("written");
        file
    };
    let config = config(lab.directory.path().join("c2"));
    let raw = RawConfig { data_dir: config.data_dir.clone(), ..RawConfig::default() };
    assert!(
        admitted(&root, "c2", &write("void.seed", &void), &config, &raw).await.is_err(),
        "a newer seed voids the older"
    );
    let joined = admitted(&root, "c2", &write("c2.seed", &seed), &config, &raw).await.expect("joined");
    let second = Process::start(config.clone()).await.expect("started");
    until("the second controller is active", async || {
        let state = lab.controller(0).replica.state();
        state.controller(joined.node).is_some_and(|record| record.state == ApplianceState::Active)
    })
    .await;
    assert_eq!(root.post(&format!("/appliances/{id}/export"), &json!({})).await.status, 409, "it has joined");

    let status = root.get("/collective/status").await.ok();
    assert_eq!((&status["collective"], &status["me"], &status["leader"]), (&json!("test"), &json!(1), &json!(1)));
    let controllers = status["controllers"].as_array().expect("controllers");
    assert_eq!(controllers.iter().map(|one| &one["role"]).collect::<Vec<_>>(), ["voter", "voter"]);
    assert!(controllers.iter().all(|one| one["lag"].is_u64()), "{status}");
    let listed = root.get("/appliances/status?name=c2").await.ok();
    assert_eq!(
        (&listed["data"][0]["status"], &listed["data"][0]["functions"]),
        (&json!("healthy"), &json!(["Controller"]))
    );

    assert_eq!(root.post("/collective/transfer", &json!({"node": 999})).await.fields(), ["node"]);
    root.post("/collective/transfer", &json!({"node": joined.node})).await.ok();
    assert_eq!(root.get("/collective/status").await.ok()["leader"], json!(joined.node));
    root.post("/collective/transfer", &json!({"node": 1})).await.ok();

    let first = status["controllers"][0]["appliance"].as_str().expect("an id").to_owned();
    assert_eq!(root.delete(&format!("/appliances/{first}")).await.status, 409, "not itself");
    assert_eq!(root.delete(&format!("/appliances/{id}")).await.status, 204);
    until("the second controller is out of the group", async || {
        let group = lab.controller(0).replica.status();
        !group.has_member(joined.node)
    })
    .await;
    assert_eq!(root.get(&format!("/appliances/{id}")).await.status, 404);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_and_gateways_tell_how_they_stand() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let site = root.create("sites", json!({"name": "office"})).await;
    let gateway = json!({"name": "gw1", "gateway": {"enabled": true}, "site": site, "clientInterface": {"addresses": ["gw1.example:443"]}});
    let gateway = root.create("appliances", gateway).await;
    let seed = root.post(&format!("/appliances/{gateway}/export"), &json!({})).await.ok();
    assert_eq!((&seed["role"], &seed["siteId"], &seed["version"]), (&json!("gateway"), &json!(site), &json!(1)));
    assert_eq!(root.post(&format!("/appliances/{gateway}/suspend"), &json!({})).await.status, 409, "it has not joined");
    let sites = root.get("/sites/status?name=office").await.ok();
    assert_eq!(sites["data"][0]["status"], "noActiveGateways");
    assert_eq!(root.get("/appliances/status?name=gw1").await.ok()["data"][0]["status"], "n/a");
    assert_eq!(root.delete(&format!("/sites/{site}")).await.status, 409, "its gateway refers to it");
    assert_eq!(root.delete(&format!("/appliances/{gateway}")).await.status, 204);
    assert_eq!(root.delete(&format!("/sites/{site}")).await.status, 204);
}
