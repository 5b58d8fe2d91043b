//! Servers as clients judge them: pins of keys and of the root.

use std::sync::Arc;

use ringwall_protocol::id::{ApplianceId, NodeId, Thumbprint};

use super::super::*;
use super::handshake;
use crate::fixtures::{TestCollective, TestController};
use crate::identity::Fingerprint;

fn scene() -> (TestCollective, TestController, Tls) {
    let mut collective = TestCollective::new();
    let controller = collective.controller(NodeId(1));
    (collective, controller, Tls::new())
}

#[tokio::test]
async fn a_client_knows_its_controller_by_the_roots_fingerprint_and_keeps_the_root() {
    let (collective, controller, tls) = scene();
    let before = ControllerTrust { roots: vec![collective.root.fingerprint()], members: None };
    let server = tls.sign_in_server(&controller.presented());
    for trust in [before, collective.controller_trust()] {
        let (_, client) = handshake(&server, &tls.controller_client(trust, None), Alpn::SignIn).await.accepted();
        assert_eq!(client.get_ref().1.peer_certificates().and_then(<[_]>::last), Some(collective.root.certificate()));
    }
}

#[tokio::test]
async fn another_root_than_the_profiles_is_refused() {
    let (_, controller, tls) = scene();
    let trust = ControllerTrust { roots: vec![Fingerprint([7; 32])], members: None };
    let server = tls.sign_in_server(&controller.presented());
    let refused = handshake(&server, &tls.controller_client(trust, None), Alpn::SignIn).await;
    assert_eq!(refused.refused_by_client(), Refused::Root);
}

#[tokio::test]
async fn the_true_root_does_not_help_a_leaf_that_it_did_not_issue() {
    let (collective, _, tls) = scene();
    let mut forger = TestCollective::new();
    let mut forged = forger.controller(NodeId(1)).own;
    forged.chain[2] = collective.root.certificate().clone();
    let trust = ControllerTrust { roots: vec![collective.root.fingerprint()], members: None };
    let server = tls.sign_in_server(&forged.presented());
    let refused = handshake(&server, &tls.controller_client(trust, None), Alpn::SignIn).await;
    assert!(matches!(refused.refused_by_client(), Refused::Chain(_)));
}

#[tokio::test]
async fn a_gateway_or_a_client_is_no_controller_and_a_controller_needs_its_root() {
    let (mut collective, mut controller, tls) = scene();
    let trust = ControllerTrust { roots: vec![collective.root.fingerprint()], members: None };
    let root = collective.root.certificate().clone();
    let mut gateway = collective.gateway().own;
    gateway.chain.push(root.clone());
    let mut client = collective.client("alice").own;
    client.chain.push(root);
    for impostor in [gateway, client] {
        let server = tls.sign_in_server(&impostor.presented());
        let refused = handshake(&server, &tls.controller_client(trust.clone(), None), Alpn::SignIn).await;
        assert_eq!(refused.refused_by_client(), Refused::Role);
    }
    controller.own.chain.pop();
    let server = tls.sign_in_server(&controller.presented());
    let refused = handshake(&server, &tls.controller_client(trust, None), Alpn::SignIn).await;
    assert_eq!(refused.refused_by_client(), Refused::Root);
}

#[tokio::test]
async fn a_gateway_is_known_by_the_pin_of_its_token_only() {
    let (mut collective, controller, tls) = scene();
    let (gateway, other, alice) = (collective.gateway(), collective.gateway(), collective.client("alice").presented());
    let members = CurrentMembers::new(collective.members());
    let server = tls.gateway_server(&gateway.presented(), Arc::<CurrentMembers>::clone(&members));
    let pins = vec![Thumbprint([1; 32]), gateway.own.thumbprint()];
    handshake(&server, &tls.gateway_client(gateway.id, pins, &alice), Alpn::Http).await.accepted();
    for (id, pins, expected) in [
        (gateway.id, vec![other.own.thumbprint()], Refused::Pin),
        (gateway.id, Vec::new(), Refused::Pin),
        (other.id, vec![gateway.own.thumbprint()], Refused::Role),
    ] {
        let refused = handshake(&server, &tls.gateway_client(id, pins, &alice), Alpn::Http).await;
        assert_eq!(refused.refused_by_client(), expected);
    }
    let server = tls.gateway_server(&controller.presented(), members);
    let id = ApplianceId::from_random([3; 16]);
    let refused = tls.gateway_client(id, vec![controller.own.thumbprint()], &alice);
    assert_eq!(handshake(&server, &refused, Alpn::Http).await.refused_by_client(), Refused::Role);
}

#[tokio::test]
async fn a_joining_appliance_knows_its_controller_by_the_pin_of_its_seed() {
    let (_, controller, tls) = scene();
    let server = tls.join_server(&controller.presented());
    handshake(&server, &tls.join_client(vec![controller.own.thumbprint()]), Alpn::Join).await.accepted();
    let refused = handshake(&server, &tls.join_client(vec![Thumbprint([1; 32])]), Alpn::Join).await;
    assert_eq!(refused.refused_by_client(), Refused::Pin);
}
