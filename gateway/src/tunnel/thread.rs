//! The thread of one worker, with its metrics. Promise: if it ends unasked, an event says so.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use ringwall_tunnel::tun::SyncDevice;
use ringwall_tunnel::worker::{self, Equipment};

use super::event::TunnelEvent;
use super::metrics;
use super::side::{GatewaySide, SideParts};

/// Starts a worker on a thread of its own.
pub(super) fn start(
    queue: SyncDevice,
    equipment: Equipment<GatewaySide>,
    parts: SideParts,
) -> io::Result<JoinHandle<()>> {
    let (worker, events) = (parts.number, Arc::clone(&parts.events));
    let counters = Arc::clone(&equipment.counters);
    let make_side = move || {
        tokio::task::spawn_local(metrics::publish(worker, counters));
        GatewaySide::new(parts)
    };
    let stopped = move |error: Option<io::Error>| {
        if let Some(error) = error {
            tracing::error!(%error, worker, "tunnel worker failed");
        }
        events.tunnel_event(TunnelEvent::WorkerStopped { worker });
    };
    worker::start(format!("tunnel-{worker}"), queue, equipment, make_side, stopped)
}
