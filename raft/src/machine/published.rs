//! What the state machine shows to the rest of the process: the present state, and how it came about.
//!
//! Changes are kept before the state that holds them is shown: whoever sees index N can ask for every change up to N.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringwall_protocol::id::LogIndex;
use tokio::sync::watch;

use crate::state::{Change, Scoped, State};

/// Entries with changes that are kept: twice what a Gateway may be behind before it gets the full state.
const MAX_CHANGES: usize = 16_384;
/// Versions that are kept, for questions about an index: at a million entries 3.6 KiB each.
const MAX_VERSIONS: usize = 1_000;

/// The published state and its recent past.
#[derive(Debug)]
pub(crate) struct Published {
    state: watch::Sender<Arc<State>>,
    applied: watch::Sender<LogIndex>,
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    /// Changes above this index are all kept.
    floor: LogIndex,
    changes: VecDeque<Change>,
    versions: VecDeque<Arc<State>>,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::new(Arc::new(State::default())),
            applied: watch::Sender::new(LogIndex(0)),
            past: Mutex::new(Past::default()),
        }
    }

    /// The state now.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    pub(crate) fn watch_applied(&self) -> watch::Receiver<LogIndex> {
        self.applied.subscribe()
    }

    /// The state as it was at `index`, if that is recent: the last version not above it.
    pub(crate) fn state_at(&self, index: LogIndex) -> Option<Arc<State>> {
        let past = self.past();
        let after = past.versions.partition_point(|version| version.index() <= index);
        past.versions.get(after.checked_sub(1)?).cloned()
    }

    /// Every change above `index`, or `None` if some of them are no longer kept.
    pub(crate) fn changes_after(&self, index: LogIndex) -> Option<Vec<Change>> {
        let past = self.past();
        if index < past.floor {
            return None;
        }
        let from = past.changes.partition_point(|change| change.index <= index);
        Some(past.changes.range(from..).cloned().collect())
    }

    /// Shows the state that an entry made.
    pub(crate) fn advance(&self, state: Arc<State>, events: Vec<Scoped>) {
        let index = state.index();
        let mut past = self.past();
        if !events.is_empty() {
            past.changes.push_back(Change { index, events });
        }
        if past.changes.len() > MAX_CHANGES
            && let Some(dropped) = past.changes.pop_front()
        {
            past.floor = dropped.index;
        }
        past.versions.push_back(Arc::clone(&state));
        let oldest = if past.versions.len() > MAX_VERSIONS { past.versions.pop_front() } else { None };
        drop(past);
        drop(oldest);
        self.show(state);
    }

    /// Shows a state that came as a whole: nothing is known of how it came about.
    pub(crate) fn replace(&self, state: Arc<State>) {
        let mut past = self.past();
        let former = std::mem::replace(
            &mut *past,
            Past { floor: state.index(), changes: VecDeque::new(), versions: VecDeque::from([Arc::clone(&state)]) },
        );
        drop(past);
        self.show(state);
        // Dropping a whole state takes up to a second at a million entries.
        tokio::task::spawn_blocking(move || drop(former));
    }

    fn show(&self, state: Arc<State>) {
        let index = state.index();
        self.state.send_replace(state);
        self.applied.send_replace(index);
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
