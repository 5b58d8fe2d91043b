//! Who makes a Controller a member: a seed lets it ask, and only an administrator with the privilege for it admits its key.

use std::time::Duration;

use ringwall_collective::RawConfig;
use ringwall_protocol::wire::join::{JoinReply, JoinRole, Seed};
use ringwall_trust::identity::{Fingerprint, KeyKind, PrivateKey};
use ringwall_trust::secret::write_private;
use serde_json::{Value, json};

use super::Admin;
use crate::gateway::{ask, join_request};
use crate::harness::{Lab, admitted, config, until};

/// An administrator who may do everything with appliances, and nothing else.
async fn appliance_clerk(lab: &Lab, root: &Admin) -> Admin {
    root.create("local-users", json!({"name": "clerk", "password": "a clerk's password"})).await;
    let everything = json!({"type": "All", "target": "Appliance"});
    let role = json!({"name": "appliances", "privileges": [everything]});
    let role = root.create("administrative-roles", role).await;
    let policy = json!({"name": "clerks", "type": "Admin", "expression": "user.username == \"clerk\"", "administrativeRoles": [role]});
    root.create("policies", policy).await;
    Admin::signed_in(lab, "clerk", "a clerk's password").await
}

pub(super) async fn controller_seed(clerk: &Admin) -> (String, Seed) {
    let appliance =
        json!({"name": "c2", "controller": {"enabled": true}, "peerInterface": {"addresses": ["192.0.2.9:444"]}});
    let id = clerk.create("appliances", appliance).await;
    let seed = clerk.post(&format!("/appliances/{id}/export"), &json!({})).await.ok();
    (id, serde_json::from_value(seed).expect("a seed"))
}

