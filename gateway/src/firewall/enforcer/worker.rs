//! The thread: what it owns, in which order it works.
//!
//! Each turn: read the queue; ends of the lease; removals; then requests in order; and when nothing waits, one piece
//! of housekeeping. Between two transactions the queue is read again, so a cut never waits for more than one.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ringwall_kernel::guard;
use ringwall_protocol::id::{LogIndex, SessionId};
use ringwall_protocol::rules::RuleSet;
use tokio::sync::oneshot;

use super::installs::Prepared;
use super::names::Names;
use super::{FirewallEvent, KnockChange, QueuedInstall, Request};
use crate::firewall::batch::Batch;
use crate::firewall::clock;
use crate::firewall::config::FirewallConfig;
use crate::firewall::conntrack;
use crate::firewall::kernel::{CommitError, Kernel};
use crate::firewall::lease::Lease;
use crate::firewall::ledger::Ledger;
use crate::firewall::objects::{Element, Table};
use crate::firewall::readback::Baseline;
use crate::firewall::skeleton::{PEERS4, PEERS6};
use crate::firewall::slots::{MAX_RULE_SETS, Mark, Slots};

/// Longest sleep: the machine's suspension is noticed within this.
const TICK: Duration = Duration::from_millis(100);

/// Requests read from the queue at once.
const READ_AHEAD: usize = 4_096;

/// Tombstones outlive the longest lease by this (T3).
const AFTER_LEASE: Duration = Duration::from_secs(60);

/// A removal that is not acknowledged yet.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) session: SessionId,
    pub(super) replies: Vec<oneshot::Sender<()>>,
    /// The kernel refused it before; whoever listens knows.
    pub(super) refused: bool,
}

/// The state of the enforcer thread.
pub(in crate::firewall) struct Worker {
    pub(super) kernel: Kernel,
    pub(super) table: Table,
    pub(super) config: FirewallConfig,
    pub(super) ledger: Ledger,
    pub(super) lease: Lease,
    pub(super) slots: Slots,
    /// The rules that were put into a slot.
    pub(super) contents: HashMap<Mark, Arc<RuleSet>>,
    /// Requests in order, without those that overtake.
    pub(super) backlog: VecDeque<Request>,
    /// Cuts to be sent next.
    pub(super) cuts: Vec<Removal>,
    /// Cuts that the kernel refused; no lease is renewed while there are any.
    pub(super) outstanding: Vec<Removal>,
    pub(super) retry_at: Option<Instant>,
    /// Installs that wait for an address, with the time they give up.
    pub(super) parked: Vec<(Instant, Box<QueuedInstall>)>,
    pub(super) prepared: Vec<Prepared>,
    pub(super) names: Names,
    pub(super) baseline: Baseline,
    pub(super) conntrack: conntrack::Work,
    pub(super) events: tokio::sync::mpsc::Sender<FirewallEvent>,
    pub(super) knocks: Arc<AtomicUsize>,
    pub(super) rule_sets: Arc<AtomicUsize>,
    pub(super) suspended: Duration,
    pub(super) leased_index: Option<u32>,
    pub(super) watch: super::housekeeping::Watch,
    stopping: bool,
}

/// What the worker is made from.
pub(in crate::firewall) struct Parts {
    pub(in crate::firewall) kernel: Kernel,
    pub(in crate::firewall) table: Table,
    pub(in crate::firewall) config: FirewallConfig,
    pub(in crate::firewall) baseline: Baseline,
    pub(in crate::firewall) conntrack: conntrack::Work,
    pub(in crate::firewall) events: tokio::sync::mpsc::Sender<FirewallEvent>,
    pub(in crate::firewall) knocks: Arc<AtomicUsize>,
    pub(in crate::firewall) rule_sets: Arc<AtomicUsize>,
}

impl Worker {
    pub(in crate::firewall) fn new(parts: Parts) -> Self {
        let memory = parts.config.longest_lease + AFTER_LEASE;
        Self {
            kernel: parts.kernel,
            table: parts.table,
            ledger: Ledger::new(memory),
            lease: Lease::default(),
            slots: Slots::new(parts.config.longest_lease, MAX_RULE_SETS),
            config: parts.config,
            contents: HashMap::new(),
            backlog: VecDeque::new(),
            cuts: vec![],
            outstanding: vec![],
            retry_at: None,
            parked: vec![],
            prepared: vec![],
            names: Names::default(),
            baseline: parts.baseline,
            conntrack: parts.conntrack,
            events: parts.events,
            knocks: parts.knocks,
            rule_sets: parts.rule_sets,
            suspended: clock::suspended(),
            leased_index: None,
            watch: super::housekeeping::Watch::default(),
            stopping: false,
        }
    }

