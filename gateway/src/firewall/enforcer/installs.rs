//! Installs: admission, rules into a slot, then the session's map elements, several sessions in one transaction.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use ringwall_actors::ports::{Install, InstallError};
use tokio::sync::oneshot;

use super::removals::removal;
use super::worker::Worker;
use super::{QueuedInstall, Request};
use crate::firewall::batch::Batch;
use crate::firewall::kernel::CommitError;
use crate::firewall::ledger::{self, Held, InstallDecision, InstallRequest};
use crate::firewall::objects::{ELEMENTS_PER_MESSAGE, Message};
use crate::firewall::ruleset;
use crate::firewall::skeleton::{SESSIONS4, SESSIONS6};
use crate::firewall::slots::{Acquired, Full, MAX_RULE_SETS, Mark};

/// Sessions whose elements share a transaction.
const TOGETHER: usize = 64;

/// How long an install waits for an address to come out of quarantine.
const ADDRESS_WAIT: Duration = Duration::from_secs(2);

/// An install whose rules are in the kernel and whose elements are not yet.
#[derive(Debug)]
pub(super) struct Prepared {
    asked: Box<QueuedInstall>,
    mark: Mark,
}

impl Prepared {
    fn conflicts(&self, install: &Install) -> bool {
        let own = &self.asked.install;
        own.session == install.session || ledger::list(install.addresses).any(|one| own.addresses.contains(one))
    }
}

impl Worker {
    /// Installs what stands in front of the backlog, as long as it is installs.
    pub(super) fn installs(&mut self, queue: &Receiver<Request>) {
        while self.prepared.len() < TOGETHER {
            match self.backlog.pop_front() {
                Some(Request::Install(asked)) => self.prepare(asked, queue),
                Some(other) => {
                    self.backlog.push_front(other);
                    break;
                }
                None => break,
            }
            if !self.cuts.is_empty() {
                break;
            }
        }
        self.flush();
    }

    fn prepare(&mut self, asked: Box<QueuedInstall>, queue: &Receiver<Request>) {
        if self.prepared.iter().any(|one| one.conflicts(&asked.install)) {
            self.flush();
        }
        let Some(asked) = self.admit(asked) else { return };
        let rules = Arc::clone(&asked.install.rules);
        let acquired = match self.slots.acquire(rules.hash()) {
            Ok(acquired) => acquired,
            Err(Full) => return refuse(asked.reply, InstallError::TooManyRuleSets { limit: MAX_RULE_SETS }),
        };
        let mark = acquired.mark();
        if !matches!(acquired, Acquired::Ready(_)) {
            self.flush();
            if let Err(error) = self.fill(acquired, &rules, queue) {
                return refuse(asked.reply, InstallError::Kernel(error.to_string()));
            }
        }
        // A cut may have passed while the slot was filled.
        match self.admit(asked) {
            Some(asked) => self.prepared.push(Prepared { asked, mark }),
            None => self.slots.release(mark, Instant::now()),
        }
    }

    /// The install back if it may go on; answered or parked otherwise.
    fn admit(&mut self, asked: Box<QueuedInstall>) -> Option<Box<QueuedInstall>> {
        let install = &asked.install;
        let request = InstallRequest {
            session: install.session,
            generation: install.generation,
            checked_at: install.checked_at,
            addresses: install.addresses,
        };
        match self.ledger.check(&request) {
            InstallDecision::Granted => return Some(asked),
            InstallDecision::Refused(error) => refuse(asked.reply, error),
            InstallDecision::Wait(address) if asked.at.elapsed() > ADDRESS_WAIT => {
                refuse(asked.reply, InstallError::AddressHeld(address));
            }
            InstallDecision::Wait(_) => self.parked.push((asked.at + ADDRESS_WAIT, asked)),
        }
        None
    }

    /// Puts rules into a slot, in several transactions if they are many; cuts pass between them.
    fn fill(
        &mut self,
        acquired: Acquired,
        rules: &Arc<ringwall_protocol::rules::RuleSet>,
        queue: &Receiver<Request>,
    ) -> Result<(), CommitError> {
        let mark = acquired.mark();
        if matches!(acquired, Acquired::MakeAndFill(_))
            && let Err(error) = self.commit(ruleset::make(&self.table, mark).into_iter().collect())
        {
            self.slots.not_made(&[mark]);
            return Err(error);
        }
        self.contents.insert(mark, Arc::clone(rules));
        let first_name = self.number_names(mark, rules);
        let mut messages = ruleset::fill(&self.table, mark, rules, self.config.alert_group, first_name);
        messages.extend(self.names_of_slot(mark));
        let many = rules.len() > ELEMENTS_PER_MESSAGE;
        let batches: Vec<Batch> = if many {
            messages.into_iter().map(|message| [message].into_iter().collect()).collect()
        } else {
            vec![messages.into_iter().collect()]
        };
        for batch in batches {
            if let Err(error) = self.commit(batch) {
                self.slots.spoiled(mark);
                return Err(error);
            }
            if many {
                self.let_cuts_pass(queue);
            }
        }
        Ok(())
    }

