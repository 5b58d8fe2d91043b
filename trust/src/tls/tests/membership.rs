//! Client certificates and peers: current membership decides.

use std::sync::Arc;

use ringwall_protocol::id::{ApplianceId, NodeId};
use rustls_pki_types::CertificateDer;

use super::super::*;
use super::handshake;
use crate::fixtures::{TestClient, TestCollective, TestController, TestGateway, TestNode, proved};
use crate::identity::{KeyKind, LeafIdentity, PrivateKey};
use crate::secret::SystemRandom;

struct Scene {
    collective: TestCollective,
    one: TestController,
    two: TestController,
    gateway: TestGateway,
    members: Arc<CurrentMembers>,
    tls: Tls,
}

fn scene() -> Scene {
    let mut collective = TestCollective::new();
    let (one, two) = (collective.controller(NodeId(1)), collective.controller(NodeId(2)));
    let gateway = collective.gateway();
    let members = CurrentMembers::new(collective.members());
    Scene { collective, one, two, gateway, members, tls: Tls::new() }
}

impl Scene {
    fn membership(&self) -> Arc<dyn Membership> {
        Arc::<CurrentMembers>::clone(&self.members)
    }

    fn gateway_server(&self) -> Arc<rustls::ServerConfig> {
        self.tls.gateway_server(&self.gateway.presented(), self.membership())
    }

    fn gateway_client(&self, own: &Arc<Presented>) -> Arc<rustls::ClientConfig> {
        self.tls.gateway_client(self.gateway.id, vec![self.gateway.own.thumbprint()], own)
    }

    async fn at_gateway(&self, own: &Arc<Presented>) -> super::Outcome {
        handshake(&self.gateway_server(), &self.gateway_client(own), Alpn::Http).await
    }

    /// `own` dials the peer port of Controller 1.
    async fn at_peer_port(&self, own: &Arc<Presented>, roles: PeerRoles, protocol: Alpn) -> super::Outcome {
        let server = self.tls.peer_server(&self.one.presented(), self.membership(), roles, protocol);
        let client = self.tls.peer_client(self.membership(), ExpectedController::Any, own);
        handshake(&server, &client, protocol).await
    }

    fn remove_two(&mut self) {
        self.collective.remove_controller(NodeId(2));
        self.members.replace(self.collective.members());
    }
}

fn node(leaf: CertificateDer<'static>, issuer: &CertificateDer<'static>, key: PrivateKey) -> TestNode {
    TestNode { chain: vec![leaf, issuer.clone()], key }
}

#[tokio::test]
async fn members_clients_open_sessions_and_tunnels_and_are_known_by_their_leaf() {
    let mut scene = scene();
    let alice = scene.collective.client("alice");
    let bob = scene.collective.client_of(NodeId(2), "bob", KeyKind::Rsa3072);
    for client in [&alice, &bob] {
        for protocol in [Alpn::Http, Alpn::Tunnel] {
            let own = client.presented();
            let (server, _) =
                handshake(&scene.gateway_server(), &scene.gateway_client(&own), protocol).await.accepted();
            let connection = server.get_ref().1;
            assert_eq!(connection.alpn_protocol(), Some(protocol.name().as_bytes()));
            let leaf = peer_leaf(connection).expect("readable").expect("there");
            assert_eq!(leaf.session.as_ref(), Some(&client.subject.dn));
            assert_eq!(leaf.thumbprint, client.own.thumbprint());
            let device = client.subject.dn.device;
            assert!(matches!(leaf.identity, LeafIdentity::Session { device: d, .. } if d == device));
        }
    }
}

#[tokio::test]
async fn members_reach_each_other_in_their_roles_only() {
    let mut scene = scene();
    let (two, gateway) = (scene.two.presented(), scene.gateway.presented());
    scene.at_peer_port(&two, PeerRoles::CONTROLLERS, Alpn::Raft).await.accepted();
    scene.at_peer_port(&gateway, PeerRoles::GATEWAYS, Alpn::Feed).await.accepted();
    let refused = scene.at_peer_port(&gateway, PeerRoles::CONTROLLERS, Alpn::Raft).await;
    assert_eq!(refused.refused_by_server(), Refused::Role);
    let refused = scene.at_peer_port(&two, PeerRoles::GATEWAYS, Alpn::Feed).await;
    assert_eq!(refused.refused_by_server(), Refused::Role);
    let alice = scene.collective.client("alice").presented();
    let refused = scene.at_peer_port(&alice, PeerRoles::CONTROLLERS, Alpn::Raft).await;
    assert_eq!(refused.refused_by_server(), Refused::Role);
}

#[tokio::test]
async fn appliances_certificates_open_no_session() {
    let scene = scene();
    for own in [scene.gateway.presented(), scene.one.presented()] {
        assert_eq!(scene.at_gateway(&own).await.refused_by_server(), Refused::Role);
    }
}

