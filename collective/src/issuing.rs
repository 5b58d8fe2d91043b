//! What is signed: claims tokens, entitlement tokens, certificates, and their renewal.
//!
//! Owns the keys that sign, the compiled policies and what devices said of themselves last. Promises that a token is made
//! from one state, that its `idx` names that state, and that nothing is signed for a user, device or Client that the
//! state does not permit (`check`). Who a user is is left to `sign_in` and `step_up`.

pub(crate) mod certificate;
pub(crate) mod check;
pub(crate) mod device_claims;
pub(crate) mod entitle;
pub(crate) mod interactions;
pub(crate) mod intermediates;
pub(crate) mod keys;
pub(crate) mod mint;
pub(crate) mod policies;
pub(crate) mod renew;
pub(crate) mod signers;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringwall_protocol::id::{DeviceId, UserId};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::TokenHead;
use ringwall_trust::identity::Leaf;

use self::device_claims::LastSaid;
use self::intermediates::Intermediates;
use self::policies::CompiledPolicies;
use self::signers::Signers;
use crate::audit::client_events::Audit;
use crate::identity::Providers;
use crate::identity::throttle::Throttle;
use crate::refusal::Refusal;
use crate::replica::Replica;
use crate::replica::vault::Vault;

/// Requests of one kind that a device may make in a minute, on average; twice as many in a burst.
const DEVICE_REQUESTS_PER_MINUTE: u32 = 6;

/// A caller with a client certificate of a current issuer. Its tokens must be bound to the certificate's key.
#[derive(Debug, Clone)]
pub struct CertifiedClient {
    /// Where the connection comes from.
    pub address: IpAddr,
    /// The proved certificate.
    pub leaf: Arc<Leaf>,
}

/// Requests that are counted for each device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum DeviceRequest {
    /// Certificates.
    Certificate,
    /// Entitlement tokens.
    Entitlements,
    /// Renewals of claims.
    Renew,
    /// Answers to interactions.
    StepUp,
}

/// What issues tokens and certificates for sessions.
pub(crate) struct Issuing {
    replica: Replica,
    audit: Audit,
    vault: Arc<Vault>,
    providers: Arc<Providers>,
    signers: Arc<Signers>,
    intermediates: Arc<Intermediates>,
    policies: Arc<CompiledPolicies>,
    /// What devices said of themselves last, for questions that come without it.
    pub(crate) device_claims: LastSaid,
    requests: Mutex<Throttle<(UserId, DeviceId, DeviceRequest)>>,
}

/// What issuing is made of.
pub(crate) struct Parts {
    pub(crate) replica: Replica,
    pub(crate) audit: Audit,
    pub(crate) vault: Arc<Vault>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) intermediates: Arc<Intermediates>,
    pub(crate) policies: Arc<CompiledPolicies>,
}

impl Issuing {
    /// Issuing with these parts.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { replica, audit, vault, providers, signers, intermediates, policies } = parts;
        let requests = Mutex::new(Throttle::new(2 * DEVICE_REQUESTS_PER_MINUTE, Duration::from_secs(120)));
        let device_claims = LastSaid::default();
        Self { replica, audit, vault, providers, signers, intermediates, policies, device_claims, requests }
    }

    /// Counts a request of a device.
    ///
    /// # Errors
    /// `busy`, after too many of its kind.
    pub(crate) fn count_request(&self, head: &TokenHead, kind: DeviceRequest, now: UnixMillis) -> Result<(), Refusal> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.take(&(head.user_id, head.device_id, kind), now) { Ok(()) } else { Err(Refusal::busy()) }
    }
}