    /// Sends the elements of everything prepared; if the kernel refuses, each on its own.
    pub(super) fn flush(&mut self) {
        let prepared = std::mem::take(&mut self.prepared);
        if prepared.is_empty() {
            return;
        }
        let now = Instant::now();
        let batch = self.elements(&prepared, now);
        match self.commit(batch) {
            Ok(()) => prepared.into_iter().for_each(|one| self.installed(one, now)),
            Err(error) if prepared.len() == 1 => prepared.into_iter().for_each(|one| self.not_installed(one, &error)),
            Err(_) => {
                for one in prepared {
                    let one = [one];
                    let batch = self.elements(&one, now);
                    let result = self.commit(batch);
                    let [one] = one;
                    match result {
                        Ok(()) => self.installed(one, now),
                        Err(error) => self.not_installed(one, &error),
                    }
                }
            }
        }
        self.publish();
    }

    /// Old elements out, new ones in: `destroy` and `add` work in every state (T27).
    fn elements(&mut self, prepared: &[Prepared], now: Instant) -> Batch {
        let mut gone: Vec<IpAddr> = vec![];
        let mut added = [vec![], vec![]];
        let mut messages: Vec<Message> = vec![];
        for Prepared { asked, mark } in prepared {
            let install = &asked.install;
            messages.extend(self.names_of_session(install.session, *mark, install.addresses));
            if let Some(held) = self.ledger.held(install.session) {
                gone.extend(ledger::left_behind(held.addresses, install.addresses));
            }
            let remaining = (asked.at + install.expires_in).saturating_duration_since(now);
            let milliseconds = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
            for address in ledger::list(install.addresses) {
                gone.push(address);
                if milliseconds > 0 {
                    let family = usize::from(address.is_ipv6());
                    added[family].push(ruleset::session_element(address, *mark, milliseconds));
                }
            }
        }
        messages.extend(removal(&self.table, gone));
        for (set, elements) in [SESSIONS4, SESSIONS6].into_iter().zip(added) {
            messages.extend(elements.chunks(ELEMENTS_PER_MESSAGE).map(|chunk| self.table.add(set, chunk.to_vec())));
        }
        messages.into_iter().collect()
    }

    fn installed(&mut self, prepared: Prepared, now: Instant) {
        let Prepared { asked, mark } = prepared;
        let install = asked.install;
        let held = Held {
            generation: install.generation,
            addresses: install.addresses,
            mark,
            expires: asked.at + install.expires_in,
        };
        if let Some(former) = self.ledger.installed(install.session, held) {
            self.slots.release(former.mark, now);
            let left: Vec<IpAddr> = ledger::left_behind(former.addresses, install.addresses).collect();
            if !left.is_empty() {
                self.withdraw_session_names(install.session);
            }
            self.forget_flows(left);
        }
        metrics::counter!("ringwall_firewall_installs_total").increment(1);
        let _ = asked.reply.send(Ok(()));
    }

    fn not_installed(&mut self, prepared: Prepared, error: &CommitError) {
        self.slots.release(prepared.mark, Instant::now());
        refuse(prepared.asked.reply, InstallError::Kernel(error.to_string()));
    }

    /// Installs that waited for an address are asked again, in their order, before anything newer.
    pub(super) fn unpark(&mut self) {
        for (_, asked) in std::mem::take(&mut self.parked).into_iter().rev() {
            self.backlog.push_front(Request::Install(asked));
        }
    }

    /// Re-examines parked installs once one of them has waited longer than [`ADDRESS_WAIT`].
    pub(super) fn expire_parked(&mut self, now: Instant) {
        if self.parked.iter().any(|(until, _)| *until <= now) {
            self.unpark();
        }
    }
}

fn refuse(reply: oneshot::Sender<Result<(), InstallError>>, error: InstallError) {
    metrics::counter!("ringwall_firewall_installs_refused_total").increment(1);
    let _ = reply.send(Err(error));
}
