//! Trust anchors: CA certificates that were believed for another reason than their signature.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, TrustAnchor};

/// A certificate could not be an anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a CA certificate in DER")]
pub struct AnchorError(#[source] webpki::Error);

/// A set of anchors; cheap to clone.
#[derive(Clone, Default)]
pub struct Anchors(Arc<[TrustAnchor<'static>]>);

impl Anchors {
    /// Anchors from certificates that the caller believes.
    ///
    /// # Errors
    /// [`AnchorError`] for the first that is no certificate.
    pub(crate) fn from_certificates<'a>(
        certificates: impl IntoIterator<Item = &'a CertificateDer<'a>>,
    ) -> Result<Self, AnchorError> {
        certificates
            .into_iter()
            .map(|certificate| webpki::anchor_from_trusted_cert(certificate).map(|anchor| anchor.to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(AnchorError)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn all(&self) -> &[TrustAnchor<'static>] {
        &self.0
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchors({})", self.0.len())
    }
}
