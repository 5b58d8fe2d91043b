//! Who authenticates users: identity providers, providers of further factors, and how a Controller reaches them.
//!
//! Owns the connections to providers, the pool of password hashes and the record of providers that do not respond.
//! Promises that whatever is not certain is no proof, and that no provider's address leads to this machine itself. What a
//! proof is good for is left to `sign_in`, `step_up` and `issuing`.

pub(crate) mod directory;
pub(crate) mod factor;
pub(crate) mod hashing;
pub(crate) mod outages;
pub(crate) mod outbound;
pub(crate) mod throttle;

use std::sync::Arc;

use ringwall_protocol::time::UnixMillis;

use self::directory::Directories;
use self::factor::Factors;
use self::hashing::HashingPool;
use self::outages::Outages;
use self::outbound::Outbound;
use crate::replica::vault::Vault;

/// All providers, and what they share.
#[derive(Debug)]
pub(crate) struct Providers {
    /// Identity providers.
    pub(crate) directories: Directories,
    /// MFA providers.
    pub(crate) factors: Factors,
    /// Providers that do not respond.
    pub(crate) outages: Outages,
    /// Where providers may be.
    pub(crate) outbound: Outbound,
    /// Password work.
    pub(crate) hashing: HashingPool,
}

impl Providers {
    /// Providers whose password work runs in `hashing`, whose secrets `vault` opens, and that are where `outbound`
    /// permits.
    pub(crate) fn new(hashing: HashingPool, vault: &Arc<Vault>, outbound: Outbound, clock: fn() -> UnixMillis) -> Self {
        Self {
            directories: Directories::new(hashing.clone(), Arc::clone(vault), outbound.clone(), clock),
            factors: Factors::new(Arc::clone(vault), outbound.clone()),
            outages: Outages::default(),
            outbound,
            hashing,
        }
    }
}
