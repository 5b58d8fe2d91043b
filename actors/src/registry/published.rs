//! What the registry lets others see of the feed: members and keys for handshakes and signatures, and how far it is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringwall_protocol::feed::FeedView;
use ringwall_protocol::id::LogIndex;
use ringwall_trust::spa::HandleCutoffs;
use ringwall_trust::token::{Expected, KeySet};
use tokio::sync::{Semaphore, watch};

/// Clients that may wait for the feed at once (T35).
pub(crate) const MAX_WAITERS: usize = 100;
/// How long a Client waits for the feed.
pub(crate) const FEED_WAIT: Duration = Duration::from_secs(5);

/// A snapshot of the feed's view, without its revocations, and its keys ready for use.
#[derive(Debug)]
pub struct Snapshot {
    /// The view; `revocations` is empty.
    pub view: FeedView,
    /// Its keys.
    pub keys: KeySet,
}

impl Snapshot {
    /// What a claims token must be for.
    #[must_use]
    pub const fn expects_claims(&self) -> Expected {
        Expected::collective(self.view.collective, self.view.position.incarnation)
    }

    /// What an entitlement token must be for.
    #[must_use]
    pub const fn expects_entitlement(&self) -> Expected {
        Expected {
            issuer: self.view.collective,
            incarnation: self.view.position.incarnation,
            audience: self.view.site.id.uuid(),
        }
    }
}

/// The reading end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Published {
    snapshot: watch::Receiver<Option<Arc<Snapshot>>>,
    complete: watch::Receiver<LogIndex>,
    waiters: Arc<Semaphore>,
    cutoffs: Arc<Mutex<HandleCutoffs>>,
}

/// The registry's end.
#[derive(Debug)]
pub struct Publisher {
    snapshot: watch::Sender<Option<Arc<Snapshot>>>,
    complete: watch::Sender<LogIndex>,
    pub(crate) cutoffs: Arc<Mutex<HandleCutoffs>>,
}

/// Both ends.
#[must_use]
pub fn channel() -> (Publisher, Published) {
    let (snapshot_into, snapshot) = watch::channel(None);
    let (complete_into, complete) = watch::channel(LogIndex(0));
    let waiters = Arc::new(Semaphore::new(MAX_WAITERS));
    let cutoffs = Arc::<Mutex<HandleCutoffs>>::default();
    let publisher = Publisher { snapshot: snapshot_into, complete: complete_into, cutoffs: Arc::clone(&cutoffs) };
    (publisher, Published { snapshot, complete, waiters, cutoffs })
}

impl Publisher {
    /// Shows a view.
    pub(crate) fn show(&self, view: FeedView) {
        let mut keys = KeySet::default();
        for record in view.keys.values() {
            if let Err(error) = keys.put(record) {
                tracing::error!(%error, "a key record of the feed is damaged; tokens of the key are refused");
            }
        }
        self.snapshot.send_replace(Some(Arc::new(Snapshot { view, keys })));
    }

    /// Everything up to `index` is applied.
    pub(crate) fn complete(&self, index: LogIndex) {
        self.complete.send_replace(index);
    }
}

impl Published {
    /// The snapshot now; `None` before the first full state.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// Waits for the next change of the snapshot; false if the registry has stopped.
    pub async fn changed(&mut self) -> bool {
        self.snapshot.changed().await.is_ok()
    }

    /// Whose knocks are refused because their sessions were cut, as it is at the time.
    #[must_use]
    pub fn cutoffs(&self) -> Arc<Mutex<HandleCutoffs>> {
        Arc::clone(&self.cutoffs)
    }

    /// Everything up to this index is applied.
    #[must_use]
    pub(crate) fn completed(&self) -> LogIndex {
        *self.complete.borrow()
    }

    /// Waits until the feed has reached `index`: for 5 s at most, and 100 callers at a time at most; true if it has.
    pub async fn reach(&self, index: LogIndex) -> bool {
        if self.completed() >= index {
            return true;
        }
        let Ok(_seat) = self.waiters.try_acquire() else { return false };
        let mut complete = self.complete.clone();
        let reached = complete.wait_for(|at| *at >= index);
        tokio::time::timeout(FEED_WAIT, reached).await.is_ok_and(|reached| reached.is_ok())
    }
}
