//! Installs: admission, rules into a slot, then the session's map elements, several sessions in one transaction.

use std::sync::Arc;
use std::time::Instant;

use ringwall_actors::ports::InstallError;
use ringwall_kernel::nft::CommitError;
use ringwall_protocol::rules::RuleSet;

use super::EnforcerThread;
use crate::firewall::enforcer::install_queue::Prepared;
use crate::firewall::enforcer::request::QueuedInstall;
use crate::firewall::ledger::InstallDecision;
use crate::firewall::ruleset;
use crate::firewall::slots::{Acquired, Full, MAX_RULE_SETS};

impl EnforcerThread {
    /// Installs what stands in front of the queue, as long as it is installs and no removal came.
    pub(super) fn install(&mut self) {
        while let Some(asked) = self.installs.next_install() {
            self.prepare(asked);
            if self.removals.is_due() {
                break;
            }
        }
        self.flush();
    }

    fn prepare(&mut self, asked: Box<QueuedInstall>) {
        if self.installs.conflicts(&asked.install) {
            self.flush();
        }
        let Some(asked) = self.admit(asked) else { return };
        let rules = Arc::clone(&asked.install.rules);
        let acquired = match self.standing.slots.acquire(rules.hash()) {
            Ok(acquired) => acquired,
            Err(Full) => return asked.answer(Err(InstallError::TooManyRuleSets { limit: MAX_RULE_SETS })),
        };
        let mark = acquired.mark();
        if !matches!(acquired, Acquired::Ready(_)) {
            self.flush();
            if let Err(error) = self.fill(acquired, &rules) {
                return asked.answer(Err(InstallError::Kernel(error.to_string())));
            }
        }
        // A removal may have passed while the slot was filled.
        match self.admit(asked) {
            Some(asked) => {
                let owner = self.standing.owner(&asked.install.user);
                self.installs.prepare(Prepared::new(asked, mark, owner));
            }
            None => self.standing.slots.release(mark, Instant::now()),
        }
    }

    /// The install back if it may go on; answered or parked otherwise.
    fn admit(&mut self, asked: Box<QueuedInstall>) -> Option<Box<QueuedInstall>> {
        match self.standing.check(&asked.install) {
            InstallDecision::Granted => return Some(asked),
            InstallDecision::Refused(error) => asked.answer(Err(error)),
            InstallDecision::Wait(address) => {
                if let Some(asked) = self.installs.park(asked, Instant::now()) {
                    asked.answer(Err(InstallError::AddressHeld(address)));
                }
            }
        }
        None
    }

    /// Puts rules into a slot, in several transactions if they are many; removals pass between them.
    fn fill(&mut self, acquired: Acquired, rules: &Arc<RuleSet>) -> Result<(), CommitError> {
        let mark = acquired.mark();
        if matches!(acquired, Acquired::MakeAndFill(_))
            && let Err(error) = self.kernel.commit(ruleset::make(self.kernel.table(), mark))
        {
            self.standing.slots.not_made(&[mark]);
            return Err(error);
        }
        let standing = &mut self.standing;
        let batches = standing.slots.fill(self.kernel.table(), mark, rules, &mut standing.names, Instant::now());
        let several = batches.len() > 1;
        for batch in batches {
            if let Err(error) = self.kernel.commit(batch) {
                self.standing.slots.spoiled(mark);
                return Err(error);
            }
            if several {
                self.let_removals_pass();
            }
        }
        Ok(())
    }

    /// Between two transactions of one request: removals that came meanwhile go first.
    fn let_removals_pass(&mut self) {
        self.read();
        if self.removals.is_due() {
            self.remove();
        }
    }

    /// Sends the elements of everything prepared; if the kernel refuses, each on its own.
    fn flush(&mut self) {
        let prepared = self.installs.take_prepared();
        if prepared.is_empty() {
            return;
        }
        let now = Instant::now();
        match self.standing.install(&mut self.kernel, &prepared, now) {
            Ok(()) => prepared.into_iter().for_each(|one| self.standing.installed(&mut self.kernel, one, now)),
            Err(error) if prepared.len() == 1 => {
                prepared.into_iter().for_each(|one| self.not_installed(one, &error, now));
            }
            Err(_) => prepared.into_iter().for_each(|one| self.install_alone(one, now)),
        }
        self.standing.publish();
    }

    fn install_alone(&mut self, one: Prepared, now: Instant) {
        match self.standing.install(&mut self.kernel, std::slice::from_ref(&one), now) {
            Ok(()) => self.standing.installed(&mut self.kernel, one, now),
            Err(error) => self.not_installed(one, &error, now),
        }
    }

    fn not_installed(&mut self, prepared: Prepared, error: &CommitError, now: Instant) {
        self.standing.slots.release(prepared.rules.mark, now);
        prepared.answer(Err(InstallError::Kernel(error.to_string())));
    }
}
