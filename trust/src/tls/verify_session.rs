//! Clients, judged by a Gateway or a Controller's client API: issued by a client intermediate of a current member.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, Error};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::chain::{Purpose, tls13_signatures, verify};
use super::{Membership, Refused};
use crate::identity::{Leaf, LeafIdentity, check_chain_size};

/// Accepts sessions' certificates.
#[derive(Debug)]
pub(super) struct SessionVerifier {
    pub(super) membership: Arc<dyn Membership>,
    pub(super) provider: Arc<CryptoProvider>,
}

impl SessionVerifier {
    fn judge(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Refused> {
        check_chain_size(leaf, others)?;
        let said = Leaf::parse(leaf)?;
        let members = self.membership.current();
        if said.identity.collective() != members.collective {
            return Err(Refused::Collective);
        }
        if !matches!(said.identity, LeafIdentity::Session { .. }) {
            return Err(Refused::Role);
        }
        // No intermediates: a client's certificate comes straight from an anchor, whatever else was sent.
        verify(leaf, &[], &members.client_issuers, Purpose::Client, now)
    }
}

impl ClientCertVerifier for SessionVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(leaf, others, now)?;
        Ok(ClientCertVerified::assertion())
    }

    tls13_signatures!();
}
