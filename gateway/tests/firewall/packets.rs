//! Hand-made packets, and what comes out of an interface.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpFragOffset, IpNumber, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TcpOptionElement, TransportSlice,
    ip_number,
};

/// A packet as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    /// Ports, or ICMP type and code.
    pub(crate) ports: (u16, u16),
    /// TCP: SYN, ACK, RST.
    pub(crate) flags: (bool, bool, bool),
    /// TCP: sequence number.
    pub(crate) sequence: u32,
    pub(crate) payload: Vec<u8>,
    /// TCP: maximum segment size.
    pub(crate) mss: Option<u16>,
}

impl Seen {
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let sliced = SlicedPacket::from_ip(packet).ok()?;
        let (source, destination, protocol) = match sliced.net? {
            NetSlice::Ipv4(v4) => {
                let header = v4.header();
                (header.source_addr().into(), header.destination_addr().into(), v4.payload().ip_number)
            }
            NetSlice::Ipv6(v6) => {
                let header = v6.header();
                (header.source_addr().into(), header.destination_addr().into(), v6.payload().ip_number)
            }
            NetSlice::Arp(_) => return None,
        };
        let mut seen = Self {
            source,
            destination,
            protocol: protocol.0,
            ports: (0, 0),
            flags: (false, false, false),
            sequence: 0,
            payload: vec![],
            mss: None,
        };
        match sliced.transport {
            Some(TransportSlice::Udp(udp)) => {
                seen.ports = (udp.source_port(), udp.destination_port());
                seen.payload = udp.payload().to_vec();
            }
            Some(TransportSlice::Tcp(tcp)) => {
                seen.ports = (tcp.source_port(), tcp.destination_port());
                seen.flags = (tcp.syn(), tcp.ack(), tcp.rst());
                seen.sequence = tcp.sequence_number();
                seen.payload = tcp.payload().to_vec();
                seen.mss = tcp.options_iterator().flatten().find_map(|option| match option {
                    TcpOptionElement::MaximumSegmentSize(size) => Some(size),
                    _ => None,
                });
            }
            Some(TransportSlice::Icmpv4(icmp)) => {
                seen.ports = (icmp.type_u8().into(), icmp.code_u8().into());
                seen.payload = icmp.payload().to_vec();
            }
            Some(TransportSlice::Icmpv6(icmp)) => {
                seen.ports = (icmp.type_u8().into(), icmp.code_u8().into());
                seen.payload = icmp.payload().to_vec();
            }
            Some(TransportSlice::Igmp(_)) | None => {}
        }
        Some(seen)
    }

    /// What the kernel says by itself on every interface: neighbours, routers, multicast groups.
    pub(crate) fn is_chatter(&self) -> bool {
        self.destination.is_multicast() || self.protocol == 58 && (133..=143).contains(&self.ports.0)
    }
}

fn ip(from: IpAddr, to: IpAddr, ttl: u8) -> PacketBuilderStep<etherparse::IpHeaders> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), ttl),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), ttl),
        _ => panic!("both ends have one family"),
    }
}

pub(crate) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    udp_with_ttl(from, to, payload, 64)
}

pub(crate) fn udp_with_ttl(from: SocketAddr, to: SocketAddr, payload: &[u8], ttl: u8) -> Vec<u8> {
    let mut packet = vec![];
    let built = ip(from.ip(), to.ip(), ttl).udp(from.port(), to.port());
    built.write(&mut packet, payload).expect("a vector takes it");
    packet
}

/// A TCP segment with flags from `S`, `A`, `F`, `R`, `P`, `U`.
pub(crate) fn tcp(from: SocketAddr, to: SocketAddr, flags: &str, sequence: (u32, u32), payload: &[u8]) -> Vec<u8> {
    let mut built = ip(from.ip(), to.ip(), 64).tcp(from.port(), to.port(), sequence.0, 1_024);
    for flag in flags.chars() {
        built = match flag {
            'S' => built.syn(),
            'A' => built.ack(sequence.1),
            'F' => built.fin(),
            'R' => built.rst(),
            'P' => built.psh(),
            'U' => built.urg(0),
            other => panic!("no TCP flag {other}"),
        };
    }
    let mut packet = vec![];
    built.write(&mut packet, payload).expect("a vector takes it");
    packet
}

/// An ICMP echo request or reply.
pub(crate) fn echo(from: IpAddr, to: IpAddr, request: bool, payload: &[u8]) -> Vec<u8> {
    let (id, sequence) = (7, 1);
    let base = ip(from, to, 64);
    let mut packet = vec![];
    match (from.is_ipv4(), request) {
        (true, true) => base.icmpv4_echo_request(id, sequence).write(&mut packet, payload),
        (true, false) => base.icmpv4_echo_reply(id, sequence).write(&mut packet, payload),
        (false, true) => base.icmpv6_echo_request(id, sequence).write(&mut packet, payload),
        (false, false) => base.icmpv6_echo_reply(id, sequence).write(&mut packet, payload),
    }
    .expect("a vector takes it");
    packet
}