/// A stranger's request to become a Controller.
pub(super) fn request(seed: &Seed, key: &PrivateKey) -> ringwall_protocol::wire::join::JoinRequest {
    let csr = |key: &PrivateKey| data_encoding::BASE64URL_NOPAD.encode(&key.request().expect("signed"));
    let issuer = PrivateKey::generate(KeyKind::P256).expect("a key");
    let controller = ringwall_protocol::wire::join::ControllerJoin {
        peer_addresses: vec!["192.0.2.9:444".to_owned()],
        client_addresses: Vec::new(),
        admin_addresses: Vec::new(),
        client_issuer_csr: csr(&issuer),
        appliance_issuer_csr: csr(&issuer),
        token_key: data_encoding::BASE64URL_NOPAD.encode(&[1; 32]),
        wrap_key: data_encoding::BASE64URL_NOPAD.encode(&[9; 32]),
    };
    ringwall_protocol::wire::join::JoinRequest {
        role: JoinRole::Controller,
        controller: Some(controller),
        ..join_request(seed, key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_create_and_export_appliances_gets_no_key_of_the_collective() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let clerk = appliance_clerk(&lab, &root).await;
    let (id, seed) = controller_seed(&clerk).await;
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let request = request(&seed, &key);
    let members = || lab.controller(0).replica.state().controllers().count();
    for _ in 0..2 {
        let reply = ask(&seed, &request).await;
        assert_eq!(reply, JoinReply::Waiting {}, "no certificate, no intermediates, no key-encryption key");
    }
    assert_eq!(members(), 1);
    let group = lab.controller(0).replica.status();
    assert_eq!((group.voters.len(), group.learners.len()), (1, 0));
    // What the seed's owner holds does not admit; nor do all other privileges together.
    let fingerprint = json!({"fingerprint": Fingerprint(key.thumbprint().0).to_string()});
    let admit = format!("/collective/waiting/{id}/admit");
    let refused = clerk.post(&admit, &fingerprint).await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (403, Some("forbidden")), "{refused:?}");
    assert_eq!(clerk.get("/collective/waiting").await.status, 403);
    // Somebody else with the same seed is refused: it was spent.
    let other = PrivateKey::generate(KeyKind::P256).expect("a key");
    let JoinReply::Refused(_) = ask(&seed, &self::request(&seed, &other)).await else { panic!("spent twice") };
    // The fingerprint that is not the asking key's admits nobody.
    let wrong = json!({"fingerprint": Fingerprint(other.thumbprint().0).to_string()});
    assert_eq!(root.post(&admit, &wrong).await.fields(), ["fingerprint"]);
    let shown: Value = root.get("/collective/waiting").await.ok()["data"][0].clone();
    assert_eq!((&shown["name"], &shown["fingerprint"]), (&json!("c2"), &fingerprint["fingerprint"]));
    assert_eq!(root.get("/collective/status").await.ok()["waiting"][0]["name"], "c2");
    assert_eq!(members(), 1);
    // Turned away, it is nobody, and its seed is void.
    assert_eq!(root.delete(&format!("/collective/waiting/{id}")).await.status, 204);
    let JoinReply::Refused(refusal) = ask(&seed, &request).await else { panic!("admitted") };
    assert!(!refusal.retryable, "{refusal:?}");
    assert_eq!(root.post(&admit, &fingerprint).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admitted_controller_gets_the_keys_once_and_its_seed_brings_nothing_afterwards() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let (id, seed) = controller_seed(&root).await;
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let request = request(&seed, &key);
    assert_eq!(ask(&seed, &request).await, JoinReply::Waiting {});
    let fingerprint = json!({"fingerprint": Fingerprint(key.thumbprint().0).to_string().to_uppercase()});
    let node = root.post(&format!("/collective/waiting/{id}/admit"), &fingerprint).await.ok()["node"].clone();
    let JoinReply::Admitted(answer) = ask(&seed, &request).await else { panic!("refused") };
    let admission = answer.controller.expect("a controller's answer");
    assert_eq!(json!(admission.node), node);
    let kept = std::fs::read_to_string(lab.nodes[0].config.data_dir.join("kek.key")).expect("key-encryption keys");
    let given = admission.keks.iter().map(|one| format!("{} {}\n", one.generation, one.key)).collect::<String>();
    assert_eq!(given, kept);
    assert!(admission.client_issuer.is_some(), "the founding node holds the root");
    assert_eq!(root.post(&format!("/collective/waiting/{id}/admit"), &fingerprint).await.status, 409, "once");
    assert_eq!(root.get("/collective/waiting").await.ok()["data"], json!([]));
    // Removed: the same request brings nothing.
    assert_eq!(root.delete(&format!("/appliances/{id}")).await.status, 204);
    let JoinReply::Refused(_) = ask(&seed, &request).await else { panic!("admitted again") };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joining_controller_shows_its_key_and_waits() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let (_, seed) = controller_seed(&root).await;
    let file = lab.directory.path().join("c2.seed");
    write_private(&file, &serde_json::to_vec(&seed).expect("JSON")).expect("written");
    let config = config(lab.directory.path().join("c2"));
    let raw = RawConfig { data_dir: config.data_dir.clone(), ..RawConfig::default() };
    // It is turned away before anybody admits it: nothing of the Collective reaches its disk.
    let (shown, fingerprint) = tokio::sync::oneshot::channel();
    let joining = ringwall_collective::join(&file, &config, &raw, |name, key| drop(shown.send((name.to_owned(), key))));
    let turning_away = async {
        let (name, _) = fingerprint.await.expect("shown");
        assert_eq!(name, "c2");
        until("it asks", async || {
            !root.get("/collective/waiting").await.ok()["data"].as_array().expect("a list").is_empty()
        })
        .await;
        let id = root.get("/collective/waiting").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(root.delete(&format!("/collective/waiting/{id}")).await.status, 204);
    };
    let (joined, ()) = tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(joining, turning_away) })
        .await
        .expect("it ends when it is turned away");
    assert!(joined.is_err());
    assert!(!config.data_dir.join("kek.key").exists());
    // A new seed, admitted this time.
    std::fs::remove_dir_all(&config.data_dir).expect("removed");
    let id = root.get("/appliances?query=c2").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    let seed = root.post(&format!("/appliances/{id}/export"), &json!({})).await.ok();
    std::fs::remove_file(&file).expect("removed");
    write_private(&file, seed.to_string().as_bytes()).expect("written");
    let joined = admitted(&root, "c2", &file, &config, &raw).await.expect("joined");
    assert!(joined.signed && !file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_placed_only_in_sites_that_its_maker_may_edit() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let eu = root.create("sites", json!({"name": "eu", "tags": ["eu"]})).await;
    let us = root.create("sites", json!({"name": "us", "tags": ["us"]})).await;
    root.create("local-users", json!({"name": "clerk", "password": "a clerk's password"})).await;
    let tagged = json!({"all": false, "tags": ["eu"]});
    let privileges = json!([{"type": "All", "target": "Appliance"}, {"type": "All", "target": "Entitlement"},
        {"type": "Edit", "target": "Site", "scope": tagged}, {"type": "View", "target": "Site", "scope": tagged}]);
    let role = root.create("administrative-roles", json!({"name": "eu", "privileges": privileges})).await;
    root.create("policies", json!({"name": "eu", "type": "Admin", "expression": "user.username == \"clerk\"", "administrativeRoles": [role]})).await;
    let clerk = Admin::signed_in(&lab, "clerk", "a clerk's password").await;
    let gateway = |name: &str, site: &str| json!({"name": name, "gateway": {"enabled": true}, "site": site, "clientInterface": {"addresses": ["gw.example:443"]}});
    let mine = clerk.post("/appliances", &gateway("gw1", &eu)).await.ok();
    assert_eq!(clerk.post("/appliances", &gateway("gw2", &us)).await.status, 403);
    let path = format!("/appliances/{}", mine["id"].as_str().expect("an id"));
    assert_eq!(clerk.put(&path, &gateway("gw1", &us)).await.status, 403, "nor moved there");
    let entitlement = |site: &str| json!({"name": format!("web at {site}"), "site": site, "actions": [{"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"], "ports": ["80"]}]});
    clerk.post("/entitlements", &entitlement(&eu)).await.ok();
    assert_eq!(clerk.post("/entitlements", &entitlement(&us)).await.status, 403);
}
