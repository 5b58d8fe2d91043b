//! The thread: in which order its parts come to their turn.
//!
//! Each turn: read the inbox; ends of the lease; removals; then requests in order; and when nothing waits, one piece
//! of maintenance. Between two transactions the inbox is read again, so a removal never waits for more than one.

mod installing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use ringwall_actors::ports::LeaseRenewal;
use ringwall_protocol::id::{LogIndex, SessionId};
use tokio::sync::{mpsc, oneshot};

use super::install_queue::InstallQueue;
use super::kernel_lease::KernelLease;
use super::removal_queue::{Removal, RemovalQueue};
use super::request::Request;
use super::standing::Standing;
use super::{FirewallEvent, knock_sets};
use crate::firewall::clock;
use crate::firewall::config::FirewallConfig;
use crate::firewall::conntrack;
use crate::firewall::readback::{Audit, Expected, ReadBack};
use crate::firewall::transactions::Transactions;

/// Longest sleep: the machine's suspension is noticed within this.
const TICK: Duration = Duration::from_millis(100);

/// Requests read from the inbox at once.
const READ_AHEAD: usize = 4_096;

/// The enforcer thread and its parts.
pub(in crate::firewall) struct EnforcerThread {
    inbox: Receiver<Request>,
    removals: RemovalQueue,
    installs: InstallQueue,
    standing: Standing,
    lease: KernelLease,
    kernel: Transactions,
    readback: ReadBack,
    outside: Outside,
    stopping: bool,
}

/// Who hears of the thread, and what the handle shares with it.
pub(in crate::firewall) struct Outside {
    pub(in crate::firewall) events: mpsc::Sender<FirewallEvent>,
    /// Connection tracking, which forgets addresses.
    pub(in crate::firewall) conntrack: conntrack::Work,
    /// Changes of the knock sets in the inbox.
    pub(in crate::firewall) knocks: Arc<AtomicUsize>,
    /// Rule sets in force.
    pub(in crate::firewall) rule_sets: Arc<AtomicUsize>,
}

impl Outside {
    /// Tells whoever listens; a full channel loses the event, which is counted.
    fn notice(&self, event: FirewallEvent) {
        if self.events.try_send(event).is_err() {
            metrics::counter!("ringwall_firewall_events_dropped_total").increment(1);
        }
    }
}

impl EnforcerThread {
    /// A thread that owns `kernel`, whose table is new.
    pub(in crate::firewall) fn new(
        inbox: Receiver<Request>,
        kernel: Transactions,
        readback: ReadBack,
        config: &FirewallConfig,
        outside: Outside,
    ) -> Self {
        Self {
            inbox,
            removals: RemovalQueue::default(),
            installs: InstallQueue::default(),
            standing: Standing::new(config, outside.conntrack.clone(), Arc::clone(&outside.rule_sets)),
            lease: KernelLease::new(config.tun.clone(), clock::suspended()),
            kernel,
            readback,
            outside,
            stopping: false,
        }
    }

