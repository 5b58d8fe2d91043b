//! What stands in front of every listener: ClientHello, knock, protocol; and no byte out before all three are right.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;
use tokio::net::TcpStream;

use super::accept::{Hello, HelloError, chosen, read_hello};
use super::alpn::Alpn;
use crate::spa::{KeyOwner, Knock, KnockError, PeerRole, Receiver};

/// Whether a proof is wanted in the ClientHello. In mode UDP-TCP the kernel wants a packet before, and this too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SpaPolicy {
    /// Nobody is let in: what is wanted is not known yet, or cannot be kept.
    Closed = 0,
    /// The first ALPN entry must be a fresh proof.
    Tcp = 1,
    /// Whoever comes may begin a handshake.
    Open = 2,
}

/// Why a connection was not let in; it has been reset.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// No ClientHello.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// No proof, or a wrong one.
    #[error(transparent)]
    Knock(#[from] KnockError),
    /// Nobody is let in now.
    #[error("the port is closed")]
    Closed,
    /// None of this listener's protocols, or not one that the knock's key is for.
    #[error("peer offers no protocol that this listener serves to it")]
    Protocol,
}

/// A connection that may begin its handshake.
#[derive(Debug)]
pub struct Admitted {
    /// The connection.
    pub hello: Hello,
    /// Whose knock it was; `None` where none was wanted.
    pub knock: Option<Knock>,
    /// What will be spoken.
    pub protocol: Alpn,
}

/// What knocks bought where the kernel guards the port (mode UDP-TCP).
pub trait Purchases: Send + Sync {
    /// A connection from `source` to `port` of this host proved itself with a key of `owner`; false if that key bought
    /// nothing here, or all of it is spent.
    fn spend(&self, source: SocketAddr, port: u16, owner: &KeyOwner) -> bool;
}

/// The gate of one listener. The receiver is the process's only one, shared by all gates and the UDP port.
pub struct Gate {
    service: Service,
    served: Vec<Alpn>,
    policy: AtomicU8,
    receiver: Arc<Mutex<Receiver>>,
    clock: Box<dyn Fn() -> UnixMillis + Send + Sync>,
    purchases: Option<Arc<dyn Purchases>>,
}

impl Gate {
    /// A gate for `service` with the protocols of its listener, best first. `clock` gives wall-clock time.
    #[must_use]
    pub fn new(
        service: Service,
        served: &[Alpn],
        policy: SpaPolicy,
        receiver: Arc<Mutex<Receiver>>,
        clock: impl Fn() -> UnixMillis + Send + Sync + 'static,
    ) -> Self {
        let policy = AtomicU8::new(policy as u8);
        Self { service, served: served.to_vec(), policy, receiver, clock: Box::new(clock), purchases: None }
    }

    /// Lets proved connections in only as far as `purchases` say. Connections of this host to itself, which no guard of
    /// the kernel concerns, need the proof alone.
    #[must_use]
    pub fn with_purchases(mut self, purchases: Arc<dyn Purchases>) -> Self {
        self.purchases = Some(purchases);
        self
    }

    /// Changes the policy for connections from now on.
    pub fn set_policy(&self, policy: SpaPolicy) {
        self.policy.store(policy as u8, Ordering::Release);
    }

    /// Lets a connection in, or resets it without a word.
    ///
    /// # Errors
    /// [`GateError`].
    pub async fn admit(&self, stream: TcpStream) -> Result<Admitted, GateError> {
        match self.policy.load(Ordering::Acquire) {
            policy if policy == SpaPolicy::Open as u8 => self.admit_if(stream, true).await,
            policy if policy == SpaPolicy::Tcp as u8 => self.admit_if(stream, false).await,
            _ => {
                super::accept::reset(stream);
                Err(GateError::Closed)
            }
        }
    }

    /// The same without a knock, for sources that the configuration allows (the admin API's loopback).
    ///
    /// # Errors
    /// [`GateError`].
    pub async fn admit_without_knock(&self, stream: TcpStream) -> Result<Admitted, GateError> {
        self.admit_if(stream, true).await
    }

    async fn admit_if(&self, stream: TcpStream, open: bool) -> Result<Admitted, GateError> {
        let hello = read_hello(stream).await?;
        match self.judge(hello.entries(), hello.addresses(), open) {
            Ok((knock, protocol)) => Ok(Admitted { hello, knock, protocol }),
            Err(error) => {
                hello.refuse();
                Err(error)
            }
        }
    }

    /// Whether these ALPN entries of a ClientHello open the port for who sent them (its address and ours), and what will be
    /// spoken.
    pub(crate) fn judge(
        &self,
        entries: &[Vec<u8>],
        addresses: Option<(SocketAddr, SocketAddr)>,
        open: bool,
    ) -> Result<(Option<Knock>, Alpn), GateError> {
        let knock = if open { None } else { Some(self.knock(entries, addresses)?) };
        match chosen(entries, &self.served) {
            Some(protocol) if knock.as_ref().is_none_or(|knock| opens(&knock.owner, protocol)) => Ok((knock, protocol)),
            _ => Err(GateError::Protocol),
        }
    }

    fn knock(&self, entries: &[Vec<u8>], addresses: Option<(SocketAddr, SocketAddr)>) -> Result<Knock, KnockError> {
        let entry = entries.first().ok_or(KnockError::Shape)?;
        let now = (self.clock)();
        // A panic elsewhere cannot leave the receiver half changed in a way that accepts more than it should.
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that has gone already has no addresses, and nothing to prove.
        let (source, own) = addresses.ok_or(KnockError::Shape)?;
        let knock = receiver.alpn_entry(entry, source.ip(), now)?;
        drop(receiver);
        if knock.service != self.service {
            return Err(KnockError::Service);
        }
        let from_here = source.ip().to_canonical().is_loopback() || source.ip() == own.ip();
        match &self.purchases {
            Some(purchases) if !from_here && !purchases.spend(source, own.port(), &knock.owner) => {
                Err(KnockError::Spent)
            }
            _ => Ok(knock),
        }
    }
}

/// Whether a key is for this protocol: the key of a seed file, which travels by hand, must not reach Raft.
pub(crate) const fn opens(owner: &KeyOwner, protocol: Alpn) -> bool {
    match owner {
        KeyOwner::Peer(PeerRole::Raft) => matches!(protocol, Alpn::Raft),
        KeyOwner::Peer(PeerRole::Feed) => matches!(protocol, Alpn::Feed),
        KeyOwner::Peer(PeerRole::Join) => matches!(protocol, Alpn::Join),
        _ => true,
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("service", &self.service).field("served", &self.served).finish_non_exhaustive()
    }
}
