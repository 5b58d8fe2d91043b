//! Configurations of the dialling side. The ALPN list belongs to the connection, not to the configuration, because its
//! first entry may be a knock: `TlsConnector::with_alpn(vec![proof, Alpn::Tunnel.entry()])`.

use std::sync::Arc;

use ringwall_protocol::id::{ApplianceId, NodeId, Thumbprint};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::version::TLS13;

use super::server::PeerRoles;
use super::verify_controller::{ControllerTrust, ControllerVerifier};
use super::verify_member::MemberVerifier;
use super::verify_pin::{PinVerifier, Pinned};
use super::{Membership, Presented, Tls};

/// Which Controller a member dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedController {
    /// Whichever answers.
    Any,
    /// This one.
    Node(NodeId),
}

impl Tls {
    /// Client → Controller. `own` is `None` for sign-in.
    #[must_use]
    pub fn controller_client(&self, trust: ControllerTrust, own: Option<&Arc<Presented>>) -> Arc<ClientConfig> {
        self.client(Arc::new(ControllerVerifier { trust, provider: Arc::clone(&self.provider) }), own)
    }

    /// Client → Gateway: pins from the entitlement token.
    #[must_use]
    pub fn gateway_client(
        &self,
        gateway: ApplianceId,
        pins: Vec<Thumbprint>,
        own: &Arc<Presented>,
    ) -> Arc<ClientConfig> {
        let provider = Arc::clone(&self.provider);
        self.client(Arc::new(PinVerifier { pins, who: Pinned::Gateway(gateway), provider }), Some(own))
    }

    /// Joining appliance → Controller: pins from the seed, no certificate yet.
    #[must_use]
    pub fn join_client(&self, pins: Vec<Thumbprint>) -> Arc<ClientConfig> {
        let provider = Arc::clone(&self.provider);
        self.client(Arc::new(PinVerifier { pins, who: Pinned::Controller, provider }), None)
    }

    /// Member → Controller.
    #[must_use]
    pub fn peer_client(
        &self,
        membership: Arc<dyn Membership>,
        expected: ExpectedController,
        own: &Arc<Presented>,
    ) -> Arc<ClientConfig> {
        let only = match expected {
            ExpectedController::Any => None,
            ExpectedController::Node(node) => Some(node),
        };
        let provider = Arc::clone(&self.provider);
        self.client(Arc::new(MemberVerifier { membership, provider, roles: PeerRoles::CONTROLLERS, only }), Some(own))
    }

    fn client(&self, verifier: Arc<dyn ServerCertVerifier>, own: Option<&Arc<Presented>>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.time))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has cipher suites and groups of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match own {
            Some(own) => builder.with_client_cert_resolver(Arc::<Presented>::clone(own)),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Arc::new(config)
    }
}