    /// Works until it is told to stop or every handle is gone; then ends the lease and leaves the table dropping.
    pub(in crate::firewall) fn run(mut self) {
        loop {
            let more = self.read();
            self.check_suspension(clock::suspended());
            self.due(Instant::now());
            if self.stopping || !more {
                break;
            }
            if self.turn() || self.maintain(Instant::now()) {
                continue;
            }
            match self.inbox.recv_timeout(TICK) {
                Ok(request) => self.sort(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.lease.end(&mut self.kernel, Instant::now());
    }

    /// Takes what is in the inbox; false once nobody can ask any more.
    fn read(&mut self) -> bool {
        for _ in 0..READ_AHEAD {
            match self.inbox.try_recv() {
                Ok(request) => self.sort(request),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return !self.installs.is_empty(),
            }
        }
        true
    }

    /// What makes things stricter overtakes; the rest keeps its order.
    fn sort(&mut self, request: Request) {
        match request {
            Request::Remove { session, cut_at, reply } => self.add_tombstone(session, cut_at, reply, Instant::now()),
            Request::EndLease { at } => self.lease.end(&mut self.kernel, at),
            Request::Stop => self.stopping = true,
            other => self.installs.push(other),
        }
    }

    /// Does what waits; false if nothing did.
    fn turn(&mut self) -> bool {
        if self.removals.is_due() {
            self.remove();
        } else if let Some(request) = self.installs.next_other() {
            self.serve(request);
        } else if self.installs.is_empty() {
            return false;
        } else {
            self.install();
        }
        true
    }

    /// Serves a request that is neither an install nor one that overtakes.
    fn serve(&mut self, request: Request) {
        match request {
            Request::Progress(index) => self.lease.progressed(index),
            Request::Renew { renewal, reply } => {
                let _ = reply.send(self.renew(&renewal));
            }
            Request::Knock { change, reply } => {
                self.outside.knocks.fetch_sub(1, Ordering::Relaxed);
                let messages = knock_sets::messages(self.kernel.table(), change);
                let _ = reply.send(self.kernel.commit(messages).is_ok());
            }
            Request::Resolved { host, addresses, at } => {
                self.standing.resolved(&mut self.kernel, host, addresses, at, Instant::now());
            }
            Request::Told { session, host, addresses, at, reply } => {
                let told = (&host, addresses.as_slice(), at);
                let _ = reply.send(self.standing.told(&mut self.kernel, session, told, Instant::now()));
            }
            Request::Cleaned(addresses) => {
                addresses.into_iter().for_each(|address| self.standing.ledger.cleaned(address));
                self.installs.unpark();
            }
            Request::Audit(reply) => {
                let _ = reply.send(self.audit(Instant::now()));
            }
            // Taken elsewhere; nothing to be done twice.
            Request::Install(_) | Request::Remove { .. } | Request::EndLease { .. } | Request::Stop => {}
        }
    }

    /// Adds a tombstone and queues the removal: installs of this session that are still queued are refused.
    fn add_tombstone(&mut self, session: SessionId, cut_at: LogIndex, reply: oneshot::Sender<()>, now: Instant) {
        self.standing.ledger.add_tombstone(session, cut_at, now);
        let Some(reply) = self.removals.join(session, reply) else { return };
        if self.standing.ledger.held(session).is_none() {
            let _ = reply.send(());
            return;
        }
        self.removals.push(session, reply);
    }

    /// Takes every waiting session out of the kernel: out first, answered then, everything else afterwards.
    fn remove(&mut self) {
        let removals = self.removals.take();
        let sessions: Vec<SessionId> = removals.iter().map(|removal| removal.session).collect();
        match self.standing.remove(&mut self.kernel, &sessions, Instant::now()) {
            Ok(()) => {
                removals.into_iter().for_each(Removal::acknowledge);
                self.standing.removed(&mut self.kernel, &sessions, Instant::now());
            }
            Err(_) => {
                for session in self.removals.refuse(removals, Instant::now()) {
                    self.outside.notice(FirewallEvent::RemovalRefused(session));
                }
            }
        }
    }

    /// Tries refused removals again when it is time.
    fn retry_removals(&mut self, now: Instant) {
        if self.removals.retry(now) {
            self.remove();
        }
    }

    /// No lease is renewed while a removal is outstanding.
    fn renew(&mut self, renewal: &LeaseRenewal) -> bool {
        self.lease.renew(&mut self.kernel, renewal, self.removals.is_outstanding())
    }

    fn check_suspension(&mut self, suspended: Duration) {
        if self.lease.was_suspended(suspended) {
            self.lease.end(&mut self.kernel, Instant::now());
            self.outside.notice(FirewallEvent::Suspended);
        }
    }

    /// What is due now, whatever waits.
    fn due(&mut self, now: Instant) {
        self.retry_removals(now);
        self.installs.expire_parked(now);
        self.standing.ledger.forget(now);
        self.lease.drop_unheld(&mut self.kernel, now);
        if self.lease.ran_out(now) {
            tracing::warn!("lease expired; no packet passes until it is renewed");
            self.outside.notice(FirewallEvent::LeaseLapsed);
        }
        self.watch_for_others(now);
    }

    /// One piece of work that can wait; false if there is none.
    fn maintain(&mut self, now: Instant) -> bool {
        self.standing.make_slots(&mut self.kernel) || self.standing.empty_slots(&mut self.kernel, now)
    }

    /// Compares the kernel's table with what it should be.
    fn audit(&mut self, now: Instant) -> Result<Audit, String> {
        let named = self.standing.names.keys();
        let expected = Expected {
            ledger: &self.standing.ledger,
            slots: &self.standing.slots,
            named: &named,
            lease: self.lease.holder(now),
        };
        self.readback.audit(&mut self.kernel, &expected, now)
    }

    /// Second line behind the table's ownership: somebody else's transactions cause a read-back.
    fn watch_for_others(&mut self, now: Instant) {
        if !self.readback.suspects(&mut self.kernel, now) {
            return;
        }
        metrics::counter!("ringwall_firewall_foreign_changes_total").increment(1);
        if let Ok(audit) = self.audit(now)
            && !audit.differences.is_empty()
        {
            self.outside.notice(FirewallEvent::ForeignChange(audit.differences));
        }
    }
}

#[cfg(test)]
mod tests;
