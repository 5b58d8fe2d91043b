//! TLS itself: versions, key exchange, resumption, missing certificates.

use std::sync::Arc;

use ringwall_protocol::id::NodeId;
use rustls::client::{ClientSessionMemoryCache, Resumption, Tls12Resumption};
use rustls::{AlertDescription, ClientConfig, HandshakeKind, NamedGroup, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::*;
use super::{handshake, sockets};
use crate::fixtures::{TestClient, TestCollective, TestController, TestGateway};

struct Scene {
    controller: TestController,
    gateway: TestGateway,
    client: TestClient,
    membership: Arc<dyn Membership>,
    tls: Tls,
}

fn scene() -> Scene {
    let mut collective = TestCollective::new();
    let controller = collective.controller(NodeId(1));
    let (gateway, client) = (collective.gateway(), collective.client("alice"));
    let membership = CurrentMembers::new(collective.members());
    Scene { controller, gateway, client, membership, tls: Tls::new() }
}

impl Scene {
    fn membership(&self) -> Arc<dyn Membership> {
        Arc::clone(&self.membership)
    }

    fn gateway_server(&self) -> Arc<ServerConfig> {
        self.tls.gateway_server(&self.gateway.presented(), self.membership())
    }

    fn gateway_client(&self) -> Arc<ClientConfig> {
        let pins = vec![self.gateway.own.thumbprint()];
        self.tls.gateway_client(self.gateway.id, pins, &self.client.presented())
    }

    /// Every listener that asks for a client certificate, with what it speaks.
    fn mutual(&self) -> Vec<(Arc<ServerConfig>, Alpn)> {
        let own = self.controller.presented();
        let peers = |roles, alpn| self.tls.peer_server(&own, self.membership(), roles, alpn);
        vec![
            (self.gateway_server(), Alpn::Http),
            (self.gateway_server(), Alpn::Tunnel),
            (self.tls.client_api_server(&own, self.membership()), Alpn::Client),
            (peers(PeerRoles::CONTROLLERS, Alpn::Raft), Alpn::Raft),
            (peers(PeerRoles::GATEWAYS, Alpn::Feed), Alpn::Feed),
        ]
    }

    /// A client that accepts the Gateway and the Controller by their pins and shows `own`, if anything.
    fn stranger(&self, protocol: Alpn) -> Arc<ClientConfig> {
        let mut config = match protocol {
            Alpn::Http | Alpn::Tunnel => (*self.gateway_client()).clone(),
            _ => (*self.tls.join_client(vec![self.controller.own.thumbprint()])).clone(),
        };
        config.client_auth_cert_resolver = self.tls.join_client(Vec::new()).client_auth_cert_resolver.clone();
        Arc::new(config)
    }
}

#[tokio::test]
async fn a_handshake_without_a_client_certificate_is_refused() {
    let scene = scene();
    for (server, protocol) in scene.mutual() {
        let outcome = handshake(&server, &scene.stranger(protocol), protocol).await;
        let error = outcome.server.expect_err("a certificate is required");
        let HelloError::Io(error) = error else { panic!("another error: {error:?}") };
        let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        assert_eq!(tls, Some(&rustls::Error::NoCertificatesPresented), "{protocol}");
    }
}

#[tokio::test]
async fn no_resumption_happens_on_mutual_tls_listeners() {
    let scene = scene();
    let mut config = (*scene.gateway_client()).clone();
    let cache = Arc::new(ClientSessionMemoryCache::new(8));
    config.resumption = Resumption::store(cache).tls12_resumption(Tls12Resumption::Disabled);
    let config = Arc::new(config);
    for round in 0..3 {
        let (mut server, mut client) = handshake(&scene.gateway_server(), &config, Alpn::Http).await.accepted();
        assert_eq!(server.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "round {round}");
        // What the server sends behind its handshake would carry tickets.
        server.write_all(b"x").await.expect("written");
        server.flush().await.expect("flushed");
        assert_eq!(client.read_u8().await.expect("read"), b'x');
        assert_eq!(client.get_ref().1.tls13_tickets_received(), 0, "round {round}");
    }
}

#[tokio::test]
async fn no_listener_offers_tickets_or_early_data() {
    let scene = scene();
    let own = scene.controller.presented();
    let open = [scene.tls.sign_in_server(&own), scene.tls.admin_server(&own), scene.tls.join_server(&own)];
    for server in open.into_iter().chain(scene.mutual().into_iter().map(|(server, _)| server)) {
        assert_eq!((server.send_tls13_tickets, server.max_tls13_tickets, server.max_early_data_size), (0, 0, 0));
        assert!(!server.session_storage.can_cache());
        assert!(!server.ticketer.enabled());
    }
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum() {
    let scene = scene();
    let (server, _) = handshake(&scene.gateway_server(), &scene.gateway_client(), Alpn::Http).await.accepted();
    let group = server.get_ref().1.negotiated_key_exchange_group().expect("negotiated");
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let scene = scene();
    let (accepted, mut dialled) = sockets().await;
    dialled.write_all(&tls12_hello()).await.expect("written");
    let hello = read_hello(accepted).await.expect("a ClientHello");
    hello.handshake(scene.gateway_server()).await.expect_err("the version is not spoken");
    let mut answer = Vec::new();
    dialled.read_to_end(&mut answer).await.expect("closed");
    let alert = u8::from(AlertDescription::ProtocolVersion);
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, alert], "an alert and nothing else");
}

/// A ClientHello that offers TLS 1.2 and `http/1.1`, and no `supported_versions`.
fn tls12_hello() -> Vec<u8> {
    let alpn = b"http/1.1";
    let mut extensions = vec![0, 10, 0, 4, 0, 2, 0, 29]; // supported_groups: x25519
    extensions.extend([0, 13, 0, 6, 0, 4, 4, 3, 8, 4]); // signature_algorithms: ecdsa p256, rsa-pss sha256
    extensions.extend([0, 11, 0, 2, 1, 0]); // ec_point_formats: uncompressed
    extensions.extend([0, 16, 0, 11, 0, 9, 8]);
    extensions.extend(alpn);
    let mut body = vec![3, 3];
    body.extend([7; 32]); // random
    body.push(0); // session id
    body.extend([0, 2, 0xC0, 0x2B]); // ECDHE-ECDSA-AES128-GCM-SHA256
    body.extend([1, 0]); // compression: none
    body.extend(u16::try_from(extensions.len()).expect("short").to_be_bytes());
    body.extend(extensions);
    let length = u16::try_from(body.len()).expect("short");
    let mut record = vec![22, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(body);
    record
}
