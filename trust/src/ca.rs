//! The Collective's certificate authority: an offline-able root, and two intermediates for each Controller.
//!
//! | certificate | issuer | key | lifetime | EKU |
//! | --- | --- | --- | --- | --- |
//! | root | itself | P-384 | 10 years | none; pathLen 1 |
//! | intermediate `client`, `appliance` | root | P-256 | 1 year | clientAuth; serverAuth + clientAuth; pathLen 0 |
//! | Controller, Gateway | an appliance intermediate | P-256 | 30 days | serverAuth + clientAuth |
//! | client | a client intermediate | RSA or P-256 | 24 h, at most 7 days | clientAuth |
//!
//! Every certificate is built fresh from what the *caller* knows; of a request only the proven key is used. A
//! certificate grants nothing by itself: verifiers ask the current membership ([`crate::tls`]).

use std::time::Duration;

mod issuing;
mod root;
mod sealed;
mod template;

pub use issuing::{IssuingCa, SessionSubject};
pub use root::RootCa;
pub use sealed::{SealedRoot, SealedRootError};
pub use template::SubjectName;

use crate::identity::{IssuerKind, LeafError};

/// Lifetime of a root.
pub(crate) const ROOT_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// Lifetime of an intermediate. Membership, not expiry, is what takes one out of service.
pub(crate) const INTERMEDIATE_LIFE: Duration = Duration::from_hours(365 * 24);
/// Lifetime of a Controller's or Gateway's certificate; renewed after two thirds.
pub(crate) const APPLIANCE_LIFE: Duration = Duration::from_hours(30 * 24);
/// Lifetime of a client's certificate unless configured.
pub(crate) const CLIENT_LIFE: Duration = Duration::from_hours(24);
/// Longest lifetime of a client's certificate, whatever is configured (T20).
pub(crate) const MAX_CLIENT_LIFE: Duration = Duration::from_hours(7 * 24);
/// How far `notBefore` lies in the past, for clocks that are behind.
pub(crate) const BACKDATING: Duration = Duration::from_mins(5);

/// Why a certificate was not issued.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The intermediate is for the other kind of certificate.
    #[error("expected an intermediate of kind {expected}, this one is {kind}")]
    WrongIssuer {
        /// What the certificate needs.
        expected: IssuerKind,
        /// What this one is.
        kind: IssuerKind,
    },
    /// The request's key is not the one that was announced.
    #[error("request's key is not the one that was announced")]
    KeyMismatch,
    /// Key and CA certificate do not belong together.
    #[error("private key does not belong to the CA certificate")]
    ForeignKey,
    /// The CA certificate is not one of ours.
    #[error("CA certificate is not usable")]
    Certificate(#[from] LeafError),
    /// The CA's own certificate ends before the new one would begin.
    #[error("CA certificate has expired")]
    Expired,
    /// A name that cannot stand in a certificate.
    #[error("expected a host name in ASCII or an address, got {0:?}")]
    Name(String),
    /// Encoding or signing failed.
    #[error("certificate could not be made")]
    Encoding(#[from] rcgen::Error),
}

#[cfg(test)]
mod tests;