/// A packet of any protocol.
pub(crate) fn raw(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    // One that the builder knows nothing of; the number is put in afterwards.
    const ANY: IpNumber = IpNumber(253);
    let mut packet = vec![];
    ip(from, to, 64).write(&mut packet, ANY, payload).expect("a vector takes it");
    if from.is_ipv6() {
        packet[6] = protocol;
        return packet;
    }
    let mut header = etherparse::Ipv4Header::from_slice(&packet).expect("an IPv4 packet").0;
    header.protocol = IpNumber(protocol);
    header.header_checksum = header.calc_header_checksum();
    let mut changed = vec![];
    header.write(&mut changed).expect("a vector takes it");
    changed.extend(payload);
    changed
}

/// A GRE packet with some bytes in it.
pub(crate) fn gre(from: IpAddr, to: IpAddr) -> Vec<u8> {
    let mut packet = vec![];
    ip(from, to, 64).write(&mut packet, IpNumber::GRE, &[0, 0, 8, 0, 1, 2, 3, 4]).expect("a vector takes it");
    packet
}

/// "Too big" about `original`, from a router on the way.
pub(crate) fn too_big(router: IpAddr, to: IpAddr, original: &[u8]) -> Vec<u8> {
    const MTU: u16 = 1_280;
    let quoted = &original[..original.len().min(64)];
    let mut packet = vec![];
    let base = ip(router, to, 64);
    match router {
        IpAddr::V4(_) => {
            let kind = etherparse::Icmpv4Type::DestinationUnreachable(
                etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: MTU },
            );
            base.icmpv4(kind).write(&mut packet, quoted)
        }
        IpAddr::V6(_) => {
            let kind = etherparse::Icmpv6Type::PacketTooBig { mtu: MTU.into() };
            base.icmpv6(kind).write(&mut packet, quoted)
        }
    }
    .expect("a vector takes it");
    packet
}

/// An IPv4 packet with a "record route" option in front of its payload.
pub(crate) fn with_ipv4_option(packet: &[u8]) -> Vec<u8> {
    let mut header = etherparse::Ipv4Header::from_slice(packet).expect("an IPv4 packet").0;
    let payload = &packet[20..];
    header.options = [7, 7, 4, 0, 0, 0, 0, 0].into();
    header.set_payload_len(payload.len()).expect("small");
    header.header_checksum = header.calc_header_checksum();
    let mut optioned = vec![];
    header.write(&mut optioned).expect("a vector takes it");
    optioned.extend(payload);
    optioned
}

/// An IPv6 UDP packet with an extension header of this kind in front of the UDP header.
pub(crate) fn with_ipv6_extension(packet: &[u8], kind: IpNumber) -> Vec<u8> {
    let mut extended = packet[..40].to_vec();
    let length = u16::from_be_bytes([packet[4], packet[5]]) + 8;
    extended[4..6].copy_from_slice(&length.to_be_bytes());
    extended[6] = kind.0;
    // Next header, 8 bytes long; routing: type 4 with no segments left; hop-by-hop: six bytes of padding.
    let body = if kind == ip_number::IPV6_ROUTE_HEADER { [4, 0, 0, 0, 0, 0] } else { [1, 4, 0, 0, 0, 0] };
    extended.extend([packet[6], 0]);
    extended.extend(body);
    extended.extend(&packet[40..]);
    extended
}

/// A SYN that says how large segments may be.
pub(crate) fn syn_with_mss(from: SocketAddr, to: SocketAddr, mss: u16) -> Vec<u8> {
    let mut packet = vec![];
    let built = ip(from.ip(), to.ip(), 64).tcp(from.port(), to.port(), 1, 1_024).syn();
    let built = built.options(&[TcpOptionElement::MaximumSegmentSize(mss)]).expect("one option fits");
    built.write(&mut packet, &[]).expect("a vector takes it");
    packet
}

/// An IPv4 packet in two fragments, cut 40 bytes behind its header.
pub(crate) fn fragments(packet: &[u8]) -> [Vec<u8>; 2] {
    const CUT: u16 = 40;
    let (whole, payload) = etherparse::Ipv4Header::from_slice(packet).expect("an IPv4 packet");
    let part = |offset: u16, bytes: &[u8]| {
        let mut header = whole.clone();
        header.identification = 7;
        header.more_fragments = offset == 0;
        header.fragment_offset = IpFragOffset::try_new(offset / 8).expect("small");
        header.set_payload_len(bytes.len()).expect("small");
        header.header_checksum = header.calc_header_checksum();
        let mut written = vec![];
        header.write(&mut written).expect("a vector takes it");
        written.extend(bytes);
        written
    };
    let (first, rest) = payload.split_at(CUT.into());
    [part(0, first), part(CUT, rest)]
}
