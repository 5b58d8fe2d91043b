//! A logged packet as a flow: who, where to, what.

use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use ringwall_protocol::rules::Direction;

/// A flow that a client was not allowed to begin or to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockedFlow {
    /// The session's tunnel address.
    pub session: IpAddr,
    /// The flow's other end: where the client's packet was to go.
    pub destination: IpAddr,
    /// IANA protocol number.
    pub protocol: u8,
    /// Ports or ICMP type and code, as far as the packet has them.
    pub port: LoggedPort,
    /// Who began the flow; `Down`: the packet was the client's answer.
    pub direction: Direction,
}

/// A flow that an `alert` rule let pass and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertedFlow {
    /// The session's tunnel address.
    pub session: IpAddr,
    /// The flow's other end.
    pub peer: IpAddr,
    /// IANA protocol number.
    pub protocol: u8,
    /// Ports or ICMP type and code, as the flow's first packet had them.
    pub port: LoggedPort,
    /// Who began the flow.
    pub direction: Direction,
}

/// What stands for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoggedPort {
    /// TCP or UDP.
    Ports {
        /// The client's port.
        source: u16,
        /// The port asked for.
        destination: u16,
    },
    /// ICMP of either family.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// The protocol has none, or the logged bytes ended before it.
    None,
}

impl LoggedPort {
    /// The number that rules compare: the destination port, or type × 256 + code, or 0.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Ports { destination, .. } => destination,
            Self::Icmp { kind, code } => u16::from_be_bytes([kind, code]),
            Self::None => 0,
        }
    }
}

impl BlockedFlow {
    /// From the first bytes of a client's packet; `None` if they hold no IP header.
    #[must_use]
    pub fn parse(packet: &[u8], direction: Direction) -> Option<Self> {
        let Ends { source: session, destination, protocol, port } = Ends::parse(packet)?;
        Some(Self { session, destination, protocol, port, direction })
    }
}

impl AlertedFlow {
    /// From the first bytes of a flow's first packet; `None` if they hold no IP header.
    #[must_use]
    pub fn parse(packet: &[u8], direction: Direction) -> Option<Self> {
        let Ends { source, destination, protocol, port } = Ends::parse(packet)?;
        let (session, peer) = match direction {
            Direction::Up => (source, destination),
            Direction::Down => (destination, source),
        };
        Some(Self { session, peer, protocol, port, direction })
    }
}

struct Ends {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    port: LoggedPort,
}

impl Ends {
    fn parse(packet: &[u8]) -> Option<Self> {
        let sliced = LaxSlicedPacket::from_ip(packet).ok()?;
        let (source, destination, protocol) = match sliced.net.as_ref()? {
            LaxNetSlice::Ipv4(v4) => {
                let header = v4.header();
                (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()), v4.payload().ip_number.0)
            }
            LaxNetSlice::Ipv6(v6) => {
                let header = v6.header();
                (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()), v6.payload().ip_number.0)
            }
            LaxNetSlice::Arp(_) => return None,
        };
        Some(Self { source, destination, protocol, port: port(sliced.transport.as_ref()) })
    }
}

fn port(transport: Option<&TransportSlice<'_>>) -> LoggedPort {
    match transport {
        Some(TransportSlice::Tcp(tcp)) => {
            LoggedPort::Ports { source: tcp.source_port(), destination: tcp.destination_port() }
        }
        Some(TransportSlice::Udp(udp)) => {
            LoggedPort::Ports { source: udp.source_port(), destination: udp.destination_port() }
        }
        Some(TransportSlice::Icmpv4(icmp)) => LoggedPort::Icmp { kind: icmp.type_u8(), code: icmp.code_u8() },
        Some(TransportSlice::Icmpv6(icmp)) => LoggedPort::Icmp { kind: icmp.type_u8(), code: icmp.code_u8() },
        Some(TransportSlice::Igmp(_)) | None => LoggedPort::None,
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tcp_syn_is_read() {
        let mut packet = vec![];
        let builder = PacketBuilder::ipv4([10, 9, 0, 1], [10, 0, 0, 5], 64).tcp(40_000, 443, 1, 1024).syn();
        builder.write(&mut packet, &[]).expect("a vector takes it");
        let flow = BlockedFlow::parse(&packet, Direction::Up).expect("an IP packet");
        assert_eq!(flow.session, IpAddr::from([10, 9, 0, 1]));
        assert_eq!(flow.destination, IpAddr::from([10, 0, 0, 5]));
        assert_eq!((flow.protocol, flow.port.number()), (6, 443));
    }

    #[test]
    fn an_icmpv6_echo_is_read_as_type_and_code() {
        let mut packet = vec![];
        let builder = PacketBuilder::ipv6([0xfd; 16], [0xfe; 16], 64).icmpv6_echo_request(1, 1);
        builder.write(&mut packet, &[0; 200]).expect("a vector takes it");
        packet.truncate(100);
        let flow = BlockedFlow::parse(&packet, Direction::Up).expect("an IP packet");
        assert_eq!((flow.protocol, flow.port), (58, LoggedPort::Icmp { kind: 128, code: 0 }));
        assert_eq!(flow.port.number(), 128 << 8);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
            let _ = BlockedFlow::parse(&bytes, Direction::Up);
        }
    }
}
