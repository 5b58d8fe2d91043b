//! Why a verifier refused the other end.

use std::sync::Arc;

use rustls::{CertificateError, Error, OtherError};

use crate::identity::LeafError;

/// Why a certificate was not accepted; stands inside rustls's error and in logs, never on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The certificate is not one of ours at all.
    #[error("peer's certificate is not acceptable")]
    Leaf(#[from] LeafError),
    /// No anchor issued it, it is out of its time, or it is for another purpose.
    #[error("peer's certificate does not verify")]
    Chain(#[source] webpki::Error),
    /// Another Collective's.
    #[error("peer belongs to another collective")]
    Collective,
    /// Not the role that this connection is for.
    #[error("peer has another role than this connection needs")]
    Role,
    /// No member with this id, or no longer.
    #[error("peer is not a member of the collective")]
    NotAMember,
    /// A member's name on another key.
    #[error("peer's key is not the member's")]
    ForeignKey,
    /// Not the key that was expected.
    #[error("peer's key is not the pinned one")]
    Pin,
    /// The chain's last certificate is not the root that the profile names.
    #[error("controller's root certificate is not the pinned one")]
    Root,
    /// Outside of the certificate's validity.
    #[error("peer's certificate is not valid at this time")]
    Time,
}

impl Refused {
    /// Whether the certificate is not in force at this machine's time: either the certificate or the clock is wrong.
    #[must_use]
    pub const fn is_about_time(&self) -> bool {
        use webpki::Error as E;
        matches!(self, Self::Time | Self::Chain(E::CertExpired { .. } | E::CertNotValidYet { .. }))
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
    }
}

impl Refused {
    /// The refusal inside an I/O error of a failed handshake, if it was one of ours.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Option<&Self> {
        match error.get_ref()?.downcast_ref::<Error>()? {
            Error::InvalidCertificate(CertificateError::Other(OtherError(refused))) => refused.downcast_ref(),
            _ => None,
        }
    }
}
