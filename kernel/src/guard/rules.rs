//! The guard's rules, one function for each thing that has to hold. Chains are named as in both tables: `raw_in`,
//! `raw_out`, `input`, `output`.

use ipnet::IpNet;
use ringwall_protocol::spa::{KNOCK_FIRST_BYTE, KNOCK_LEN};

use super::{KNOCK4, KNOCK6, LIVE4, LIVE6};
use crate::nft::family::{Family, Side, TCP, UDP, state, status};
use crate::nft::rule::Rule;

/// Bytes of a UDP header, which the length field of a datagram counts.
const UDP_HEADER: usize = 8;
/// Transport protocols that the kernel answers by itself where it knows them: DCCP, SCTP, UDP-Lite.
const ANSWERED_BY_THE_KERNEL: [u8; 3] = [33, 132, 136];
/// ICMP that this host begins itself: echo requests.
const OWN_ICMP4: [u8; 1] = [8];
/// The same for IPv6, with what the link needs: multicast listeners, routers, neighbours (RFC 4861, RFC 3810).
const OWN_ICMP6: [u8; 9] = [128, 130, 131, 132, 133, 134, 135, 136, 143];
/// Type and code of "this packet does not fit": fragmentation needed, packet too big.
const TOO_BIG: [(Family, (u8, u8)); 2] = [(Family::V4, (3, 4)), (Family::V6, (2, 0))];

/// Datagrams to and from the port of knocks are not tracked: junk cannot fill the table (T11).
#[must_use]
pub fn untracked_datagrams(udp_port: u16) -> [Rule; 2] {
    untracked(UDP, udp_port)
}

/// Nor are packets of the TCP port: which connection is let in stands in a set of ours, so that SYNs with an address
/// that knocked fill nothing (T47).
#[must_use]
pub fn untracked_connections(tcp_port: u16) -> [Rule; 2] {
    untracked(TCP, tcp_port)
}

fn untracked(protocol: u8, port: u16) -> [Rule; 2] {
    [
        Rule::in_chain("raw_in").port(protocol, Side::Destination, port).for_this_host().notrack(),
        Rule::in_chain("raw_out").port(protocol, Side::Source, port).notrack(),
    ]
}

/// What has the shape of a knock reaches the process.
#[must_use]
pub fn knock_packet(udp_port: u16) -> Rule {
    let length = u16::try_from(KNOCK_LEN + UDP_HEADER).expect("a knock is short");
    let knock = Rule::in_chain("input").datagram(udp_port, length, KNOCK_FIRST_BYTE).accept();
    knock.comment("a knock: 128 bytes, first byte 0xC0 or above")
}

/// Nothing else does.
#[must_use]
pub fn no_other_datagram(udp_port: u16) -> Rule {
    Rule::in_chain("input").port(UDP, Side::Destination, udp_port).counter().drop()
}

/// A source that need not knock, both ways.
#[must_use]
pub(super) fn exempt(source: IpNet, port: u16) -> [Rule; 2] {
    [
        Rule::in_chain("input").address_within(Side::Source, source).port(TCP, Side::Destination, port).accept(),
        Rule::in_chain("output").address_within(Side::Destination, source).port(TCP, Side::Source, port).accept(),
    ]
}

/// A connection on which this host has sent payload goes on; any other packet needs a source whose pinhole is open. The
/// kernel counts no connections: a SYN is no proof of anything, and must not use up what a knock bought (T47).
#[must_use]
pub fn connections(port: u16) -> Vec<Rule> {
    let here = || Rule::in_chain("input").port(TCP, Side::Destination, port);
    let mut rules = vec![];
    for (family, live) in [(Family::V4, LIVE4), (Family::V6, LIVE6)] {
        rules.push(here().goes_on().connection_in(family, Side::Source, live).accept());
    }
    for (family, knocked) in [(Family::V4, KNOCK4), (Family::V6, KNOCK6)] {
        rules.push(here().source_and_port_in(family, Side::Destination, knocked).accept());
    }
    rules.push(here().counter().drop().comment("silent to whoever did not knock, whatever the flags"));
    rules
}

/// What leaves the port. A process writes nothing before the proof in the ClientHello is right; what it writes makes the
/// connection a live one. Before that the kernel may complete a handshake while the pinhole is open, and nothing more: no
/// reset, no end of the connection, no SYN-ACK after the pinhole is closed.
#[must_use]
pub fn replies(port: u16) -> Vec<Rule> {
    let here = || Rule::in_chain("output").oifname_not("lo").port(TCP, Side::Source, port);
    let mut rules = vec![];
    for (family, live) in [(Family::V4, LIVE4), (Family::V6, LIVE6)] {
        rules.push(here().pushes().keep_connection(family, Side::Destination, live).accept());
        let reset = here().resets().connection_in(family, Side::Destination, live);
        rules.push(reset.forget_connection(family, Side::Destination, live).accept());
        let more = here().connection_in(family, Side::Destination, live);
        rules.push(more.keep_connection(family, Side::Destination, live).accept());
    }
    for (family, knocked) in [(Family::V4, KNOCK4), (Family::V6, KNOCK6)] {
        rules.push(here().ends_nothing().receiver_and_own_port_in(family, knocked).accept());
    }
    rules.push(here().counter().drop());
    rules
}

/// No ICMP says that a UDP port is closed: a dead process looks like a live one.
#[must_use]
pub fn no_unreachables() -> [Rule; 2] {
    const PORT_UNREACHABLE4: (u8, u8) = (3, 3);
    const PORT_UNREACHABLE6: (u8, u8) = (1, 4);
    [(Family::V4, PORT_UNREACHABLE4), (Family::V6, PORT_UNREACHABLE6)].map(|(family, (kind, code))| {
        let closed = Rule::in_chain("output").oifname_not("lo").icmp_type_and_code(family, kind, code);
        closed.counter().drop()
    })
}

/// Whatever the protocol, this host says nothing about itself (T49): of ICMP only what it begins itself leaves it, and
/// "too big" for flows that it forwards. Protocols that the kernel would answer with packets of their own are dropped on
/// their way in.
#[must_use]
pub fn silent_protocols() -> Vec<Rule> {
    let inward = || Rule::in_chain("input").l4proto_in(&ANSWERED_BY_THE_KERNEL, true);
    let mut rules = vec![inward().ct_state(state::ESTABLISHED | state::RELATED).accept(), inward().counter().drop()];
    let outward = || Rule::in_chain("output").oifname_not("lo");
    for (family, (kind, code)) in TOO_BIG {
        rules.push(outward().ct_state(state::RELATED).icmp_type_and_code(family, kind, code).accept());
    }
    for (family, own) in [(Family::V4, &OWN_ICMP4[..]), (Family::V6, &OWN_ICMP6[..])] {
        let answer = outward().icmp_type_in(family, own, false).counter().drop();
        rules.push(answer.comment("no protocol of this host answers"));
    }
    rules
}

/// No RST says that a TCP port is closed: beside closed ports that answer, a silent one would show. Connections that
/// both sides have acknowledged may be reset.
#[must_use]
pub fn no_resets() -> [Rule; 2] {
    let reset = || Rule::in_chain("output").oifname_not("lo").resets();
    [
        reset().ct_status(status::ASSURED).accept(),
        reset().counter().drop().comment("no port of this host says that it is closed"),
    ]
}
