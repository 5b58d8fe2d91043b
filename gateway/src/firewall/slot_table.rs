//! The slots of the table and the rules in each: the messages that make, fill and empty them. Pure.
//!
//! Which slot is next is decided by [`Slots`], which messages a slot takes by [`super::ruleset`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_kernel::nft::{ELEMENTS_PER_MESSAGE, Message, Table};
use ringwall_protocol::rules::{RuleSet, RuleSetHash};

use super::names::NameSlots;
use super::ruleset;
use super::slots::{Acquired, Full, MAX_RULE_SETS, Mark, Slots};

/// Slots made or emptied in one transaction of a small table. Everything else waits for it: 2 to 4 ms at 1,000 slots.
const AT_ONCE: usize = 50;
/// Divided by the number of slots: how many a larger table takes at once, since finding sets takes the longer the more
/// there are.
const SLOTS_TIMES_STEP: usize = 40_000;
/// Fewest at once: validating the table costs the same for one.
const AT_LEAST: usize = 5;

/// Slots and their rule sets.
#[derive(Debug)]
pub(super) struct SlotTable {
    slots: Slots,
    /// The rules that were put into a slot.
    contents: HashMap<Mark, Arc<RuleSet>>,
    /// Empty slots to be kept ready.
    ahead: usize,
    /// NFLOG group of flows that `alert` rules let pass.
    alert_group: u16,
}

impl SlotTable {
    pub(super) fn new(retention: Duration, ahead: usize, alert_group: u16) -> Self {
        Self { slots: Slots::new(retention, MAX_RULE_SETS), contents: HashMap::new(), ahead, alert_group }
    }

    /// Adds a user to the slot of these rules, or gives them one.
    ///
    /// # Errors
    /// [`Full`] if every slot is taken and no further one may be made.
    pub(super) fn acquire(&mut self, hash: RuleSetHash) -> Result<Acquired, Full> {
        self.slots.acquire(hash)
    }

    /// Takes a user away.
    pub(super) fn release(&mut self, mark: Mark, now: Instant) {
        self.slots.release(mark, now);
    }

    /// The batches that put rules into an empty slot, to be sent in this order: one, or one per message if they are
    /// many.
    pub(super) fn fill(
        &mut self,
        table: &Table,
        mark: Mark,
        rules: &Arc<RuleSet>,
        names: &mut NameSlots,
        now: Instant,
    ) -> Vec<Vec<Message>> {
        self.contents.insert(mark, Arc::clone(rules));
        let first_name = names.number_slot(mark, rules);
        let mut messages = ruleset::fill(table, mark, rules, self.alert_group, first_name);
        messages.extend(names.fill_slot(mark, now).messages(table));
        if rules.len() > ELEMENTS_PER_MESSAGE {
            messages.into_iter().map(|message| vec![message]).collect()
        } else {
            vec![messages]
        }
    }

    /// The kernel refused to fill the slot.
    pub(super) fn spoiled(&mut self, mark: Mark) {
        self.slots.spoiled(mark);
    }

    /// The kernel refused to make these slots.
    pub(super) fn not_made(&mut self, marks: &[Mark]) {
        self.slots.not_made(marks);
    }

    /// Slots to be made ahead of need now, and the messages that make them.
    pub(super) fn make_ahead(&mut self, table: &Table) -> (Vec<Mark>, Vec<Message>) {
        let made = self.slots.made();
        let count = if made < self.ahead {
            AT_ONCE.min(self.ahead - made)
        } else if self.slots.free() < AT_ONCE.min(self.ahead) {
            self.step()
        } else {
            0
        };
        let marks = self.slots.grow(count);
        let messages = marks.iter().flat_map(|mark| ruleset::make(table, *mark)).collect();
        (marks, messages)
    }

    /// The kernel has these new slots.
    pub(super) fn made_ahead(&mut self, marks: &[Mark]) {
        self.slots.emptied(marks);
    }

    /// Slots whose rules nobody has wanted for the retention, and the messages that take them away and make them anew.
    pub(super) fn empty(&mut self, table: &Table, names: &NameSlots, now: Instant) -> (Vec<Mark>, Vec<Message>) {
        let marks = self.slots.take_dirty(now, self.step());
        let nothing = RuleSet::default();
        let messages = marks.iter().flat_map(|mark| {
            let rules = self.contents.get(mark).map_or(&nothing, |rules| rules);
            let mut messages = ruleset::unmake(table, *mark, rules);
            messages.extend(names.empty_slot(*mark).messages(table));
            messages.extend(ruleset::make(table, *mark));
            messages
        });
        let messages = messages.collect();
        (marks, messages)
    }

    /// These slots are empty in the kernel.
    pub(super) fn emptied(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.contents.remove(mark);
        }
        self.slots.emptied(marks);
    }

    /// These slots could not be emptied now: later again.
    pub(super) fn not_emptied(&mut self, marks: &[Mark]) {
        self.slots.not_emptied(marks);
    }

    /// How many slots one transaction may touch.
    fn step(&self) -> usize {
        (SLOTS_TIMES_STEP / self.slots.made().max(1)).clamp(AT_LEAST, AT_ONCE)
    }

    /// Slots that hold rules somebody uses.
    pub(super) const fn used(&self) -> usize {
        self.slots.used()
    }

    /// All slots that the kernel holds.
    pub(super) fn made(&self) -> usize {
        self.slots.made()
    }

    /// The numbers of all slots that the kernel holds.
    pub(super) fn marks(&self) -> impl Iterator<Item = Mark> {
        self.slots.marks()
    }

    /// The rules of a slot if they must be in the kernel, whole.
    pub(super) fn filled(&self, mark: Mark) -> Option<&RuleSet> {
        self.contents.get(&mark).filter(|_| self.slots.filled(mark)).map(AsRef::as_ref)
    }

    /// The rules that were put into a slot last, whether they must still be there or not.
    pub(super) fn contents(&self, mark: Mark) -> Option<&RuleSet> {
        self.contents.get(&mark).map(AsRef::as_ref)
    }

    /// The filled slots, in ascending order.
    pub(super) fn all_filled(&self) -> Vec<(Mark, &RuleSet)> {
        let mut filled: Vec<_> =
            self.contents.keys().filter_map(|mark| self.filled(*mark).map(|rules| (*mark, rules))).collect();
        filled.sort_unstable_by_key(|(mark, _)| *mark);
        filled
    }
}
