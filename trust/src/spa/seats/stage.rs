//! The seats of one stage: by holder, the oldest first, and which holder has the most.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::{Holder, SeatBounds};

/// Which holder has how many seats, and since when; the last entry gives way first: it has the most, and among equals the
/// oldest.
type Rank = (usize, Reverse<u64>, Holder);

#[derive(Debug)]
pub(super) struct Stage {
    bounds: SeatBounds,
    total: usize,
    seats: HashMap<Holder, VecDeque<(u64, Arc<Notify>)>>,
    ranking: BTreeSet<Rank>,
}

impl Stage {
    pub(super) fn new(bounds: SeatBounds) -> Self {
        Self { bounds, total: 0, seats: HashMap::new(), ranking: BTreeSet::new() }
    }

    /// Puts a seat in, and takes one out if there are too many: of the same holder, or of the one with the most.
    pub(super) fn enter(&mut self, holder: Holder, number: u64, taken: &Arc<Notify>) {
        self.change(&holder, |queue| queue.push_back((number, Arc::clone(taken))));
        self.total += 1;
        let own = self.seats.get(&holder).map_or(0, VecDeque::len);
        if own > self.most_of(&holder) {
            self.take_oldest(&holder);
        } else if self.total > self.bounds.total
            && let Some((_, _, most)) = self.ranking.last().cloned()
        {
            self.take_oldest(&most);
        }
    }

    /// Gives a seat back; false if it was taken away before.
    pub(super) fn leave(&mut self, holder: &Holder, number: u64) -> bool {
        let Some(at) = self.seats.get(holder).and_then(|queue| queue.iter().position(|(one, _)| *one == number)) else {
            return false;
        };
        self.change(holder, |queue| drop(queue.remove(at)));
        self.total -= 1;
        true
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0 && self.seats.is_empty() && self.ranking.is_empty()
    }

    fn most_of(&self, holder: &Holder) -> usize {
        match holder {
            Holder::Knocked(owner) if owner.is_shared() => self.bounds.total / 2,
            _ => self.bounds.each,
        }
    }

    fn take_oldest(&mut self, holder: &Holder) {
        let mut oldest = None;
        self.change(holder, |queue| oldest = queue.pop_front());
        if let Some((_, taken)) = oldest {
            self.total -= 1;
            taken.notify_one();
        }
    }

    /// Changes a holder's queue and keeps the ranking in step.
    fn change(&mut self, holder: &Holder, change: impl FnOnce(&mut VecDeque<(u64, Arc<Notify>)>)) {
        let rank = |queue: &VecDeque<(u64, Arc<Notify>)>| {
            queue.front().map(|(first, _)| (queue.len(), Reverse(*first), holder.clone()))
        };
        let queue = self.seats.entry(holder.clone()).or_default();
        if let Some(former) = rank(queue) {
            self.ranking.remove(&former);
        }
        change(queue);
        match rank(queue) {
            Some(present) => drop(self.ranking.insert(present)),
            None => drop(self.seats.remove(holder)),
        }
    }
}
