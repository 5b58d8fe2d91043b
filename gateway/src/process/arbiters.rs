//! The threads of actors: one for registry and feed, some for sessions, some for listeners.

use std::num::NonZeroUsize;

use actix::{Actor, Addr, Arbiter, ArbiterHandle, Context};
use tokio::sync::oneshot;

/// Threads with actors; they end with the process's system.
pub(super) struct Arbiters {
    /// Registry and feed.
    pub(super) control: Arbiter,
    /// Session actors.
    pub(super) sessions: Vec<Arbiter>,
    /// Listeners and websockets.
    pub(super) listeners: Vec<Arbiter>,
}

impl Arbiters {
    pub(super) fn start(sessions: NonZeroUsize, listeners: NonZeroUsize) -> Self {
        let many = |count: NonZeroUsize| (0..count.get()).map(|_| Arbiter::new()).collect();
        Self { control: Arbiter::new(), sessions: many(sessions), listeners: many(listeners) }
    }

    pub(super) fn session_handles(&self) -> Vec<ArbiterHandle> {
        self.sessions.iter().map(Arbiter::handle).collect()
    }
}

/// Starts an actor in an arbiter.
pub(super) fn start_in<A, F>(arbiter: &Arbiter, make: F) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
    F: FnOnce() -> A + Send + 'static,
{
    A::start_in_arbiter(&arbiter.handle(), move |_| make())
}

/// Runs a future in an arbiter and hands its outcome back; dropped if the arbiter is gone.
pub(super) fn run_in<T, F, R>(arbiter: &Arbiter, make: F) -> oneshot::Receiver<T>
where
    T: Send + 'static,
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output = T> + 'static,
{
    let (done, outcome) = oneshot::channel();
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            // Nobody waits any more: the process is ending.
            let _ = done.send(make().await);
        });
    });
    outcome
}
