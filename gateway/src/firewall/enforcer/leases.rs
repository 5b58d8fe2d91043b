//! The lease in the kernel: one element with the remaining time as its timeout (T1, T26).

use std::time::{Duration, Instant};

use ringwall_actors::ports::LeaseRenewal;

use super::FirewallEvent;
use super::worker::Worker;
use crate::firewall::batch::Batch;
use crate::firewall::clock;
use crate::firewall::lease::{Renewal, SLIP, SUSPENSION};
use crate::firewall::objects::Element;
use crate::firewall::skeleton::LEASE;

/// How often a renewal that took too long is corrected before the lease is ended instead.
const CORRECTIONS: usize = 3;

impl Worker {
    /// Renews the lease if everything the confirmation wants is in force; true if the lease holds as asked.
    pub(super) fn renew(&mut self, renewal: &LeaseRenewal) -> bool {
        let outstanding = !self.outstanding.is_empty() || !self.cuts.is_empty();
        let end = match self.lease.asked(renewal, outstanding, Instant::now()) {
            Renewal::Refused => return false,
            Renewal::Held => return true,
            Renewal::Until(end) => end,
        };
        let Some(index) = self.tunnel_index() else {
            tracing::warn!(tun = %self.config.tun, "cannot renew the lease: TUN interface not found");
            return false;
        };
        for _ in 0..CORRECTIONS {
            let suspended = clock::suspended();
            let computed = Instant::now();
            let remaining = end.saturating_duration_since(computed).as_millis();
            let milliseconds = u64::try_from(remaining).unwrap_or(u64::MAX);
            if milliseconds == 0 || self.commit(self.renewal(index, milliseconds)).is_err() {
                break;
            }
            self.leased_index = Some(index);
            if clock::suspended().saturating_sub(suspended) > SUSPENSION {
                break;
            }
            if computed.elapsed() <= SLIP {
                self.lease.renewed(end);
                return true;
            }
        }
        self.end_lease(Instant::now());
        false
    }

    /// `add, delete, add`: renewed in every state of the element, with the interface's former number gone.
    fn renewal(&self, index: u32, milliseconds: u64) -> Batch {
        let key = || Element::key(index.to_ne_bytes().to_vec());
        let former = self.leased_index.filter(|former| *former != index);
        let former =
            former.map(|former| self.table.destroy_elements(LEASE, vec![Element::key(former.to_ne_bytes().to_vec())]));
        let renewed = [
            self.table.add(LEASE, vec![key().expiring(milliseconds)]),
            self.table.delete(LEASE, vec![key()]),
            self.table.add(LEASE, vec![key().expiring(milliseconds)]),
        ];
        former.into_iter().chain(renewed).collect()
    }

    /// Nothing passes from now on. Polls sent before `at` renew nothing.
    pub(super) fn end_lease(&mut self, at: Instant) {
        self.lease.ended(at);
        self.drop_lease_element();
    }

    /// Takes the element out of the kernel; tried again each turn if the kernel refuses.
    pub(super) fn drop_lease_element(&mut self) {
        let Some(index) = self.leased_index else { return };
        let element = Element::key(index.to_ne_bytes().to_vec());
        let batch = [self.table.destroy_elements(LEASE, vec![element])].into_iter().collect();
        if self.commit(batch).is_ok() {
            self.leased_index = None;
        }
    }

    /// A suspended machine held its timers back: what the lease promised is no longer true. `suspended` is the time
    /// spent so since boot.
    pub(super) fn check_suspension(&mut self, suspended: Duration) {
        let longer = suspended.saturating_sub(self.suspended);
        self.suspended = suspended;
        if longer > SUSPENSION {
            tracing::warn!(seconds = longer.as_secs_f64(), "the machine was suspended; the lease is ended");
            self.end_lease(Instant::now());
            self.notice(FirewallEvent::Suspended);
        }
    }

    /// The number of the TUN now: a renamed or replaced interface gets no lease.
    fn tunnel_index(&self) -> Option<u32> {
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None);
        rustix::net::netdevice::name_to_index(socket.ok()?, self.config.tun.as_str()).ok()
    }
}