#[tokio::test]
async fn removed_controllers_certificates_are_refused_everywhere() {
    let mut scene = scene();
    let mallory = scene.collective.client_of(NodeId(2), "mallory", KeyKind::P256).presented();
    let two = scene.two.presented();
    scene.at_gateway(&mallory).await.accepted();
    scene.at_peer_port(&two, PeerRoles::CONTROLLERS, Alpn::Raft).await.accepted();
    scene.remove_two();

    // Clients that it signed, before or after, at Gateways and at Controllers.
    assert!(matches!(scene.at_gateway(&mallory).await.refused_by_server(), Refused::Chain(_)));
    let api = scene.tls.client_api_server(&scene.one.presented(), scene.membership());
    let client = scene.tls.controller_client(scene.collective.controller_trust(), Some(&mallory));
    assert!(matches!(handshake(&api, &client, Alpn::Client).await.refused_by_server(), Refused::Chain(_)));

    // Itself, dialling and dialled, and to clients that know the members.
    let refused = scene.at_peer_port(&two, PeerRoles::CONTROLLERS, Alpn::Raft).await;
    assert_eq!(refused.refused_by_server(), Refused::NotAMember);
    let server = scene.tls.peer_server(&two, scene.membership(), PeerRoles::CONTROLLERS, Alpn::Raft);
    let dial = scene.tls.peer_client(scene.membership(), ExpectedController::Node(NodeId(2)), &scene.one.presented());
    assert_eq!(handshake(&server, &dial, Alpn::Raft).await.refused_by_client(), Refused::NotAMember);
    let sign_in = scene.tls.sign_in_server(&two);
    let client = scene.tls.controller_client(scene.collective.controller_trust(), None);
    assert_eq!(handshake(&sign_in, &client, Alpn::SignIn).await.refused_by_client(), Refused::NotAMember);
}

#[tokio::test]
async fn a_removed_controller_cannot_sign_itself_a_new_name() {
    let mut scene = scene();
    scene.remove_two();
    let (_, stolen) = scene.collective.issuers_of(NodeId(2));
    let now = scene.collective.now;
    let key = || PrivateKey::generate(KeyKind::P256).expect("a key");
    let (as_one, as_new, as_gateway, as_foreign_gateway) = (key(), key(), key(), key());
    let controller = |key: &PrivateKey, id| stolen.issue_controller(&proved(key), NodeId(id), &[], now, &SystemRandom);
    let gateway = |key: &PrivateKey, id| stolen.issue_gateway(&proved(key), id, &[], now, &SystemRandom);
    let issuer = stolen.certificate();
    let known = gateway(&as_gateway, scene.gateway.id).expect("issued");
    let unknown = gateway(&as_foreign_gateway, ApplianceId::from_random([9; 16])).expect("issued");
    let attempts = [
        (node(controller(&as_one, 1).expect("issued"), issuer, as_one), Alpn::Raft, Refused::ForeignKey),
        (node(controller(&as_new, 3).expect("issued"), issuer, as_new), Alpn::Raft, Refused::NotAMember),
        (node(known, issuer, as_gateway), Alpn::Feed, Refused::ForeignKey),
        (node(unknown, issuer, as_foreign_gateway), Alpn::Feed, Refused::NotAMember),
    ];
    for (attempt, protocol, expected) in attempts {
        let roles = if protocol == Alpn::Raft { PeerRoles::CONTROLLERS } else { PeerRoles::GATEWAYS };
        let refused = scene.at_peer_port(&attempt.presented(), roles, protocol).await.refused_by_server();
        assert_eq!(refused, expected, "{protocol}");
    }
}

#[tokio::test]
async fn a_removed_gateway_gets_no_feed() {
    let mut scene = scene();
    let gateway = scene.gateway.presented();
    scene.at_peer_port(&gateway, PeerRoles::GATEWAYS, Alpn::Feed).await.accepted();
    scene.collective.remove_gateway(scene.gateway.id);
    scene.members.replace(scene.collective.members());
    let refused = scene.at_peer_port(&gateway, PeerRoles::GATEWAYS, Alpn::Feed).await;
    assert_eq!(refused.refused_by_server(), Refused::NotAMember);
}

#[tokio::test]
async fn another_collectives_clients_and_members_are_strangers() {
    let scene = scene();
    let mut other = TestCollective::new();
    let theirs = other.controller(NodeId(2)).presented();
    let mallory = other.client("alice").presented();
    assert_eq!(scene.at_gateway(&mallory).await.refused_by_server(), Refused::Collective);
    // The foreign Controller knows who would accept it, the other end does not care.
    let server = scene.tls.peer_server(&scene.one.presented(), scene.membership(), PeerRoles::CONTROLLERS, Alpn::Raft);
    let client = scene.tls.peer_client(scene.membership(), ExpectedController::Any, &theirs);
    assert_eq!(handshake(&server, &client, Alpn::Raft).await.refused_by_server(), Refused::Collective);
}

