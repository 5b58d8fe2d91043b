//! The thread of a worker. Promise: if it ends unasked, its owner is told.

use std::io;
use std::rc::Rc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions};

use super::{Equipment, Worker};
use crate::side::PeerSide;
use crate::tun::{Queue, SyncDevice};

/// Ready tasks that a worker runs before it asks the kernel for new readiness: each of them may move 256 KiB.
const TASKS_BETWEEN_POLLS: u32 = 4;

/// Starts a worker on a thread of its own, with this name. `make_side` is called there, inside the worker's runtime, so that
/// the side may hold what never leaves the thread. `stopped` is called if the worker ends though nothing told it to: with the
/// error, or with `None` after a panic.
///
/// # Errors
/// If the thread cannot be started.
pub fn start<S: PeerSide>(
    name: String,
    device: SyncDevice,
    equipment: Equipment<S>,
    make_side: impl FnOnce() -> S + Send + 'static,
    stopped: impl FnOnce(Option<io::Error>) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(move || {
        let mut alarm = Alarm(Some(stopped));
        let result = work(device, equipment, make_side);
        let stopped = alarm.0.take();
        if let (Err(error), Some(stopped)) = (result, stopped) {
            stopped(Some(error));
        }
    })
}

fn work<S: PeerSide>(device: SyncDevice, equipment: Equipment<S>, make_side: impl FnOnce() -> S) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_POLLS)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let Equipment { counters, peer_queue, orders } = equipment;
        let worker = Worker::new(make_side(), Queue::register(device)?, counters, peer_queue);
        Rc::new(worker).run(orders).await
    })
}

/// Tells of a panic of the thread that holds it.
struct Alarm<F: FnOnce(Option<io::Error>)>(Option<F>);

impl<F: FnOnce(Option<io::Error>)> Drop for Alarm<F> {
    fn drop(&mut self) {
        if let Some(stopped) = self.0.take() {
            stopped(None);
        }
    }
}
