//! What stands in the kernel, by owner: sessions in the ledger, rule sets in slots, what names stand for.
//!
//! Promise: each changes only with the kernel's acknowledgement of the transaction that changes it. What is to be changed,
//! and in which order, is decided by [`super::thread`].

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringwall_actors::ports::Install;
use ringwall_kernel::nft::{CommitError, Message};
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::name::UserDn;

use super::install_queue::Prepared;
use crate::firewall::config::FirewallConfig;
use crate::firewall::conntrack;
use crate::firewall::difference::Difference;
use crate::firewall::ledger::{InstallDecision, InstallRequest, Ledger};
use crate::firewall::names::NameSlots;
use crate::firewall::slot_table::SlotTable;
use crate::firewall::transactions::Transactions;
use crate::firewall::wanted::{Owner, Wanted};

/// Tombstones outlive the longest lease by this (T3).
const AFTER_LEASE: Duration = Duration::from_secs(60);
/// Rule sets from which on the operator is warned: kernel memory and the time of a change grow with them.
const WARN_RULE_SETS: usize = 2_000;

/// Sessions, rule sets and names that the kernel holds.
pub(super) struct Standing {
    pub(super) ledger: Ledger,
    pub(super) slots: SlotTable,
    pub(super) names: NameSlots,
    conntrack: conntrack::Work,
    /// Makes numbers of users, which nobody can choose.
    numbering: RandomState,
    figures: Figures,
}

/// What is published of it.
struct Figures {
    rule_sets: Arc<AtomicUsize>,
    warned: bool,
}

impl Standing {
    pub(super) fn new(config: &FirewallConfig, conntrack: conntrack::Work, rule_sets: Arc<AtomicUsize>) -> Self {
        Self {
            ledger: Ledger::new(config.longest_lease + AFTER_LEASE),
            slots: SlotTable::new(config.longest_lease, config.slots_ahead, config.alert_group),
            names: NameSlots::default(),
            conntrack,
            numbering: RandomState::new(),
            figures: Figures { rule_sets, warned: false },
        }
    }

    /// The number of a user, the same for as long as this process runs.
    pub(super) fn owner(&self, user: &UserDn) -> Owner {
        let number = self.numbering.hash_one(user);
        Owner(u32::try_from(number >> 32).expect("half of 64 bits"))
    }

    /// Decides whether the kernel may be changed for this install.
    pub(super) fn check(&self, install: &Install) -> InstallDecision {
        self.ledger.check(&InstallRequest {
            session: install.session,
            generation: install.generation,
            checked_at: install.checked_at,
            addresses: install.addresses,
        })
    }

    /// Sends the elements of these installs in one transaction: what their sessions were told by name goes before the
    /// elements that lead there.
    pub(super) fn install(
        &mut self,
        kernel: &mut Transactions,
        prepared: &[Prepared],
        now: Instant,
    ) -> Result<(), CommitError> {
        let mut messages: Vec<Message> = vec![];
        for one in prepared {
            messages.extend(self.names.move_session(one.session(), &one.rules, now).messages(kernel.table()));
        }
        let wanted = Wanted::Rules(prepared.iter().map(|one| (one.session(), one.rules)).collect());
        messages.extend(Difference::between(&wanted, &self.ledger, now).messages(kernel.table()));
        kernel.commit(messages)
    }

    /// The kernel has the elements of this install.
    pub(super) fn installed(&mut self, kernel: &mut Transactions, prepared: Prepared, now: Instant) {
        let (session, rules) = (prepared.session(), prepared.rules);
        if let Some(former) = self.ledger.installed(session, rules) {
            self.slots.release(former.mark, now);
            let left: Vec<IpAddr> = former.left_behind(rules.addresses).collect();
            if !left.is_empty() {
                self.withdraw_names(kernel, session);
            }
            self.forget_flows(left);
        }
        prepared.answer(Ok(()));
    }

    /// Takes these sessions out of the kernel in one transaction of its own.
    pub(super) fn remove(
        &self,
        kernel: &mut Transactions,
        sessions: &[SessionId],
        now: Instant,
    ) -> Result<(), CommitError> {
        let wanted = Wanted::Nothing(sessions.to_vec());
        kernel.commit(Difference::between(&wanted, &self.ledger, now).messages(kernel.table()))
    }

