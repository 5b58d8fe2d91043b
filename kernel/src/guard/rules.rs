//! The guard's rules, one function for each thing that has to hold. Chains are named as in both tables: `raw_in`,
//! `raw_out`, `input`, `output`.

use ipnet::IpNet;
use ringwall_protocol::spa::{KNOCK_FIRST_BYTE, KNOCK_LEN};

use super::{KNOCK4, KNOCK6};
use crate::nft::family::{Family, Side, TCP, UDP, state, status};
use crate::nft::rule::Rule;

/// Bytes of a UDP header, which the length field of a datagram counts.
const UDP_HEADER: usize = 8;

/// Datagrams to and from the port of knocks are not tracked: junk cannot fill the table (T11).
#[must_use]
pub fn untracked(udp_port: u16) -> [Rule; 2] {
    [
        Rule::in_chain("raw_in").port(UDP, Side::Destination, udp_port).for_this_host().notrack(),
        Rule::in_chain("raw_out").port(UDP, Side::Source, udp_port).notrack(),
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

/// A source that need not knock.
#[must_use]
pub(super) fn exempt(source: IpNet, port: u16) -> Rule {
    Rule::in_chain("input").source_within(source).port(TCP, Side::Destination, port).accept()
}

/// Connections that were let in go on; a new one begins by a SYN from a source that has one left; the rest hears nothing.
#[must_use]
pub fn connections(port: u16) -> Vec<Rule> {
    let here = || Rule::in_chain("input").port(TCP, Side::Destination, port);
    let mut rules = vec![here().ct_state(state::ESTABLISHED).accept()];
    for (family, knocked) in [(Family::V4, KNOCK4), (Family::V6, KNOCK6)] {
        // The look-up counts: it stands last, behind everything that a stray packet fails.
        let first = here().family(family).ct_state(state::NEW).begins();
        rules.push(first.source_and_port_in(family, Side::Destination, knocked).accept());
    }
    rules.push(here().counter().drop().comment("silent to whoever did not knock, whatever the flags"));
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
