//! The lease in the kernel: one element with the remaining time as its timeout (T1, T26).
//!
//! When it may be renewed is decided by the pure [`Lease`]; here is what keeps the kernel's element in step with it.

use std::time::{Duration, Instant};

use ringwall_actors::ports::LeaseRenewal;
use ringwall_kernel::nft::{Element, Message, Table};
use ringwall_protocol::id::LogIndex;

use crate::firewall::clock;
use crate::firewall::config::InterfaceName;
use crate::firewall::lease::{Lease, LeaseDecision, SLIP, SUSPENSION};
use crate::firewall::skeleton::LEASE;
use crate::firewall::transactions::Transactions;

/// How often a renewal that took too long is corrected before the lease is ended instead.
const CORRECTIONS: usize = 3;

/// The lease, and the element that the kernel has of it.
#[derive(Debug)]
pub(super) struct KernelLease {
    lease: Lease,
    tun: InterfaceName,
    /// Interface index of the element that the kernel may hold.
    element: Option<u32>,
    /// Time that the machine was suspended since boot, as last seen.
    suspended: Duration,
}

impl KernelLease {
    pub(super) fn new(tun: InterfaceName, suspended: Duration) -> Self {
        Self { lease: Lease::default(), tun, element: None, suspended }
    }

    /// Everything up to `index` is in force.
    pub(super) fn progressed(&mut self, index: LogIndex) {
        self.lease.progressed(index);
        metrics::gauge!("ringwall_firewall_enforced_index").set(index.0 as f64);
    }

    /// Renews the lease if everything the confirmation wants is in force; true if the lease holds as asked.
    pub(super) fn renew(&mut self, kernel: &mut Transactions, renewal: &LeaseRenewal, outstanding: bool) -> bool {
        let end = match self.lease.asked(renewal, outstanding, Instant::now()) {
            LeaseDecision::Refused => return false,
            LeaseDecision::Held => return true,
            LeaseDecision::Until(end) => end,
        };
        let Some(index) = interface_index(&self.tun) else {
            tracing::warn!(tun = %self.tun, "cannot renew the lease: TUN interface not found");
            return false;
        };
        for _ in 0..CORRECTIONS {
            let suspended = clock::suspended();
            let computed = Instant::now();
            let remaining = end.saturating_duration_since(computed).as_millis();
            let milliseconds = u64::try_from(remaining).unwrap_or(u64::MAX);
            if milliseconds == 0 || kernel.commit(self.renewed(kernel.table(), index, milliseconds)).is_err() {
                break;
            }
            self.element = Some(index);
            if clock::suspended().saturating_sub(suspended) > SUSPENSION {
                break;
            }
            if computed.elapsed() <= SLIP {
                self.lease.renewed(end);
                return true;
            }
        }
        self.end(kernel, Instant::now());
        false
    }

    /// `add, delete, add`: renewed in every state of the element, with the interface's former index gone.
    fn renewed(&self, table: &Table, index: u32, milliseconds: u64) -> Vec<Message> {
        let former = self.element.filter(|former| *former != index);
        let mut messages: Vec<Message> = former.map(|former| destroy(table, former)).into_iter().collect();
        messages.extend([
            table.add(LEASE, vec![key(index).expiring(milliseconds)]),
            table.delete(LEASE, vec![key(index)]),
            table.add(LEASE, vec![key(index).expiring(milliseconds)]),
        ]);
        messages
    }

    /// Nothing passes from now on. Polls sent before `at` renew nothing.
    pub(super) fn end(&mut self, kernel: &mut Transactions, at: Instant) {
        self.lease.ended(at);
        self.drop_element(kernel);
    }

    /// Takes the element of a lease that does not hold out of the kernel: again each turn if the kernel refuses.
    pub(super) fn drop_unheld(&mut self, kernel: &mut Transactions, now: Instant) {
        if !self.lease.holds(now) {
            self.drop_element(kernel);
        }
    }

    fn drop_element(&mut self, kernel: &mut Transactions) {
        let Some(index) = self.element else { return };
        let destroyed = destroy(kernel.table(), index);
        if kernel.commit([destroyed]).is_ok() {
            self.element = None;
        }
    }

    /// True once after the lease ran out by itself.
    pub(super) fn ran_out(&mut self, now: Instant) -> bool {
        self.lease.ran_out(now)
    }

    /// The interface that holds the lease now.
    pub(super) fn holder(&self, now: Instant) -> Option<u32> {
        self.element.filter(|_| self.lease.holds(now))
    }

    /// A suspended machine held its timers back: what the lease promised is no longer true. `suspended` is the time
    /// spent so since boot; true if it grew by so much that the lease must end.
    pub(super) fn was_suspended(&mut self, suspended: Duration) -> bool {
        let longer = suspended.saturating_sub(self.suspended);
        self.suspended = suspended;
        if longer > SUSPENSION {
            tracing::warn!(seconds = longer.as_secs_f64(), "the machine was suspended; the lease is ended");
        }
        longer > SUSPENSION
    }
}

fn key(index: u32) -> Element {
    Element::key(index.to_ne_bytes().to_vec())
}

fn destroy(table: &Table, index: u32) -> Message {
    table.destroy_elements(LEASE, vec![key(index)])
}

/// The number of the TUN now: a renamed or replaced interface gets no lease.
fn interface_index(tun: &InterfaceName) -> Option<u32> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None);
    rustix::net::netdevice::name_to_index(socket.ok()?, tun.as_str()).ok()
}