    /// The kernel no longer has these sessions.
    pub(super) fn removed(&mut self, kernel: &mut Transactions, sessions: &[SessionId], now: Instant) {
        let mut addresses: Vec<IpAddr> = vec![];
        for session in sessions {
            if let Some(held) = self.ledger.removed(*session) {
                addresses.extend(held.addresses.iter());
                self.slots.release(held.mark, now);
            }
        }
        // Before the addresses are free: what was asked under them is nobody else's.
        sessions.iter().for_each(|session| self.withdraw_names(kernel, *session));
        self.forget_flows(addresses);
        metrics::counter!("ringwall_firewall_removals_total").increment(sessions.len() as u64);
        self.publish();
    }

    /// A name stands for these addresses from now on and for no others.
    pub(super) fn resolved(
        &mut self,
        kernel: &mut Transactions,
        host: Host,
        addresses: Vec<(IpAddr, Duration)>,
        at: Instant,
        now: Instant,
    ) {
        // Refused, what is there expires by itself; the next answer tries again.
        let difference = self.names.resolved(host, addresses, at, now);
        commit_names(kernel, difference);
    }

    /// A session was told, or is about to be told, that a name stands for these addresses; false if it is not to be.
    pub(super) fn told(
        &mut self,
        kernel: &mut Transactions,
        session: SessionId,
        (host, addresses, at): (&Host, &[(IpAddr, Duration)], Instant),
        now: Instant,
    ) -> bool {
        let Some(held) = self.ledger.held(session) else { return false };
        let difference = self.names.told((session, held), host, addresses, at, now);
        difference.is_some_and(|difference| commit_names(kernel, difference))
    }

    fn withdraw_names(&mut self, kernel: &mut Transactions, session: SessionId) {
        let difference = self.names.withdraw_session(session);
        commit_names(kernel, difference);
    }

    /// Makes slots ahead of need; false if none were made.
    pub(super) fn make_slots(&mut self, kernel: &mut Transactions) -> bool {
        let (marks, messages) = self.slots.make_ahead(kernel.table());
        if marks.is_empty() {
            return false;
        }
        let made = kernel.commit(messages).is_ok();
        if made {
            self.slots.made_ahead(&marks);
        } else {
            self.slots.not_made(&marks);
        }
        made
    }

    /// Empties slots that nobody has used for a while; false if none were emptied.
    pub(super) fn empty_slots(&mut self, kernel: &mut Transactions, now: Instant) -> bool {
        let (marks, messages) = self.slots.empty(kernel.table(), &self.names, now);
        if marks.is_empty() {
            return false;
        }
        let emptied = kernel.commit(messages).is_ok();
        if emptied {
            marks.iter().for_each(|mark| self.names.slot_emptied(*mark));
            self.slots.emptied(&marks);
        } else {
            self.slots.not_emptied(&marks);
        }
        emptied
    }

    /// Lets connection tracking forget these addresses; they stay quarantined until it did.
    fn forget_flows(&self, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() && self.conntrack.send(addresses).is_err() {
            tracing::error!("conntrack thread stopped; addresses of removed sessions stay quarantined");
        }
    }

    /// Publishes how many sessions and rule sets there are.
    pub(super) fn publish(&mut self) {
        let used = self.slots.used();
        self.figures.rule_sets.store(used, Ordering::Relaxed);
        metrics::gauge!("ringwall_firewall_sessions").set(self.ledger.len() as f64);
        metrics::gauge!("ringwall_firewall_rule_sets").set(used as f64);
        metrics::gauge!("ringwall_firewall_slots").set(self.slots.made() as f64);
        if used >= WARN_RULE_SETS && !self.figures.warned {
            tracing::warn!(used, "many distinct rule sets: rule changes become slow and use much kernel memory");
        }
        self.figures.warned = used >= WARN_RULE_SETS;
    }
}

/// Sends a change of names; true if it is in force.
fn commit_names(kernel: &mut Transactions, difference: Difference) -> bool {
    let messages = difference.messages(kernel.table());
    messages.is_empty() || kernel.commit(messages).is_ok()
}
