//! News from the kernel and the workers to the sessions that they concern. Whatever does not fit a session's mailbox is
//! lost: the kernel logs the next packet of a blocked flow, and a tunnel's end is noticed by its silence.

use std::sync::Arc;

use ringwall_actors::registry::Directory;
use ringwall_actors::session::TunnelNews;
use ringwall_actors::session::{Alerted, Blocked, Tunnel};
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::rules::{Direction, Protocol};
use tokio::sync::mpsc;

use crate::firewall::{AlertedFlow, BlockedFlow, LoggedPort};
use crate::names::Names;
use crate::tunnel::{LossReason, TunnelEvent, TunnelEvents};

/// Tells sessions of flows that they were not allowed, until the firewall is gone.
pub(crate) async fn tell_blocked(mut from: mpsc::Receiver<BlockedFlow>, directory: Arc<Directory>, names: Names) {
    while let Some(blocked) = from.recv().await {
        metrics::counter!("ringwall_blocked_flows_total").increment(1);
        let Some(flow) = blocked_flow(&blocked) else { continue };
        let Some((id, session)) = directory.entry_at(blocked.session) else { continue };
        let names = names.known_as(id, flow.remote);
        if session.try_send(Blocked(flow, names)).is_err() {
            metrics::counter!("ringwall_blocked_flows_untold_total").increment(1);
        }
    }
}

/// Tells sessions of flows that `alert` rules let pass, for the audit.
pub(crate) async fn tell_alerted(mut from: mpsc::Receiver<AlertedFlow>, directory: Arc<Directory>) {
    while let Some(alerted) = from.recv().await {
        metrics::counter!("ringwall_alerted_flows_total").increment(1);
        let AlertedFlow { session, peer, protocol, port, direction } = alerted;
        tracing::info!(%session, %peer, protocol, port = port.number(), ?direction, "flow matched an alert rule");
        let Some(protocol) = known(protocol) else { continue };
        let flow = Flow { direction, protocol, remote: peer, port: port.number() };
        if let Some(session) = directory.at(session)
            && session.try_send(Alerted(flow)).is_err()
        {
            metrics::counter!("ringwall_alerts_not_audited_total").increment(1);
        }
    }
}

/// The flow as it began; what was logged is a packet of the client.
fn blocked_flow(blocked: &BlockedFlow) -> Option<Flow> {
    let port = match (blocked.direction, blocked.port) {
        // The client's answer: it comes from the port that the other side asked for.
        (Direction::Down, LoggedPort::Ports { source, .. }) => source,
        (Direction::Down, LoggedPort::Icmp { kind, code }) => {
            u16::from_be_bytes([asked_by(blocked.protocol, kind), code])
        }
        (Direction::Up, port) | (Direction::Down, port @ LoggedPort::None) => port.number(),
    };
    Some(Flow { direction: blocked.direction, protocol: known(blocked.protocol)?, remote: blocked.destination, port })
}

/// The ICMP type that is answered by `reply`: what a flow begins with.
const fn asked_by(protocol: u8, reply: u8) -> u8 {
    match (protocol, reply) {
        (1, 0) => 8,                    // echo
        (1, 14 | 16 | 18) => reply - 1, // timestamp, information, address mask
        (58, 129) => 128,               // echo
        (58, 140) => 139,               // node information
        _ => reply,
    }
}

/// Routes tunnel events to the session actors that they concern.
pub(crate) struct TunnelEventRouter(pub Arc<Directory>);

impl TunnelEvents for TunnelEventRouter {
    fn tunnel_event(&self, event: TunnelEvent) {
        let (session, news) = match event {
            TunnelEvent::Attached { session, peer, .. } => (session, TunnelNews::Attached(peer)),
            TunnelEvent::Lost { session, reason } => {
                if reason == LossReason::Defect {
                    tracing::error!(%session, "tunnel closed by an internal error");
                }
                (session, TunnelNews::Lost)
            }
            TunnelEvent::ProtocolViolation { session, violation } => {
                (session, TunnelNews::Violation(violation.to_string()))
            }
            TunnelEvent::WorkerStopped { worker } => {
                metrics::counter!("ringwall_tunnel_workers_stopped_total").increment(1);
                return tracing::error!(worker, "tunnel worker stopped; its sessions forward no packets");
            }
        };
        if let Some(actor) = self.0.session(session) {
            // A full mailbox: the session hears of the tunnel's next change.
            let _ = actor.try_send(Tunnel(news));
        }
    }
}

/// The protocol with this IANA number, if rules can name it.
const fn known(number: u8) -> Option<Protocol> {
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

    fn blocked(direction: Direction, protocol: u8, port: LoggedPort) -> u16 {
        let session = [10, 9, 0, 1].into();
        let flow = BlockedFlow { session, destination: [10, 1, 0, 5].into(), protocol, port, direction };
        blocked_flow(&flow).expect("a protocol that rules name").port
    }

    #[test]
    fn a_flow_has_the_port_that_was_asked_for_whichever_side_began_it() {
        let ports = LoggedPort::Ports { source: 40_000, destination: 443 };
        assert_eq!(blocked(Direction::Up, 6, ports), 443);
        let answer = LoggedPort::Ports { source: 22, destination: 50_000 };
        assert_eq!(blocked(Direction::Down, 6, answer), 22);
        assert_eq!(blocked(Direction::Up, 1, LoggedPort::Icmp { kind: 8, code: 0 }), 8 << 8);
        assert_eq!(blocked(Direction::Down, 1, LoggedPort::Icmp { kind: 0, code: 0 }), 8 << 8);
        assert_eq!(blocked(Direction::Down, 58, LoggedPort::Icmp { kind: 129, code: 0 }), 128 << 8);
        assert_eq!(blocked(Direction::Down, 47, LoggedPort::None), 0);
    }

    #[test]
    fn protocol_numbers_are_those_that_rules_compile_to() {
        for number in 0..=u8::MAX {
            assert!(known(number).is_none_or(|protocol| protocol.number() == number));
        }
        assert_eq!((0..=u8::MAX).filter_map(known).count(), 7);
    }
}
