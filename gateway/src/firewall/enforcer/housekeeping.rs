//! What the thread does when nothing waits, and what is due whatever waits.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringwall_protocol::rules::RuleSet;

use super::FirewallEvent;
use super::worker::Worker;
use crate::firewall::batch::Batch;
use crate::firewall::readback::{self, Audit};
use crate::firewall::ruleset;

/// Slots made or emptied in one transaction of a small table. Everything else waits for it: 2 to 4 ms at 1,000 slots.
const AT_ONCE: usize = 50;
/// Divided by the number of slots: how many a larger table takes at once, since finding sets takes the longer the more
/// there are.
const SLOTS_TIMES_STEP: usize = 40_000;
/// Fewest at once: validating the table costs the same for one.
const AT_LEAST: usize = 5;
/// Rule sets from which on the operator is warned: kernel memory and the time of a change grow with them.
const WARN_RULE_SETS: usize = 2_000;

/// How often the ruleset's generation is asked for.
const WATCHED: Duration = Duration::from_secs(1);
/// How often a foreign change may cause a read-back.
const SUSPICIOUS: Duration = Duration::from_secs(10);

/// What was seen of the ruleset's generation.
#[derive(Debug, Default)]
pub(super) struct Watch {
    asked: Option<Instant>,
    generation: Option<u32>,
    commits: u64,
    audited: Option<Instant>,
    warned: bool,
    /// Where the next read-back goes on among the rule sets.
    cursor: usize,
}

impl Worker {
    /// What is due now.
    pub(super) fn due(&mut self) {
        let now = Instant::now();
        self.retry_cuts(now);
        self.expire_parked(now);
        self.ledger.forget(now);
        if !self.lease.holds(now) {
            self.drop_lease_element();
        }
        if self.lease.ran_out(now) {
            tracing::warn!("lease expired; no packet passes until it is renewed");
            self.notice(FirewallEvent::LeaseLapsed);
        }
        self.watch_generation(now);
    }

    /// One piece of work that can wait; false if there is none.
    pub(super) fn run_maintenance(&mut self) -> bool {
        self.make_slots() || self.empty_slots()
    }

    fn make_slots(&mut self) -> bool {
        let (made, ahead) = (self.slots.made(), self.config.slots_ahead);
        let count = if made < ahead {
            AT_ONCE.min(ahead - made)
        } else if self.slots.free() < AT_ONCE.min(ahead) {
            self.step()
        } else {
            0
        };
        let marks = self.slots.grow(count);
        if marks.is_empty() {
            return false;
        }
        let batch: Batch = marks.iter().flat_map(|mark| ruleset::make(&self.table, *mark)).collect();
        let made = self.commit(batch).is_ok();
        if made {
            self.slots.emptied(&marks);
        } else {
            self.slots.not_made(&marks);
        }
        made
    }

    /// How many slots one transaction may touch.
    fn step(&self) -> usize {
        (SLOTS_TIMES_STEP / self.slots.made().max(1)).clamp(AT_LEAST, AT_ONCE)
    }

    fn empty_slots(&mut self) -> bool {
        let marks = self.slots.take_dirty(Instant::now(), self.step());
        if marks.is_empty() {
            return false;
        }
        let nothing = RuleSet::default();
        let batch: Batch = marks
            .iter()
            .flat_map(|mark| {
                let rules = self.contents.get(mark).map_or(&nothing, |rules| rules);
                let mut messages = ruleset::unmake(&self.table, *mark, rules);
                messages.extend(self.forget_names_of(*mark));
                messages.extend(ruleset::make(&self.table, *mark));
                messages
            })
            .collect();
        let emptied = self.commit(batch).is_ok();
        if emptied {
            for mark in &marks {
                self.contents.remove(mark);
                self.names_forgotten(*mark);
            }
            self.slots.emptied(&marks);
        } else {
            self.slots.not_emptied(&marks);
        }
        emptied
    }

    /// Publishes how many sessions and rule sets there are.
    pub(super) fn publish(&mut self) {
        let used = self.slots.used();
        self.rule_sets.store(used, Ordering::Relaxed);
        metrics::gauge!("ringwall_firewall_sessions").set(self.ledger.len() as f64);
        metrics::gauge!("ringwall_firewall_rule_sets").set(used as f64);
        metrics::gauge!("ringwall_firewall_slots").set(self.slots.made() as f64);
        if used >= WARN_RULE_SETS && !self.watch.warned {
            tracing::warn!(used, "many distinct rule sets: rule changes become slow and use much kernel memory");
        }
        self.watch.warned = used >= WARN_RULE_SETS;
    }

    /// Compares the kernel's table with what it should be.
    pub(super) fn audit(&mut self) -> Result<Audit, String> {
        self.watch.audited = Some(Instant::now());
        let named = self.named_elements();
        let wanted = readback::Wanted {
            named: &named,
            table: &self.table,
            baseline: &self.baseline,
            ledger: &self.ledger,
            slots: &self.slots,
            contents: &self.contents,
            cursor: self.watch.cursor,
            lease: self.lease.holds(Instant::now()).then_some(self.leased_index).flatten(),
        };
        let audit = readback::compare(&mut self.kernel, &wanted).map_err(|error| error.to_string())?;
        self.watch.cursor = self.watch.cursor.wrapping_add(readback::RULE_SETS_AT_ONCE);
        if !audit.differences.is_empty() {
            metrics::counter!("ringwall_firewall_audit_differences_total").increment(audit.differences.len() as u64);
            tracing::error!(differences = ?audit.differences, "read-back found differences in the kernel rules");
        }
        Ok(audit)
    }

    /// Second line behind the table's ownership: somebody else's transactions cause a read-back.
    fn watch_generation(&mut self, now: Instant) {
        if self.watch.asked.is_some_and(|asked| now.saturating_duration_since(asked) < WATCHED) {
            return;
        }
        self.watch.asked = Some(now);
        let Ok(generation) = self.kernel.generation() else { return };
        let own = self.kernel.commits() - self.watch.commits;
        self.watch.commits = self.kernel.commits();
        let Some(former) = self.watch.generation.replace(generation) else { return };
        // An own batch that changes nothing does not move the generation, so this may miss; it never cries wolf.
        let foreign = u64::from(generation.wrapping_sub(former)) > own;
        let lately = self.watch.audited.is_some_and(|at| now.saturating_duration_since(at) < SUSPICIOUS);
        if !foreign || lately {
            return;
        }
        metrics::counter!("ringwall_firewall_foreign_changes_total").increment(1);
        if let Ok(audit) = self.audit()
            && !audit.differences.is_empty()
        {
            self.notice(FirewallEvent::ForeignChange(audit.differences));
        }
    }
}
