//! The enforcer: one thread that alone owns the kernel's rules, and the handle with which others ask it.
//!
//! Requests stand in one queue and take effect in the order of the calls, with one exception that only makes things
//! stricter: removals and ends of the lease overtake. Installs never share a transaction with removals. Every answer
//! is given after the kernel's acknowledgement.

mod install_queue;
mod kernel_lease;
mod knock_sets;
mod removal_queue;
mod request;
mod standing;
mod thread;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ringwall_actors::ports::{Install, InstallError, LeaseRenewal, Reply, RuleEnforcer};
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::{LogIndex, SessionId};
use tokio::sync::oneshot;

use super::readback::Audit;
use request::{KnockChange, QueuedInstall};

pub(super) use request::Request;
pub(super) use thread::{EnforcerThread, Outside};

/// Changes of the knock sets that may wait at a time: a flood of knocks must not fill the queue of cuts.
const KNOCKS_WAITING: usize = 4_096;

/// What the enforcer noticed by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirewallEvent {
    /// The machine was suspended; the lease was ended and the feed must be subscribed anew (T26).
    Suspended,
    /// The lease ran out, nothing passes until it is renewed.
    LeaseLapsed,
    /// The kernel refuses to take a session's rules out; its tunnel must be cut, its lease is not renewed meanwhile.
    RemovalRefused(SessionId),
    /// Somebody else changed rules of this host and ours no longer are what they should be.
    ForeignChange(Vec<String>),
}

/// A handle to the enforcer thread.
#[derive(Debug, Clone)]
pub struct Enforcer {
    requests: mpsc::Sender<Request>,
    knocks: Arc<AtomicUsize>,
    /// Rule sets in force, as the thread last said.
    rule_sets: Arc<AtomicUsize>,
}

impl Enforcer {
    /// A handle and the other end of its queue.
    pub(super) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, queue) = mpsc::channel();
        (Self { requests, knocks: Arc::default(), rule_sets: Arc::default() }, queue)
    }

    /// Lets `source` begin TCP connections to `port` within a time (at least 1 ms); returns whether the kernel took it.
    /// Calling again counts from then, in place of what was left.
    pub fn open_knock(&self, source: IpAddr, port: u16, time: Duration) -> Reply<bool> {
        self.knock(KnockChange::Open { source, port, time })
    }

    /// Takes back [`Self::open_knock`]: no further connection begins, and none goes on without payload of ours.
    pub fn close_knock(&self, source: IpAddr, port: u16) -> Reply<bool> {
        self.knock(KnockChange::Close { source, port })
    }

    /// Lets datagrams from `peer` in for a time: 10 s after a knock, as long as it is attached later.
    pub fn add_peer(&self, peer: SocketAddr, time: Duration) -> Reply<bool> {
        self.knock(KnockChange::AddPeer { peer, time })
    }

    /// Takes back [`Self::add_peer`].
    pub fn remove_peer(&self, peer: SocketAddr) -> Reply<bool> {
        self.knock(KnockChange::RemovePeer { peer })
    }

    /// Makes a name stand for these addresses, each for its time, and for no others, in the rules of every session.
    pub fn resolved(&self, host: Host, addresses: Vec<(IpAddr, Duration)>) {
        self.tell(Request::Resolved { host, addresses, at: Instant::now() });
    }

    /// Makes a name stand for these addresses too, each for its time, in the rules of one session; answers whether the
    /// kernel has them.
    #[must_use]
    pub fn told(&self, session: SessionId, host: Host, addresses: Vec<(IpAddr, Duration)>) -> Reply<bool> {
        let at = Instant::now();
        self.ask(|reply| Request::Told { session, host, addresses, at, reply })
    }

    /// Compares what the kernel holds with what it should hold. To be called every 60 s.
    #[must_use]
    pub fn audit(&self) -> Reply<Result<Audit, String>> {
        self.ask(Request::Audit)
    }

    /// Different rule sets that sessions have.
    #[must_use]
    pub fn rule_sets(&self) -> usize {
        self.rule_sets.load(Ordering::Relaxed)
    }

    fn knock(&self, change: KnockChange) -> Reply<bool> {
        let opens = matches!(change, KnockChange::Open { .. } | KnockChange::AddPeer { .. });
        let waiting = self.knocks.fetch_add(1, Ordering::Relaxed);
        if opens && waiting >= KNOCKS_WAITING {
            self.knocks.fetch_sub(1, Ordering::Relaxed);
            metrics::counter!("ringwall_firewall_knocks_dropped_total").increment(1);
            let (reply, answer) = oneshot::channel();
            let _ = reply.send(false);
            return answer;
        }
        self.ask(|reply| Request::Knock { change, reply })
    }

    /// Asks, and promises an answer: a dropped one if the thread has stopped.
    fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Reply<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(request(reply));
        answer
    }

    pub(super) fn tell(&self, request: Request) {
        // A stopped thread drops the request and with it the promise of an answer.
        let _ = self.requests.send(request);
    }

    pub(super) fn knocks(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.knocks)
    }

    pub(super) fn rule_sets_told(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.rule_sets)
    }
}

impl RuleEnforcer for Enforcer {
    fn install(&self, install: Install) -> Reply<Result<(), InstallError>> {
        let at = Instant::now();
        self.ask(|reply| Request::Install(Box::new(QueuedInstall { install, at, reply })))
    }

    fn remove(&self, session: SessionId, cut_at: LogIndex) -> Reply<()> {
        self.ask(|reply| Request::Remove { session, cut_at, reply })
    }

    fn progress(&self, index: LogIndex) {
        self.tell(Request::Progress(index));
    }

    fn renew_lease(&self, renewal: LeaseRenewal) -> Reply<bool> {
        self.ask(|reply| Request::Renew { renewal, reply })
    }

    fn end_lease(&self) {
        self.tell(Request::EndLease { at: Instant::now() });
    }
}
