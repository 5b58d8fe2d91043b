//! A server known by its key alone: a Gateway from an entitlement token, a Controller from a seed.

use std::sync::Arc;

use ringwall_protocol::id::{ApplianceId, Thumbprint};
use rustls::Error;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use subtle::ConstantTimeEq;

use super::Refused;
use super::chain::{millis, tls13_signatures};
use crate::identity::{Leaf, LeafIdentity, check_chain_size};

/// Who the pinned server must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pinned {
    /// This Gateway.
    Gateway(ApplianceId),
    /// Any Controller.
    Controller,
}

/// Accepts one of the pinned keys, in a certificate of the right role and time.
#[derive(Debug)]
pub(super) struct PinVerifier {
    pub(super) pins: Vec<Thumbprint>,
    pub(super) who: Pinned,
    pub(super) provider: Arc<CryptoProvider>,
}

impl PinVerifier {
    fn judge(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Refused> {
        check_chain_size(leaf, others)?;
        let said = Leaf::parse(leaf)?;
        if !self.pins.iter().any(|pin| pin.0.ct_eq(&said.thumbprint.0).into()) {
            return Err(Refused::Pin);
        }
        match (self.who, said.identity) {
            (Pinned::Gateway(id), LeafIdentity::Gateway { appliance, .. }) if id == appliance => {}
            (Pinned::Controller, LeafIdentity::Controller { .. }) => {}
            _ => return Err(Refused::Role),
        }
        if said.valid_at(millis(now)) { Ok(()) } else { Err(Refused::Time) }
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(leaf, others, now)?;
        Ok(ServerCertVerified::assertion())
    }

    tls13_signatures!();
}