#[tokio::test]
async fn a_client_whose_certificate_was_forged_in_its_collectives_name_is_refused() {
    let scene = scene();
    // Same Collective id, same names, another root: only the signature differs.
    let mut forger = TestCollective::new();
    forger.id = scene.collective.id;
    let mallory = forger.client("alice").presented();
    assert!(matches!(scene.at_gateway(&mallory).await.refused_by_server(), Refused::Chain(_)));
}

#[tokio::test]
async fn a_member_dials_the_node_that_it_means() {
    let scene = scene();
    let server = scene.tls.peer_server(&scene.one.presented(), scene.membership(), PeerRoles::CONTROLLERS, Alpn::Raft);
    for (expected, accepted) in [(NodeId(1), true), (NodeId(2), false)] {
        let dial = ExpectedController::Node(expected);
        let client = scene.tls.peer_client(scene.membership(), dial, &scene.two.presented());
        let outcome = handshake(&server, &client, Alpn::Raft).await;
        if accepted {
            outcome.accepted();
        } else {
            assert_eq!(outcome.refused_by_client(), Refused::Role);
        }
    }
}

#[tokio::test]
async fn a_renewed_key_is_accepted_beside_the_old_one_and_shown_at_once() {
    let scene = scene();
    let shown = scene.gateway.presented();
    let key = PrivateKey::generate(KeyKind::P256).expect("a key");
    let (_, issuer) = scene.collective.issuers_of(NodeId(1));
    let leaf = issuer.issue_gateway(&proved(&key), scene.gateway.id, &[], scene.collective.now, &SystemRandom);
    shown.replace(vec![leaf.expect("issued"), issuer.certificate().clone()], &key).expect("own chain");
    let refused = scene.at_peer_port(&shown, PeerRoles::GATEWAYS, Alpn::Feed).await;
    assert_eq!(refused.refused_by_server(), Refused::ForeignKey);
    let mut members = scene.collective.members();
    members.gateways.get_mut(&scene.gateway.id).expect("a member").0.push(key.thumbprint());
    scene.members.replace(members);
    scene.at_peer_port(&shown, PeerRoles::GATEWAYS, Alpn::Feed).await.accepted();
    scene.at_peer_port(&scene.gateway.presented(), PeerRoles::GATEWAYS, Alpn::Feed).await.accepted();
}

#[tokio::test]
async fn an_expired_client_certificate_is_refused() {
    let mut scene = scene();
    let alice = scene.collective.client("alice").presented();
    let later = scene.collective.now.plus(crate::ca::CLIENT_LIFE + std::time::Duration::from_secs(2));
    let server = Tls::with_time(Arc::new(At(later.seconds())));
    let server = server.gateway_server(&scene.gateway.presented(), scene.membership());
    let refused = handshake(&server, &scene.gateway_client(&alice), Alpn::Http).await.refused_by_server();
    assert!(matches!(refused, Refused::Chain(webpki::Error::CertExpired { .. })), "{refused:?}");
}

#[test]
fn a_record_brings_in_only_its_own_controllers_intermediate() {
    let mut collective = TestCollective::new();
    collective.controller(NodeId(1));
    collective.controller(NodeId(2));
    let records: Vec<_> = collective.controller_records().cloned().collect();
    let build = |records: &[_]| Members::from_records(collective.id, &[], records, []).err();
    assert_eq!(build(&records), None);
    let mut swapped = records.clone();
    swapped[0].client_issuer = records[1].client_issuer.clone();
    assert_eq!(build(&swapped), Some(MembersError::Issuer { node: NodeId(1), source: None }));
    let mut appliance = records.clone();
    appliance[0].client_issuer = records[0].appliance_issuer.clone();
    assert_eq!(build(&appliance), Some(MembersError::Issuer { node: NodeId(1), source: None }));
    let mut damaged = records;
    damaged[0].client_issuer = Some("!".to_owned());
    assert_eq!(build(&damaged), Some(MembersError::Encoding(NodeId(1))));
}

#[derive(Debug)]
struct At(u64);

impl TimeProvider for At {
    fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
        Some(rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0)))
    }
}

#[test]
fn a_chain_is_shown_only_with_its_own_key() {
    let mut collective = TestCollective::new();
    let (alice, bob): (TestClient, TestClient) = (collective.client("alice"), collective.client("bob"));
    let refused = Presented::new(alice.own.chain.clone(), &bob.own.key);
    assert!(matches!(refused, Err(PresentedError::ForeignKey)));
    assert!(matches!(Presented::new(Vec::new(), &bob.own.key), Err(PresentedError::Chain(_))));
    let four = [alice.own.chain.clone(), bob.own.chain.clone()].concat();
    assert!(matches!(Presented::new(four, &alice.own.key), Err(PresentedError::Chain(_))));
}
