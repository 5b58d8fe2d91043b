//! Password hashing beside the runtime: as many at once as there are cores, a bounded queue before them (T39), and lanes that
//! do not wait for each other (T64).

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::refusal::Refusal;

/// Callers that may wait for a password hash; a queue longer than this takes longer than callers wait.
const MAX_WAITING_HASHES: usize = 256;

/// For whom a piece of work is done. Each lane has a queue and cores of its own, so that guessers never stand before those who
/// are known (T64); where both work, the operating system shares the processor between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// For somebody who proved something: a registered device, a known administrator, a session.
    Known,
    /// For anybody.
    Unknown,
}

/// Runs work that takes tens of milliseconds of a core.
#[derive(Debug, Clone)]
pub(crate) struct HashingPool {
    known: Queue,
    unknown: Queue,
    runtime: Handle,
}

#[derive(Debug, Clone)]
struct Queue {
    waiting: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

impl Queue {
    fn new(at_once: usize) -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(at_once + MAX_WAITING_HASHES)),
            cores: Arc::new(Semaphore::new(at_once)),
        }
    }
}

impl HashingPool {
    /// A pool that runs `at_once` pieces of work of each lane on the blocking threads of `runtime`.
    #[must_use]
    pub(crate) fn new(at_once: usize, runtime: Handle) -> Self {
        let at_once = at_once.max(1);
        Self { known: Queue::new(at_once), unknown: Queue::new(at_once), runtime }
    }

    /// Runs `work` when a core of its lane is free.
    ///
    /// # Errors
    /// `busy` if too many wait already; `internal` if the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let queue = match lane {
            Lane::Known => &self.known,
            Lane::Unknown => &self.unknown,
        };
        let _place = queue.waiting.clone().try_acquire_owned().map_err(|_| Refusal::busy())?;
        let core = queue.cores.clone().acquire_owned().await.map_err(|_| Refusal::internal())?;
        let done = self.runtime.spawn_blocking(move || {
            let result = work();
            drop(core);
            result
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "password work ended abnormally");
            Refusal::internal()
        })
    }
}
