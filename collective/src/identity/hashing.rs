//! Password hashing beside the runtime: as many at once as there are cores, a bounded queue before them (T39).

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::refusal::Refusal;

/// Callers that may wait for a password hash; a queue longer than this takes longer than callers wait.
const MAX_WAITING_HASHES: usize = 256;

/// Runs work that takes tens of milliseconds of a core.
#[derive(Debug, Clone)]
pub(crate) struct HashingPool {
    queue: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    runtime: Handle,
}

impl HashingPool {
    /// A pool that runs `at_once` pieces of work on the blocking threads of `runtime`.
    #[must_use]
    pub(crate) fn new(at_once: usize, runtime: Handle) -> Self {
        let at_once = at_once.max(1);
        Self {
            queue: Arc::new(Semaphore::new(at_once + MAX_WAITING_HASHES)),
            cores: Arc::new(Semaphore::new(at_once)),
            runtime,
        }
    }

    /// Runs `work` when a core is free.
    ///
    /// # Errors
    /// `busy` if too many wait already; `internal` if the work panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let _place = self.queue.clone().try_acquire_owned().map_err(|_| Refusal::busy())?;
        let core = self.cores.clone().acquire_owned().await.map_err(|_| Refusal::internal())?;
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
