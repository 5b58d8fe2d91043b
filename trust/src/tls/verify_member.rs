//! Controllers and Gateways, judged by each other: the leaf's key stands in the member record of that id and role.

use std::sync::Arc;

use ringwall_protocol::id::NodeId;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, Error};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::chain::{Purpose, tls13_signatures, verify};
use super::server::PeerRoles;
use super::{Membership, Refused};
use crate::identity::{Leaf, LeafIdentity, check_chain_size};

/// Accepts members' certificates.
#[derive(Debug)]
pub(super) struct MemberVerifier {
    pub(super) membership: Arc<dyn Membership>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) roles: PeerRoles,
    /// The one Controller that was dialled, if it is known which.
    pub(super) only: Option<NodeId>,
}

impl MemberVerifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        purpose: Purpose,
        now: UnixTime,
    ) -> Result<(), Refused> {
        check_chain_size(leaf, others)?;
        let said = Leaf::parse(leaf)?;
        let members = self.membership.current();
        if said.identity.collective() != members.collective {
            return Err(Refused::Collective);
        }
        let keys = match said.identity {
            LeafIdentity::Controller { node, .. } if self.roles.controllers => {
                if self.only.is_some_and(|only| only != node) {
                    return Err(Refused::Role);
                }
                members.controllers.get(&node)
            }
            LeafIdentity::Gateway { appliance, .. } if self.roles.gateways => members.gateways.get(&appliance),
            _ => return Err(Refused::Role),
        };
        if !keys.ok_or(Refused::NotAMember)?.contains(said.thumbprint) {
            return Err(Refused::ForeignKey);
        }
        verify(leaf, others, &members.roots, purpose, now)
    }
}

impl ClientCertVerifier for MemberVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(leaf, others, Purpose::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    tls13_signatures!();
}

impl ServerCertVerifier for MemberVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(leaf, others, Purpose::Server, now)?;
        Ok(ServerCertVerified::assertion())
    }

    tls13_signatures!();
}
