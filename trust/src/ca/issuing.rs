//! An intermediate of a Controller: what it may issue follows from its kind, never from a request.

use std::time::Duration;

use ringwall_protocol::id::{ApplianceId, CollectiveId, NodeId, ProviderId, UserId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::time::UnixMillis;
use rustls_pki_types::CertificateDer;

use super::template::{SubjectName, blank, end_entity, identity, names, purposes, session_subject, subject};
use super::{APPLIANCE_LIFE, CaError, MAX_CLIENT_LIFE};
use crate::identity::{IssuerKind, LeafIdentity, PrivateKey, Thumbprint, VerifiedRequest, parse_issuer};
use crate::secret::Random;

/// Whom a client's certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSubject {
    /// The session's name; its device stands in the URI too.
    pub dn: SessionDn,
    /// The user's id.
    pub user: UserId,
    /// The provider's id.
    pub provider: ProviderId,
}

/// A Controller's intermediate CA.
#[derive(Debug)]
pub struct IssuingCa {
    key: PrivateKey,
    certificate: CertificateDer<'static>,
    collective: CollectiveId,
    node: NodeId,
    kind: IssuerKind,
    not_after: UnixMillis,
}

impl IssuingCa {
    /// An intermediate from its key and the certificate that the root signed.
    ///
    /// # Errors
    /// [`CaError::ForeignKey`], [`CaError::Certificate`].
    pub fn new(key: PrivateKey, certificate: CertificateDer<'static>) -> Result<Self, CaError> {
        let issuer = parse_issuer(&certificate)?;
        if issuer.thumbprint != key.thumbprint() {
            return Err(CaError::ForeignKey);
        }
        let (collective, node, kind, not_after) = (issuer.collective, issuer.node, issuer.kind, issuer.not_after);
        Ok(Self { key, certificate, collective, node, kind, not_after })
    }

    /// Its own certificate, which goes with every certificate that it issues.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The Controller whose intermediate this is.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// What it issues.
    #[must_use]
    pub const fn kind(&self) -> IssuerKind {
        self.kind
    }

    /// The end of its own validity; nothing that it issues is valid longer.
    #[must_use]
    pub const fn not_after(&self) -> UnixMillis {
        self.not_after
    }

    /// Its private key, for storing.
    #[must_use]
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// A client's certificate. `announced` is the thumbprint that was sent at sign-in (`cnf` of the tokens); `life`
    /// is cut to `MAX_CLIENT_LIFE`.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue_session(
        &self,
        request: &VerifiedRequest,
        announced: Thumbprint,
        who: &SessionSubject,
        life: Duration,
        now: UnixMillis,
        random: &dyn Random,
    ) -> Result<CertificateDer<'static>, CaError> {
        if request.thumbprint() != announced {
            return Err(CaError::KeyMismatch);
        }
        let mut params = self.end_certificate(IssuerKind::Client, life.min(MAX_CLIENT_LIFE), now, random)?;
        params.distinguished_name = session_subject(&who.dn);
        let (collective, user, provider, device) = (self.collective, who.user, who.provider, who.dn.device);
        identity(&mut params, &LeafIdentity::Session { collective, provider, user, device })?;
        self.sign(&params, request)
    }

    /// A Controller's certificate.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue_controller(
        &self,
        request: &VerifiedRequest,
        node: NodeId,
        also: &[SubjectName],
        now: UnixMillis,
        random: &dyn Random,
    ) -> Result<CertificateDer<'static>, CaError> {
        let who = LeafIdentity::Controller { collective: self.collective, node };
        self.issue_appliance(request, &who, &format!("controller {node}"), also, now, random)
    }

    /// A Gateway's certificate.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue_gateway(
        &self,
        request: &VerifiedRequest,
        appliance: ApplianceId,
        also: &[SubjectName],
        now: UnixMillis,
        random: &dyn Random,
    ) -> Result<CertificateDer<'static>, CaError> {
        let who = LeafIdentity::Gateway { collective: self.collective, appliance };
        self.issue_appliance(request, &who, &format!("gateway {appliance}"), also, now, random)
    }

    fn issue_appliance(
        &self,
        request: &VerifiedRequest,
        who: &LeafIdentity,
        common_name: &str,
        also: &[SubjectName],
        now: UnixMillis,
        random: &dyn Random,
    ) -> Result<CertificateDer<'static>, CaError> {
        let mut params = self.end_certificate(IssuerKind::Appliance, APPLIANCE_LIFE, now, random)?;
        params.distinguished_name = subject(common_name, self.collective);
        identity(&mut params, who)?;
        names(&mut params, also)?;
        self.sign(&params, request)
    }

    fn end_certificate(
        &self,
        kind: IssuerKind,
        life: Duration,
        now: UnixMillis,
        random: &dyn Random,
    ) -> Result<rcgen::CertificateParams, CaError> {
        if kind != self.kind {
            return Err(CaError::WrongIssuer { expected: kind, kind: self.kind });
        }
        if self.not_after <= now {
            return Err(CaError::Expired);
        }
        // A verifier whose anchor is this CA does not look at the anchor's dates: the leaf carries them.
        let mut params = blank(now, now.plus(life).min(self.not_after), random);
        end_entity(&mut params);
        params.extended_key_usages = purposes(kind);
        Ok(params)
    }

    fn sign(
        &self,
        params: &rcgen::CertificateParams,
        request: &VerifiedRequest,
    ) -> Result<CertificateDer<'static>, CaError> {
        let issuer = rcgen::Issuer::from_ca_cert_der(&self.certificate, &self.key)?;
        Ok(params.signed_by(request, &issuer)?.der().clone())
    }
}
