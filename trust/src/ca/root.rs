//! The root: signs intermediates, and is otherwise kept away from running machines.

use ringwall_protocol::id::{CollectiveId, NodeId};
use ringwall_protocol::time::UnixMillis;
use rustls_pki_types::CertificateDer;

use super::template::{authority, blank, identity, purposes, subject};
use super::{CaError, INTERMEDIATE_LIFE, ROOT_LIFE};
use crate::identity::{Fingerprint, IssuerKind, KeyError, KeyKind, LeafIdentity, PrivateKey, VerifiedRequest};
use crate::secret::Random;

/// A Collective's root key with its certificate.
#[derive(Debug)]
pub struct RootCa {
    key: PrivateKey,
    certificate: CertificateDer<'static>,
}

impl RootCa {
    /// A new root for a Collective; `name` is shown to people.
    ///
    /// # Errors
    /// [`CaError::Encoding`], if the generator or the encoder fails.
    pub fn create(collective: CollectiveId, name: &str, now: UnixMillis, random: &dyn Random) -> Result<Self, CaError> {
        let key = PrivateKey::generate(KeyKind::P384).map_err(|_: KeyError| rcgen::Error::RingUnspecified)?;
        let mut params = blank(now, now.plus(ROOT_LIFE), random);
        authority(&mut params, 1);
        params.distinguished_name = subject(&format!("Ringwall root of {name}"), collective);
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { key, certificate })
    }

    /// A root from its parts, as they were stored.
    ///
    /// # Errors
    /// [`CaError::ForeignKey`] if they do not belong together.
    pub fn from_parts(key: PrivateKey, certificate: CertificateDer<'static>) -> Result<Self, CaError> {
        if crate::identity::key_of(&certificate)? != key.thumbprint() {
            return Err(CaError::ForeignKey);
        }
        Ok(Self { key, certificate })
    }

    /// The root's certificate.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// How client profiles name this root.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// The private key, for sealing.
    #[must_use]
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Signs an intermediate of a Controller; the request's key must be on P-256.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn sign_intermediate(
        &self,
        request: &VerifiedRequest,
        collective: CollectiveId,
        node: NodeId,
        kind: IssuerKind,
        now: UnixMillis,
        random: &dyn Random,
    ) -> Result<CertificateDer<'static>, CaError> {
        use rcgen::PublicKeyData as _;
        if *request.algorithm() != rcgen::PKCS_ECDSA_P256_SHA256 {
            return Err(CaError::KeyMismatch);
        }
        let mut params = blank(now, now.plus(INTERMEDIATE_LIFE), random);
        authority(&mut params, 0);
        params.extended_key_usages = purposes(kind);
        params.distinguished_name = subject(&format!("Ringwall {kind} CA of controller {node}"), collective);
        identity(&mut params, &LeafIdentity::Issuer { collective, node, kind })?;
        let issuer = rcgen::Issuer::from_ca_cert_der(&self.certificate, &self.key)?;
        Ok(params.signed_by(request, &issuer)?.der().clone())
    }
}
