//! Who belongs to the Collective now: one immutable snapshot, replaced as a whole when the replicated state or the feed
//! changes. Verifiers ask at every handshake, so a removed member is nobody from the next one on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ringwall_protocol::id::{ApplianceId, CollectiveId, NodeId, Thumbprint};
use ringwall_protocol::membership::{ControllerRecord, GatewayRecord};
use ringwall_protocol::object::appliance::ApplianceState;
use rustls_pki_types::CertificateDer;

use super::{AnchorError, Anchors};
use crate::identity::{IssuerKind, LeafError, parse_issuer};

/// The keys that a member may present: the present one and, while it is renewed, the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberKeys(pub Vec<Thumbprint>);

impl MemberKeys {
    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, key: Thumbprint) -> bool {
        self.0.contains(&key)
    }
}

/// A record of a member is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// Not base64url.
    #[error("expected a certificate in base64url in the record of controller {0}")]
    Encoding(NodeId),
    /// Not an intermediate of this Controller in this Collective.
    #[error("expected the client intermediate of controller {node} of this collective")]
    Issuer {
        /// Whose record.
        node: NodeId,
        /// What is wrong with it, if it is no intermediate at all.
        #[source]
        source: Option<LeafError>,
    },
    /// Not a certificate.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
}

/// A snapshot of the membership.
#[derive(Debug, Clone)]
pub struct Members {
    /// Which Collective.
    pub collective: CollectiveId,
    /// Controllers' keys.
    pub controllers: BTreeMap<NodeId, MemberKeys>,
    /// Gateways' keys.
    pub gateways: BTreeMap<ApplianceId, MemberKeys>,
    /// Intermediates of current members that issue clients' certificates.
    pub(crate) client_issuers: Anchors,
    /// Roots, present and next: appliances' chains are checked against them, which grants nothing by itself.
    pub roots: Anchors,
}

impl Members {
    /// A Collective without members: trusts nobody.
    #[must_use]
    pub fn nobody(collective: CollectiveId) -> Self {
        Self {
            collective,
            controllers: BTreeMap::new(),
            gateways: BTreeMap::new(),
            client_issuers: Anchors::default(),
            roots: Anchors::default(),
        }
    }

    /// The membership that the records describe; removed members are left out.
    ///
    /// # Errors
    /// [`MembersError`]: an intermediate must name its Controller and the Collective, so that no record can bring in
    /// another's.
    pub fn from_records<'a>(
        collective: CollectiveId,
        roots: &[CertificateDer<'_>],
        controllers: impl IntoIterator<Item = &'a ControllerRecord>,
        gateways: impl IntoIterator<Item = &'a GatewayRecord>,
    ) -> Result<Self, MembersError> {
        let mut members = Self::nobody(collective);
        let mut issuers = Vec::new();
        for record in controllers.into_iter().filter(|record| record.state != ApplianceState::Removed) {
            members.controllers.insert(record.node, MemberKeys(record.keys.clone()));
            if let Some(text) = &record.client_issuer {
                issuers.push(client_issuer(collective, record.node, text)?);
            }
        }
        for record in gateways.into_iter().filter(|record| record.state != ApplianceState::Removed) {
            members.gateways.insert(record.appliance, MemberKeys(record.keys.clone()));
        }
        members.client_issuers = Anchors::from_certificates(&issuers)?;
        members.roots = Anchors::from_certificates(roots)?;
        Ok(members)
    }
}

fn client_issuer(collective: CollectiveId, node: NodeId, text: &str) -> Result<CertificateDer<'static>, MembersError> {
    let der = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| MembersError::Encoding(node))?;
    let issuer = parse_issuer(&der).map_err(|source| MembersError::Issuer { node, source: Some(source) })?;
    if (issuer.collective, issuer.node, issuer.kind) != (collective, node, IssuerKind::Client) {
        return Err(MembersError::Issuer { node, source: None });
    }
    Ok(CertificateDer::from(der))
}

/// Where verifiers get the membership from, at each handshake.
pub trait Membership: fmt::Debug + Send + Sync {
    /// The membership now.
    fn current(&self) -> Arc<Members>;
}

/// A membership that its owner replaces.
#[derive(Debug)]
pub struct CurrentMembers(ArcSwap<Members>);

impl CurrentMembers {
    /// Begins with this membership.
    #[must_use]
    pub fn new(members: Members) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(members)))
    }

    /// From the next handshake on, this membership holds.
    pub fn replace(&self, members: Members) {
        self.0.store(Arc::new(members));
    }
}

impl Membership for CurrentMembers {
    fn current(&self) -> Arc<Members> {
        self.0.load_full()
    }
}
