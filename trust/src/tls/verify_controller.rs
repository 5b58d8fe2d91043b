//! A Controller, judged by a client: the root that the profile names, the role in the leaf, and, once the client has
//! signed in, the keys of the Controllers that it was told of (T6).
//!
//! The server's host name is not compared: a Controller is who its certificate's URI says, wherever it is reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringwall_protocol::id::NodeId;
use rustls::Error;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use subtle::ConstantTimeEq;

use super::chain::{Purpose, tls13_signatures, verify};
use super::{Anchors, MemberKeys, Refused};
use crate::identity::{Fingerprint, Leaf, LeafIdentity, check_chain_size};

/// What a client knows of its Controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerTrust {
    /// The root's fingerprint from the profile, and the next one while the CA is changed; at least one.
    pub roots: Vec<Fingerprint>,
    /// Keys of the Controllers, from the last sign-in; `None` before the first.
    pub members: Option<BTreeMap<NodeId, MemberKeys>>,
}

/// Accepts Controllers' certificates.
#[derive(Debug)]
pub(super) struct ControllerVerifier {
    pub(super) trust: ControllerTrust,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ControllerVerifier {
    fn judge(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Refused> {
        check_chain_size(leaf, others)?;
        let (root, intermediates) = others.split_last().ok_or(Refused::Root)?;
        let sent = Fingerprint::of(root);
        if !self.trust.roots.iter().any(|pinned| pinned.0.ct_eq(&sent.0).into()) {
            return Err(Refused::Root);
        }
        let said = Leaf::parse(leaf)?;
        let LeafIdentity::Controller { node, .. } = said.identity else { return Err(Refused::Role) };
        if let Some(members) = &self.trust.members
            && !members.get(&node).ok_or(Refused::NotAMember)?.contains(said.thumbprint)
        {
            return Err(Refused::ForeignKey);
        }
        let anchor = Anchors::from_certificates([root]).map_err(|_| Refused::Root)?;
        verify(leaf, intermediates, &anchor, Purpose::Server, now)
    }
}

impl ServerCertVerifier for ControllerVerifier {
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
