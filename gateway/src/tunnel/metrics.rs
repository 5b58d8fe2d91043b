//! The metrics of the tunnel workers: what each of them moved and dropped, once a second.

use std::sync::Arc;
use std::time::Duration;

use ringwall_tunnel::counters::Counters;

use super::drop_reason::DropReason;

/// How often counters go to the metrics.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// Publishes a worker's counters until its runtime ends.
pub(super) async fn publish(worker: usize, counters: Arc<Counters<DropReason>>) {
    let mut tick = tokio::time::interval(PUBLISH_EVERY);
    loop {
        tick.tick().await;
        set(worker, &counters);
    }
}

/// Sets the worker's metrics to what was counted.
fn set(worker: usize, counters: &Counters<DropReason>) {
    let worker = worker.to_string();
    let traffic = counters.traffic();
    for (direction, (packets, bytes)) in [("up", traffic.to_tun()), ("down", traffic.from_tun())] {
        metrics::counter!("ringwall_tunnel_packets_total", "worker" => worker.clone(), "direction" => direction)
            .absolute(packets);
        metrics::counter!("ringwall_tunnel_bytes_total", "worker" => worker.clone(), "direction" => direction)
            .absolute(bytes);
    }
    for reason in DropReason::ALL {
        metrics::counter!("ringwall_tunnel_drops_total", "worker" => worker.clone(), "reason" => reason.label())
            .absolute(counters.dropped(*reason));
    }
}
