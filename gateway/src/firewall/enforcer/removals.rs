//! Cuts: out of the kernel first, answered then, everything else afterwards.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::id::{LogIndex, SessionId};
use tokio::sync::oneshot;

use super::FirewallEvent;
use super::worker::{Removal, Worker};
use crate::firewall::batch::Batch;
use crate::firewall::ledger;
use crate::firewall::objects::{ELEMENTS_PER_MESSAGE, Element, Message, Table};
use crate::firewall::ruleset::address_bytes;
use crate::firewall::skeleton::{SESSIONS4, SESSIONS6};

/// How long until a refused removal is tried again.
const RETRY: Duration = Duration::from_millis(50);

impl Worker {
    /// Adds a tombstone and queues the removal: installs of this session that are still queued are refused.
    pub(super) fn add_tombstone(&mut self, session: SessionId, cut_at: LogIndex, reply: oneshot::Sender<()>) {
        self.ledger.add_tombstone(session, cut_at, Instant::now());
        if let Some(waiting) = self.cuts.iter_mut().chain(&mut self.outstanding).find(|cut| cut.session == session) {
            waiting.replies.push(reply);
            return;
        }
        if self.ledger.held(session).is_none() {
            let _ = reply.send(());
            return;
        }
        self.cuts.push(Removal { session, replies: vec![reply], refused: false });
    }

    /// Takes every waiting cut out of the kernel in one transaction of its own.
    pub(super) fn cut(&mut self) {
        let cuts = std::mem::take(&mut self.cuts);
        let batch: Batch = removal(&self.table, self.addresses(&cuts)).into_iter().collect();
        match self.commit(batch) {
            Ok(()) => self.removed(cuts),
            Err(_) => {
                for cut in cuts {
                    if !cut.refused {
                        self.notice(FirewallEvent::RemovalRefused(cut.session));
                    }
                    self.outstanding.push(Removal { refused: true, ..cut });
                }
                self.retry_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Tries refused removals again when it is time.
    pub(super) fn retry_cuts(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            let outstanding = std::mem::take(&mut self.outstanding);
            self.cuts.extend(outstanding);
            self.cut();
        }
    }

    fn addresses(&self, cuts: &[Removal]) -> Vec<IpAddr> {
        cuts.iter()
            .filter_map(|cut| self.ledger.held(cut.session))
            .flat_map(|held| ledger::list(held.addresses))
            .collect()
    }

    fn removed(&mut self, cuts: Vec<Removal>) {
        let now = Instant::now();
        let count = cuts.len() as u64;
        let addresses = self.addresses(&cuts);
        let sessions: Vec<SessionId> = cuts.iter().map(|cut| cut.session).collect();
        for cut in cuts {
            for reply in cut.replies {
                let _ = reply.send(());
            }
            if let Some(held) = self.ledger.removed(cut.session) {
                self.slots.release(held.mark, now);
            }
        }
        // Before the addresses are free: what was asked under them is nobody else's.
        sessions.into_iter().for_each(|session| self.withdraw_session_names(session));
        self.forget_flows(addresses);
        metrics::counter!("ringwall_firewall_removals_total").increment(count);
        self.publish();
    }

    /// Lets connection tracking forget these addresses; they rest until it did.
    pub(super) fn forget_flows(&self, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() && self.conntrack.send(addresses).is_err() {
            tracing::error!("conntrack thread stopped; addresses of removed sessions stay quarantined");
        }
    }

    /// Connection tracking has forgotten these addresses: installs that waited for them go on.
    pub(super) fn cleaned(&mut self, addresses: &[IpAddr]) {
        for address in addresses {
            self.ledger.cleaned(*address);
        }
        self.unpark();
    }
}

/// The messages that take addresses out of the session maps, whether they are there or not.
pub(super) fn removal(table: &Table, addresses: Vec<IpAddr>) -> Vec<Message> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let mut messages = vec![];
    for (set, addresses) in [(SESSIONS4, v4), (SESSIONS6, v6)] {
        for chunk in addresses.chunks(ELEMENTS_PER_MESSAGE) {
            let elements = chunk.iter().map(|address| Element::key(address_bytes(*address))).collect();
            messages.push(table.destroy_elements(set, elements));
        }
    }
    messages
}
