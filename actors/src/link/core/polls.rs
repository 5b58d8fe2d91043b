//! Polls of a Gateway from their arrival to their answer: they wait for a round, for its read index, and until everything up
//! to that index is in the stream.

use std::time::Instant;

use ringwall_protocol::id::LogIndex;

/// Polls that may wait; an honest Gateway has one or two.
const MAX_POLLS: usize = 32;

/// A question for a confirmation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Poll {
    /// The Gateway's number of it.
    pub(super) nonce: u64,
    /// When it came.
    pub(super) arrived: Instant,
}

/// Polls that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Polls {
    /// They wait for the next round.
    queued: Vec<Poll>,
    /// Their read index is being asked for.
    asking: Vec<Poll>,
    /// Their read index is known and not yet reached.
    waiting: Vec<(Poll, LogIndex)>,
}

impl Polls {
    /// Takes one that arrived; false if too many wait.
    pub(super) fn arrived(&mut self, poll: Poll) -> bool {
        let fits = self.queued.len() + self.asking.len() + self.waiting.len() < MAX_POLLS;
        if fits {
            self.queued.push(poll);
        }
        fits
    }

    /// Starts a round for all who wait, unless one is under way: that one began before their polls arrived. Answers whether a
    /// read index is to be asked for.
    pub(super) fn begin_round(&mut self) -> bool {
        if !self.asking.is_empty() || self.queued.is_empty() {
            return false;
        }
        self.asking.append(&mut self.queued);
        true
    }

    /// The read index of the round; without one its polls stay unanswered.
    pub(super) fn end_round(&mut self, read_index: Option<LogIndex>) {
        let asked = std::mem::take(&mut self.asking);
        if let Some(index) = read_index {
            self.waiting.extend(asked.into_iter().map(|poll| (poll, index)));
        }
    }

    /// Whether some have a read index.
    pub(super) const fn some_wait(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Those whose read index is at most `through`, with it: they are to be answered now.
    pub(super) fn take_covered(&mut self, through: LogIndex) -> impl Iterator<Item = (Poll, LogIndex)> {
        self.waiting.extract_if(.., move |(_, read_index)| *read_index <= through)
    }
}
