//! The ports through which sessions reach the kernel and the packets: implemented by `gateway/`, faked in simulations.
//!
//! Every call returns at once; what takes time answers through a [`Reply`]. Order matters: calls to one
//! [`RuleEnforcer`] take effect in the order in which they were made (the lease depends on it, T1).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::{LogIndex, SessionId, Thumbprint};
use ringwall_protocol::name::UserDn;
use ringwall_protocol::rules::RuleSet;
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::oneshot;

/// The answer to a call that takes time. A dropped sender means that the other side has stopped.
pub type Reply<T> = oneshot::Receiver<T>;

/// The tunnel addresses of one session; at least one is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionAddresses {
    /// IPv4 address inside the tunnel.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address inside the tunnel.
    pub v6: Option<Ipv6Addr>,
}

impl SessionAddresses {
    /// The addresses that are set, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// True if `address` is one of the session's own.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4 == Some(v4),
            IpAddr::V6(v6) => self.v6 == Some(v6),
        }
    }
}

/// A session's complete wanted rules, as a value (T3).
#[derive(Debug, Clone)]
pub struct Install {
    /// Whose rules.
    pub session: SessionId,
    /// Counts up per session; the enforcer refuses one that is not higher than what it applied.
    pub generation: u64,
    /// Feed index at which the tokens behind these rules were checked.
    pub checked_at: LogIndex,
    /// Whose session it is: what all sessions of one user may have together is bounded.
    pub user: UserDn,
    /// The addresses that lead to these rules.
    pub addresses: SessionAddresses,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// When the map element must vanish by itself, whoever is still alive then.
    pub expires_in: Duration,
}

/// Why rules were not installed. In every case the session must not be (or stay) admitted on the strength of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// The session was removed before; session ids never come back.
    #[error("the session has ended")]
    Ended,
    /// A newer generation is already applied.
    #[error("generation {got} is not above the applied {applied}")]
    Stale {
        /// Generation of the refused install.
        got: u64,
        /// Generation in force.
        applied: u64,
    },
    /// The kernel would need more than the bounded number of rule sets (T44).
    #[error("more than {limit} different rule sets would be needed")]
    TooManyRuleSets {
        /// The bound.
        limit: usize,
    },
    /// One of the addresses belongs to another live session.
    #[error("address {0} is held by another session")]
    AddressHeld(IpAddr),
    /// The kernel refused.
    #[error("the kernel refused the rules: {0}")]
    Kernel(String),
}

/// A confirmation that came through the feed, to be turned into lease time (T1, T26).
#[derive(Debug, Clone, Copy)]
pub struct LeaseRenewal {
    /// Every revocation up to here must be enforced before the lease may be renewed.
    pub read_index: LogIndex,
    /// When the poll that was confirmed left this Gateway. The lease ends `lease` after this.
    pub sent_at: Instant,
    /// Length of the lease.
    pub lease: Duration,
}

/// What owns the kernel's rules. One FIFO: removals and progress made before a renewal are enforced before it.
pub trait RuleEnforcer: Send + Sync + 'static {
    /// Installs or replaces a session's rules.
    fn install(&self, install: Install) -> Reply<Result<(), InstallError>>;
    /// Takes a session's rules out; `cut_at` is the feed index of the cause, later installs checked before it are refused.
    /// Answers once the kernel no longer lets its packets pass.
    fn remove(&self, session: SessionId, cut_at: LogIndex) -> Reply<()>;
    /// Every change up to `index` has been handed over by now.
    fn progress(&self, index: LogIndex);
    /// Renews the lease if `read_index` is enforced and no removal is outstanding; answers whether it did.
    fn renew_lease(&self, renewal: LeaseRenewal) -> Reply<bool>;
    /// Ends the lease at once: no packet passes until it is renewed.
    fn end_lease(&self);
}

/// A single-use secret with which a tunnel connection finds its session (T12). 32 random bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AttachToken(pub [u8; 32]);

impl std::fmt::Debug for AttachToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AttachToken(…)")
    }
}

/// What the tunnel workers must know of a session before its tunnel may attach.
#[derive(Debug, Clone)]
pub struct TunnelGrant {
    /// The session.
    pub session: SessionId,
    /// Source addresses that its frames may carry, destination addresses that lead to it.
    pub addresses: SessionAddresses,
    /// The key that the tunnel's certificate must have (the session's `cnf`).
    pub key: Thumbprint,
}

/// What moves packets. Cutting is immediate and idempotent.
pub trait TunnelPlane: Send + Sync + 'static {
    /// Makes the session known; its tunnel may attach with a token from now on.
    fn open(&self, grant: TunnelGrant);
    /// A further attach token for a session, valid 30 s, once.
    fn expect(&self, session: SessionId, token: AttachToken);
    /// Drops the session's packets from now on, closes its tunnel, forgets the session.
    fn cut(&self, session: SessionId, code: ErrorCode) -> Reply<()>;
}

/// Who finds out what names stand for, and puts it into the rules that ask for them.
pub trait NameKeeper: Send + Sync {
    /// The names and domains of the entitlements of a user's session, all of them; in place of what it wanted before.
    fn want(&self, session: SessionId, user: &UserDn, hosts: BTreeSet<Host>);

    /// The session has ended.
    fn forget(&self, session: SessionId);
}