    /// Works until it is told to stop or every handle is gone; then ends the lease and leaves the table dropping.
    pub(in crate::firewall) fn run(mut self, queue: &Receiver<Request>) {
        loop {
            let more = self.read(queue);
            self.check_suspension(clock::suspended());
            self.due();
            if self.stopping || !more {
                break;
            }
            if self.turn(queue) || self.run_maintenance() {
                continue;
            }
            match queue.recv_timeout(TICK) {
                Ok(request) => self.sort(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.end_lease(Instant::now());
    }

    /// Takes what is in the queue; false once nobody can ask any more.
    fn read(&mut self, queue: &Receiver<Request>) -> bool {
        for _ in 0..READ_AHEAD {
            match queue.try_recv() {
                Ok(request) => self.sort(request),
                Err(std::sync::mpsc::TryRecvError::Empty) => return true,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return !self.backlog.is_empty(),
            }
        }
        true
    }

    /// What makes things stricter overtakes; the rest keeps its order.
    fn sort(&mut self, request: Request) {
        match request {
            Request::Remove { session, cut_at, reply } => self.add_tombstone(session, cut_at, reply),
            Request::EndLease { at } => self.end_lease(at),
            Request::Stop => self.stopping = true,
            other => self.backlog.push_back(other),
        }
    }

    /// Does what waits; false if nothing did.
    fn turn(&mut self, queue: &Receiver<Request>) -> bool {
        if !self.cuts.is_empty() {
            self.cut();
            return true;
        }
        let Some(request) = self.backlog.pop_front() else { return false };
        match request {
            Request::Install(asked) => {
                self.backlog.push_front(Request::Install(asked));
                self.installs(queue);
            }
            Request::Progress(index) => self.progressed(index),
            Request::Renew { renewal, reply } => {
                let renewed = self.renew(&renewal);
                let _ = reply.send(renewed);
            }
            Request::Knock { change, reply } => {
                self.knocks.fetch_sub(1, Ordering::Relaxed);
                let done = self.knock(change);
                let _ = reply.send(done);
            }
            Request::Resolved { host, addresses, at } => self.resolved(host, addresses, at),
            Request::Told { session, host, addresses, at, reply } => {
                let told = self.told(session, host, &addresses, at);
                let _ = reply.send(told);
            }
            Request::Cleaned(addresses) => self.cleaned(&addresses),
            Request::Audit(reply) => {
                let audit = self.audit();
                let _ = reply.send(audit);
            }
            // Sorted out before; nothing to be done twice.
            Request::Remove { .. } | Request::EndLease { .. } | Request::Stop => {}
        }
        true
    }

    /// Between two transactions of one request: cuts that came meanwhile go first.
    pub(super) fn let_cuts_pass(&mut self, queue: &Receiver<Request>) {
        self.read(queue);
        if !self.cuts.is_empty() {
            self.cut();
        }
    }

    fn progressed(&mut self, index: LogIndex) {
        self.lease.progressed(index);
        metrics::gauge!("ringwall_firewall_enforced_index").set(index.0 as f64);
    }

    /// Sends a batch and keeps the figures.
    pub(super) fn commit(&mut self, batch: Batch) -> Result<(), CommitError> {
        let begun = Instant::now();
        let result = self.kernel.commit(batch);
        metrics::histogram!("ringwall_firewall_apply_seconds").record(begun.elapsed().as_secs_f64());
        if let Err(error) = &result {
            metrics::counter!("ringwall_firewall_batch_errors_total").increment(1);
            tracing::warn!(%error, "nftables transaction failed");
        }
        result
    }

    /// Tells whoever listens; a full channel loses the event, which is counted.
    pub(super) fn notice(&self, event: FirewallEvent) {
        if self.events.try_send(event).is_err() {
            metrics::counter!("ringwall_firewall_events_dropped_total").increment(1);
        }
    }

    fn knock(&mut self, change: KnockChange) -> bool {
        let expiring = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let ((set, key), element) = match change {
            KnockChange::Open { source, port, connections, time } => {
                let (set, key) = guard::place(source, port);
                let element = Element::key(key.clone()).expiring(expiring(time)).counted(connections);
                ((set, key), Some(element))
            }
            KnockChange::Close { source, port } => (guard::place(source, port), None),
            KnockChange::AddPeer { peer, time } => {
                let (set, key) = peer_place(peer);
                ((set, key.clone()), Some(Element::key(key).expiring(expiring(time))))
            }
            KnockChange::RemovePeer { peer } => (peer_place(peer), None),
        };
        let mut batch = Batch::default();
        // A plain add would not extend an element that is there already.
        batch.push(self.table.destroy_elements(set, vec![Element::key(key)]));
        if let Some(element) = element {
            batch.push(self.table.add(set, vec![element]));
        }
        self.commit(batch).is_ok()
    }
}

fn peer_place(peer: SocketAddr) -> (&'static str, Vec<u8>) {
    let (_, key) = guard::place(peer.ip(), peer.port());
    (if peer.ip().to_canonical().is_ipv4() { PEERS4 } else { PEERS6 }, key)
}
