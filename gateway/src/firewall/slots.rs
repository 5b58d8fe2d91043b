//! Which rule set stands in which slot: interning, reference counts, what to make, fill and empty next. Pure.
//!
//! A slot goes `made → filled → retired → emptied → …`. Equal rule sets share one slot. A slot that lost its last user
//! keeps its rules for `retention`: the same rules come back for nothing, and its mark never gets another meaning
//! while a lease could still know the old one (T45).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ringwall_protocol::rules::RuleSetHash;

/// Rule sets in the kernel at most (T44).
pub(super) const MAX_RULE_SETS: usize = 16_384;

/// The number of a slot: the packet mark that leads to its chains. Never 0, which means "no rule set".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark(pub(super) u32);

/// What must happen in the kernel before a slot serves its new user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acquired {
    /// The rules are there.
    Ready(Mark),
    /// The empty slot must be filled.
    Fill(Mark),
    /// A slot must be made and filled.
    MakeAndFill(Mark),
}

impl Acquired {
    /// The slot.
    pub(super) const fn mark(self) -> Mark {
        match self {
            Self::Ready(mark) | Self::Fill(mark) | Self::MakeAndFill(mark) => mark,
        }
    }
}

/// No further rule set fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Used {
        hash: RuleSetHash,
        users: usize,
    },
    Retired {
        hash: RuleSetHash,
        since: Instant,
    },
    /// Its rules are being taken out, or were never completed.
    Dirty,
    /// The kernel has no such slot (yet).
    Unmade,
}

/// The slots and who stands in them.
#[derive(Debug)]
pub(super) struct Slots {
    /// Slot `n` stands at `n − 1`.
    states: Vec<State>,
    by_hash: HashMap<RuleSetHash, Mark>,
    free: VecDeque<Mark>,
    retired: VecDeque<(Instant, Mark)>,
    dirty: VecDeque<Mark>,
    unmade: Vec<Mark>,
    used: usize,
    limit: usize,
    retention: Duration,
}

impl Slots {
    pub(super) fn new(retention: Duration, limit: usize) -> Self {
        Self {
            states: vec![],
            by_hash: HashMap::new(),
            free: VecDeque::new(),
            retired: VecDeque::new(),
            dirty: VecDeque::new(),
            unmade: vec![],
            used: 0,
            limit,
            retention,
        }
    }

    /// Adds a user to the slot of these rules, or gives them one.
    ///
    /// # Errors
    /// [`Full`] if every slot is taken and no further one may be made.
    pub(super) fn acquire(&mut self, hash: RuleSetHash) -> Result<Acquired, Full> {
        if let Some(mark) = self.by_hash.get(&hash).copied() {
            let users = match self.state(mark) {
                State::Used { users, .. } => users + 1,
                _ => 1,
            };
            self.used += usize::from(users == 1);
            self.set(mark, State::Used { hash, users });
            return Ok(Acquired::Ready(mark));
        }
        let (mark, acquired) = if let Some(mark) = self.free.pop_front() {
            (mark, Acquired::Fill(mark))
        } else {
            let mark = self.another().ok_or(Full)?;
            (mark, Acquired::MakeAndFill(mark))
        };
        self.set(mark, State::Used { hash, users: 1 });
        self.by_hash.insert(hash, mark);
        self.used += 1;
        Ok(acquired)
    }

    /// Takes a user away; the last one retires the slot.
    pub(super) fn release(&mut self, mark: Mark, now: Instant) {
        let State::Used { hash, users } = self.state(mark) else { return };
        if users > 1 {
            self.set(mark, State::Used { hash, users: users - 1 });
            return;
        }
        self.used -= 1;
        self.set(mark, State::Retired { hash, since: now });
        self.retired.push_back((now, mark));
    }

    /// The kernel refused to fill the slot: nobody stands in it, what is in it is unknown.
    pub(super) fn spoiled(&mut self, mark: Mark) {
        self.forget(mark);
        self.set(mark, State::Dirty);
        self.dirty.push_back(mark);
    }

    /// The kernel refused to make these slots.
    pub(super) fn not_made(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.forget(*mark);
            self.set(*mark, State::Unmade);
            self.unmade.push(*mark);
        }
    }

    fn forget(&mut self, mark: Mark) {
        if let State::Used { hash, .. } = self.state(mark) {
            self.by_hash.remove(&hash);
            self.used -= 1;
        }
    }

    /// Up to `most` slots whose rules nobody has wanted for the retention: to be taken away and made anew.
    pub(super) fn take_dirty(&mut self, now: Instant, most: usize) -> Vec<Mark> {
        while let Some((at, mark)) = self.retired.front().copied() {
            if now.saturating_duration_since(at) < self.retention {
                break;
            }
            self.retired.pop_front();
            match self.state(mark) {
                State::Retired { hash, since } if since == at => {
                    self.by_hash.remove(&hash);
                    self.set(mark, State::Dirty);
                    self.dirty.push_back(mark);
                }
                _ => {} // found users again since
            }
        }
        let count = most.min(self.dirty.len());
        self.dirty.drain(..count).collect()
    }

    /// These slots are empty in the kernel (new, or emptied) and may be filled.
    pub(super) fn emptied(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.set(*mark, State::Free);
            self.free.push_back(*mark);
        }
    }

    /// These slots could not be emptied now: later again.
    pub(super) fn not_emptied(&mut self, marks: &[Mark]) {
        self.dirty.extend(marks);
    }

    /// Up to `count` new slots, as far as the limit allows: to be made in the kernel.
    pub(super) fn grow(&mut self, count: usize) -> Vec<Mark> {
        (0..count).map_while(|_| self.another()).collect()
    }

    /// Empty slots that wait for rules.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Slots that hold rules somebody uses.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// All slots that the kernel holds.
    pub(super) fn made(&self) -> usize {
        self.states.len() - self.unmade.len()
    }

    /// The numbers of all slots that the kernel holds.
    pub(super) fn marks(&self) -> impl Iterator<Item = Mark> {
        (1..).map(Mark).zip(&self.states).filter(|(_, state)| **state != State::Unmade).map(|(mark, _)| mark)
    }

    /// True if the slot's rules must be in the kernel, whole.
    pub(super) fn filled(&self, mark: Mark) -> bool {
        matches!(self.state(mark), State::Used { .. } | State::Retired { .. })
    }

    fn another(&mut self) -> Option<Mark> {
        if let Some(mark) = self.unmade.pop() {
            return Some(mark);
        }
        if self.states.len() >= self.limit {
            return None;
        }
        self.states.push(State::Unmade);
        u32::try_from(self.states.len()).ok().map(Mark)
    }

    fn state(&self, mark: Mark) -> State {
        self.states[mark.0 as usize - 1]
    }

    fn set(&mut self, mark: Mark, state: State) {
        self.states[mark.0 as usize - 1] = state;
    }
}

#[cfg(test)]
mod tests;
