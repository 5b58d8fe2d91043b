//! The thread of one worker. Promise: if it ends unasked, an event says so.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use ringwall_tunnel::tun::{Queue, SyncDevice};
use tokio::runtime::{Builder, LocalOptions};

use super::event::{TunnelEvent, TunnelEvents};
use super::worker::{Equipment, Inbox, Worker};

/// Ready tasks that a worker runs before it asks the kernel for new readiness: each of them may move 256 KiB.
const TASKS_BETWEEN_POLLS: u32 = 4;

/// Starts a worker on a thread of its own.
pub(super) fn start(queue: SyncDevice, equipment: Equipment, inbox: Inbox) -> io::Result<JoinHandle<()>> {
    let name = format!("tunnel-{}", equipment.number);
    let mut alarm = Alarm { worker: equipment.number, events: Arc::clone(&equipment.events), armed: true };
    std::thread::Builder::new().name(name).spawn(move || match work(queue, equipment, inbox) {
        Ok(()) => alarm.disarm(),
        Err(error) => tracing::error!(%error, worker = alarm.worker, "tunnel worker failed"),
    })
}

fn work(queue: SyncDevice, equipment: Equipment, inbox: Inbox) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_POLLS)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let worker = Rc::new(Worker::new(Queue::register(queue)?, equipment));
        worker.run(inbox).await
    })
}

/// Tells that a worker ended, by an error or by a panic, unless it was disarmed.
struct Alarm {
    worker: usize,
    events: Arc<dyn TunnelEvents>,
    armed: bool,
}

impl Alarm {
    fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if self.armed {
            self.events.tunnel_event(TunnelEvent::WorkerStopped { worker: self.worker });
        }
    }
}
