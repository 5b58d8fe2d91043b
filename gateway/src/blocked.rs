//! News from the kernel and the workers to the sessions that they concern. Whatever does not fit a session's mailbox is
//! lost: the kernel logs the next packet of a blocked flow, and a tunnel's end is noticed by its silence.

use std::sync::Arc;

use ringwall_actors::registry::directory::Directory;
use ringwall_actors::session::core::TunnelNews;
use ringwall_actors::session::message::{Blocked, Tunnel};
use ringwall_protocol::rules::Protocol;
use ringwall_protocol::rules::matching::Flow;
use tokio::sync::mpsc;

use crate::firewall::{AlertedFlow, BlockedFlow};
use crate::tunnel::{LossReason, TunnelEvent, TunnelEvents};

/// Tells sessions of flows that they were not allowed, until the firewall is gone.
pub async fn tell_blocked(mut from: mpsc::Receiver<BlockedFlow>, directory: Arc<Directory>) {
    while let Some(blocked) = from.recv().await {
        metrics::counter!("ringwall_blocked_flows_total").increment(1);
        let Some(protocol) = protocol(blocked.protocol) else { continue };
        let flow =
            Flow { direction: blocked.direction, protocol, remote: blocked.destination, port: blocked.port.number() };
        if let Some(session) = directory.at(blocked.session)
            && session.try_send(Blocked(flow)).is_err()
        {
            metrics::counter!("ringwall_blocked_flows_untold_total").increment(1);
        }
    }
}

/// Logs flows that `alert` rules let pass.
pub async fn log_alerted(mut from: mpsc::Receiver<AlertedFlow>) {
    while let Some(alerted) = from.recv().await {
        metrics::counter!("ringwall_alerted_flows_total").increment(1);
        let AlertedFlow { session, peer, protocol, port, direction } = alerted;
        tracing::info!(%session, %peer, protocol, port = port.number(), ?direction, "watched flow");
    }
}

/// Tells sessions of their tunnels.
pub struct TunnelNewsroom(pub Arc<Directory>);

impl TunnelEvents for TunnelNewsroom {
    fn tunnel_event(&self, event: TunnelEvent) {
        let (session, news) = match event {
            TunnelEvent::Attached { session, peer, .. } => (session, TunnelNews::Attached(peer)),
            TunnelEvent::Lost { session, reason } => {
                if reason == LossReason::Defect {
                    tracing::error!(%session, "a defect ended a tunnel");
                }
                (session, TunnelNews::Lost)
            }
            TunnelEvent::ProtocolViolation { session, violation } => {
                (session, TunnelNews::Violation(violation.to_string()))
            }
            TunnelEvent::WorkerStopped { worker } => {
                metrics::counter!("ringwall_tunnel_workers_stopped_total").increment(1);
                return tracing::error!(worker, "a tunnel worker stopped; its sessions carry nothing any more");
            }
        };
        if let Some(actor) = self.0.session(session) {
            // A full mailbox: the session hears of the tunnel's next change.
            let _ = actor.try_send(Tunnel(news));
        }
    }
}

/// The protocol with this IANA number, if rules can name it.
const fn protocol(number: u8) -> Option<Protocol> {
    match number {
        1 => Some(Protocol::Icmp),
        6 => Some(Protocol::Tcp),
        17 => Some(Protocol::Udp),
        47 => Some(Protocol::Gre),
        50 => Some(Protocol::Esp),
        51 => Some(Protocol::Ah),
        58 => Some(Protocol::Icmpv6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_numbers_are_those_that_rules_compile_to() {
        for number in 0..=u8::MAX {
            assert!(protocol(number).is_none_or(|protocol| protocol.number() == number));
        }
        assert_eq!((0..=u8::MAX).filter_map(protocol).count(), 7);
    }
}
