//! TLS 1.3 as Ringwall uses it: who may be at the other end, and that nothing answers before a proof.
//!
//! Trust is current membership, never "chains to the root" (T6):
//!
//! | who asks | about whom | what decides |
//! | --- | --- | --- |
//! | Gateway, Controller's client API | a client | issued by a client intermediate of a *current member*; identity from the leaf |
//! | Controller, Gateway | each other | the leaf's key stands in the member record of that id and role |
//! | client | a Controller | the root's fingerprint in the profile; the role in the leaf; the known member keys |
//! | client | a Gateway | the key's pin in the entitlement token |
//! | joining appliance | a Controller | the key's pin in the seed |
//!
//! All configurations: TLS 1.3 only, post-quantum key exchange first, AWS-LC given explicitly, no session tickets, no
//! resumption and no early data in either direction (a resumed session would not ask the verifier again). A listener
//! either requires a client certificate or does not ask for one. Reading the ClientHello silently is [`Gate`]'s part.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

mod accept;
mod alpn;
mod anchors;
mod chain;
mod client;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gate;
mod members;
mod peer;
mod presented;
mod refused;
mod server;
#[cfg(test)]
mod tests;
mod verify_controller;
mod verify_member;
mod verify_pin;
mod verify_session;

pub(crate) use accept::HELLO_TIME;
pub use accept::{Hello, HelloError, read_hello, reset};
pub use alpn::Alpn;
pub use anchors::{AnchorError, Anchors};
pub use client::ExpectedController;
pub use gate::{Admitted, Gate, GateError, Purchases, SpaPolicy};
pub use members::{CurrentMembers, MemberKeys, Members, MembersError, Membership};
pub use peer::peer_leaf;
pub use presented::{Presented, PresentedError};
pub use refused::Refused;
pub use server::PeerRoles;
pub use verify_controller::ControllerTrust;

/// Makes configurations: the cryptography and the clock that they share.
///
/// ```
/// let tls = ringwall_trust::tls::Tls::new();
/// ```
#[derive(Debug, Clone)]
pub struct Tls {
    provider: Arc<CryptoProvider>,
    time: Arc<dyn TimeProvider>,
}

impl Tls {
    /// With the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_time(Arc::new(DefaultTimeProvider))
    }

    /// With a clock of the caller's: certificates are judged by it.
    #[must_use]
    pub(crate) fn with_time(time: Arc<dyn TimeProvider>) -> Self {
        use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
        let mut provider = default_provider();
        provider.cipher_suites = vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ];
        Self { provider: Arc::new(provider), time }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}
