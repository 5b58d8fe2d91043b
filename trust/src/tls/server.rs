//! Configurations of the listeners. Which one a connection gets follows from its ALPN ([`super::Gate`]).

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage};
use rustls::version::TLS13;

use super::verify_member::MemberVerifier;
use super::verify_session::SessionVerifier;
use super::{Alpn, Membership, Presented, Tls};

/// Which members may be at the other end of a peer connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerRoles {
    /// Controllers.
    pub controllers: bool,
    /// Gateways.
    pub gateways: bool,
}

impl PeerRoles {
    /// Controllers only: Raft.
    pub const CONTROLLERS: Self = Self { controllers: true, gateways: false };
    /// Gateways only: the feed.
    pub const GATEWAYS: Self = Self { controllers: false, gateways: true };
}

impl Tls {
    /// A Controller's sign-in: no client certificate.
    #[must_use]
    pub fn sign_in_server(&self, own: &Arc<Presented>) -> Arc<ServerConfig> {
        self.server(own, Arc::new(NoClientAuth), &[Alpn::SignIn])
    }

    /// The rest of a Controller's client API: a client's certificate is required.
    #[must_use]
    pub fn client_api_server(&self, own: &Arc<Presented>, membership: Arc<dyn Membership>) -> Arc<ServerConfig> {
        self.server(own, self.sessions(membership), &[Alpn::Client])
    }

    /// A Controller's admin API: bearer tokens, no client certificate.
    #[must_use]
    pub fn admin_server(&self, own: &Arc<Presented>) -> Arc<ServerConfig> {
        self.server(own, Arc::new(NoClientAuth), &[Alpn::Http])
    }

    /// A Controller's peer port for members of these roles: [`Alpn::Raft`] or [`Alpn::Feed`].
    #[must_use]
    pub fn peer_server(
        &self,
        own: &Arc<Presented>,
        membership: Arc<dyn Membership>,
        roles: PeerRoles,
        protocol: Alpn,
    ) -> Arc<ServerConfig> {
        let verifier = MemberVerifier { membership, provider: Arc::clone(&self.provider), roles, only: None };
        self.server(own, Arc::new(verifier), &[protocol])
    }

    /// A Controller's peer port for an appliance that has no certificate yet.
    #[must_use]
    pub fn join_server(&self, own: &Arc<Presented>) -> Arc<ServerConfig> {
        self.server(own, Arc::new(NoClientAuth), &[Alpn::Join])
    }

    /// A Gateway: websocket and tunnels, a client's certificate is required.
    #[must_use]
    pub fn gateway_server(&self, own: &Arc<Presented>, membership: Arc<dyn Membership>) -> Arc<ServerConfig> {
        self.server(own, self.sessions(membership), &[Alpn::Tunnel, Alpn::Http])
    }

    fn sessions(&self, membership: Arc<dyn Membership>) -> Arc<dyn ClientCertVerifier> {
        Arc::new(SessionVerifier { membership, provider: Arc::clone(&self.provider) })
    }

    fn server(
        &self,
        own: &Arc<Presented>,
        verifier: Arc<dyn ClientCertVerifier>,
        protocols: &[Alpn],
    ) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.time))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has cipher suites and groups of TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::<Presented>::clone(own));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.entry()).collect();
        // A resumed session restores the client's certificate without asking the verifier: none is ever offered.
        config.send_tls13_tickets = 0;
        config.max_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Arc::new(config)
    }
}
