//! Reads the table back and says in what it differs from what it should be.
//!
//! The skeleton is compared with what the kernel listed right after it was made; sessions, slots and the lease with
//! what the enforcer believes. The table is owned by the enforcer's socket, so a difference is a defect of ours or
//! somebody with other means than nftables.

mod compare;
mod listing;

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use ringwall_kernel::nft::{Kernel, Table};

use super::ledger::Ledger;
use super::ruleset;
use super::slot_table::SlotTable;
use super::transactions::Transactions;

use listing::Baseline;

/// Rule sets whose elements one read-back counts; the next one goes on behind them.
const RULE_SETS_AT_ONCE: usize = 200;

/// How often the ruleset's generation is asked for.
const WATCHED: Duration = Duration::from_secs(1);
/// How often a foreign change may cause a read-back.
const SUSPICIOUS: Duration = Duration::from_secs(10);

/// What a read-back found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Tunnel addresses that the kernel lets pass.
    pub addresses: usize,
    /// Slots for rule sets in the kernel.
    pub slots: usize,
    /// What is not as it should be, at most 64 lines; empty: nothing.
    pub differences: Vec<String>,
}

/// What the kernel should hold beside the skeleton.
pub(super) struct Expected<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) slots: &'a SlotTable,
    /// Keys of what names stand for; those about to expire may be missing in the kernel.
    pub(super) named: &'a HashSet<Vec<u8>>,
    /// The interface that holds the lease.
    pub(super) lease: Option<u32>,
}

/// The skeleton as it was made, and when the table was looked at last.
#[derive(Debug)]
pub(super) struct ReadBack {
    baseline: Baseline,
    watch: Watch,
    /// When the last read-back began.
    audited: Option<Instant>,
    /// Where the next read-back goes on among the rule sets.
    cursor: usize,
}

impl ReadBack {
    /// Lists the skeleton, which the caller has just made.
    ///
    /// # Errors
    /// If the kernel cannot be read.
    pub(super) fn of_new_table(kernel: &mut Kernel, table: &Table) -> io::Result<Self> {
        let baseline = listing::baseline(kernel, table)?;
        Ok(Self { baseline, watch: Watch::default(), audited: None, cursor: 0 })
    }

    /// Compares the kernel's table with what it should be.
    ///
    /// # Errors
    /// If the kernel cannot be read, with the cause.
    pub(super) fn audit(
        &mut self,
        kernel: &mut Transactions,
        expected: &Expected<'_>,
        now: Instant,
    ) -> Result<Audit, String> {
        self.audited = Some(now);
        let sizes = sizes(expected.slots, self.cursor);
        let (kernel, table) = kernel.reader();
        let sets = sizes.iter().map(|(set, _)| set.as_str());
        let found = listing::read(kernel, table, sets).map_err(|error| error.to_string())?;
        // Elements went on expiring while they were listed.
        let audit = compare::compare(&self.baseline, expected, &sizes, &found, Instant::now());
        self.cursor = self.cursor.wrapping_add(RULE_SETS_AT_ONCE);
        if !audit.differences.is_empty() {
            metrics::counter!("ringwall_firewall_audit_differences_total").increment(audit.differences.len() as u64);
            tracing::error!(differences = ?audit.differences, "read-back found differences in the kernel rules");
        }
        Ok(audit)
    }

    /// True if somebody else changed rules of this host and no read-back looked lately.
    pub(super) fn suspects(&mut self, kernel: &mut Transactions, now: Instant) -> bool {
        if !self.watch.is_due(now) {
            return false;
        }
        let Ok(generation) = kernel.generation() else { return false };
        let lately = self.audited.is_some_and(|at| now.saturating_duration_since(at) < SUSPICIOUS);
        self.watch.moved_by_others(generation, kernel.commits()) && !lately
    }
}

/// What was seen of the generation of the host's rule set.
#[derive(Debug, Default)]
struct Watch {
    asked: Option<Instant>,
    generation: Option<u32>,
    commits: u64,
}

impl Watch {
    /// True if it is time to ask again; counts from `now` then.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= WATCHED);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// True if the generation moved further than our own `commits` did. An own batch that changes nothing does not move
    /// it, so this may miss a foreign change; it never reports one that was not there.
    fn moved_by_others(&mut self, generation: u32, commits: u64) -> bool {
        let own = commits - std::mem::replace(&mut self.commits, commits);
        let former = self.generation.replace(generation);
        former.is_some_and(|former| u64::from(generation.wrapping_sub(former)) > own)
    }
}

/// Sets of rule sets to be counted from `cursor` on, with the elements that each must have.
fn sizes(slots: &SlotTable, cursor: usize) -> Vec<(String, usize)> {
    let mut filled = slots.all_filled();
    let start = if filled.is_empty() { 0 } else { cursor % filled.len() };
    filled.rotate_left(start);
    let counted = filled.into_iter().take(RULE_SETS_AT_ONCE);
    counted.flat_map(|(mark, rules)| ruleset::expected_sets(mark, rules)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_transactions_raise_no_suspicion_and_others_do() {
        let mut watch = Watch::default();
        assert!(!watch.moved_by_others(100, 7), "nothing to compare with yet");
        assert!(!watch.moved_by_others(102, 9));
        assert!(watch.moved_by_others(103, 9));
        assert!(!watch.moved_by_others(103, 9), "once for each change");
        let now = Instant::now();
        assert!(watch.is_due(now) && !watch.is_due(now));
        assert!(watch.is_due(now + WATCHED));
    }
}
