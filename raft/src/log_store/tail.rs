//! The newest entries in memory: replication and the state machine read what was just written.

use std::collections::VecDeque;

use crate::types::Entry;

/// Most entries: what followers in good order are behind, many times over.
const MAX_ENTRIES: usize = 4_096;
/// Most encoded bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A run of entries without hole, up to the last one of the log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    first: u64,
    entries: VecDeque<(Entry, usize)>,
    bytes: usize,
}

impl Tail {
    /// Appends an entry of `size` encoded bytes.
    pub(crate) fn push(&mut self, entry: Entry, size: usize) {
        let index = entry.log_id.index;
        if self.entries.is_empty() || index != self.end() {
            self.clear();
            self.first = index;
        }
        self.bytes += size;
        self.entries.push_back((entry, size));
        while self.entries.len() > MAX_ENTRIES || (self.bytes > MAX_BYTES && self.entries.len() > 1) {
            self.drop_first();
        }
    }

    /// Removes what lies behind `last`; all, if there is none.
    pub(crate) fn truncate_after(&mut self, last: Option<u64>) {
        while last.is_none_or(|last| self.end() > last + 1) {
            let Some((_, size)) = self.entries.pop_back() else { return };
            self.bytes -= size;
        }
    }

    /// Removes entries up to and including `index`.
    pub(crate) fn purge(&mut self, index: u64) {
        while !self.entries.is_empty() && self.first <= index {
            self.drop_first();
        }
    }

    /// The entries of `start..end` that exist, at most `max_bytes` of them but one at least, if the run holds `start`.
    pub(crate) fn read(&self, start: u64, end: u64, max_bytes: usize) -> Option<Vec<Entry>> {
        let from = usize::try_from(start.checked_sub(self.first)?).ok()?;
        if from >= self.entries.len() {
            return None;
        }
        let count = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let chosen = self.entries.iter().skip(from).take(count).take_while(|(_, size)| {
            let first = bytes == 0;
            bytes += size;
            first || bytes <= max_bytes
        });
        Some(chosen.map(|(entry, _)| entry.clone()).collect())
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn drop_first(&mut self) {
        if let Some((_, size)) = self.entries.pop_front() {
            self.bytes -= size;
            self.first += 1;
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}
