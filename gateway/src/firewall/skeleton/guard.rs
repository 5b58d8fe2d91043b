//! The Gateway itself: dark to strangers, silent into tunnels, without connection tracking for junk.

use super::{Build, KNOCK4, KNOCK6, LEASE, PEERS4, PEERS6};
use crate::firewall::config::Guard;
use crate::firewall::family::{Family, Side, TCP, UDP, state};
use crate::firewall::rule::Rule;

/// A knock: 128 bytes of payload behind 8 of UDP header, first byte 0xC0 or above.
const KNOCK_LENGTH: u16 = 136;
const KNOCK_FIRST_BYTE: u8 = 0xc0;

/// ICMP errors that the Gateway sends into a tunnel: unreachable (path MTU), time exceeded.
const TO_CLIENT4: [u8; 2] = [3, 11];
/// For IPv6: unreachable, packet too big, time exceeded.
const TO_CLIENT6: [u8; 3] = [1, 2, 3];

/// Keeps what comes to the listeners out of connection tracking, so that junk cannot fill it (review F11).
pub(super) fn raw(build: &mut Build<'_>) {
    let (tun, udp, tcp) = (build.tun(), build.config.udp_port, build.config.tcp_port);
    build.rule(Rule::in_chain("raw_in").iifname(&tun).leave());
    build.rule(Rule::in_chain("raw_in").port(UDP, Side::Destination, udp).for_this_host().notrack());
    build.rule(Rule::in_chain("raw_out").port(UDP, Side::Source, udp).notrack());
    // Mode UDP-TCP needs to tell new connections from established ones; there unknown SYNs die in `input`.
    if build.config.guard != Guard::UdpTcp {
        build.rule(Rule::in_chain("raw_in").port(TCP, Side::Destination, tcp).for_this_host().notrack());
        build.rule(Rule::in_chain("raw_out").port(TCP, Side::Source, tcp).notrack());
    }
}

/// What may reach the Gateway's own processes.
pub(super) fn input(build: &mut Build<'_>) {
    let tun = build.tun();
    let inside = Rule::in_chain("input").iifname(&tun).counter().drop();
    build.rule(inside.comment("nothing on the Gateway answers inside a tunnel"));
    build.rule(Rule::in_chain("input").iifname("lo").accept());
    if build.config.guard != Guard::Open {
        knocks_and_peers(build);
    }
    if build.config.guard == Guard::UdpTcp {
        knocked_connections(build);
    }
}

fn knocks_and_peers(build: &mut Build<'_>) {
    let port = build.config.udp_port;
    let knock = Rule::in_chain("input").datagram(port, KNOCK_LENGTH, KNOCK_FIRST_BYTE).accept();
    build.rule(knock.comment("a knock: 128 bytes, first byte 0xC0 or above"));
    let here = || Rule::in_chain("input").port(UDP, Side::Destination, port);
    for (family, peers) in [(Family::V4, PEERS4), (Family::V6, PEERS6)] {
        build.rule(here().source_and_port_in(family, Side::Source, peers).accept());
    }
    build.rule(here().counter().drop());
}

fn knocked_connections(build: &mut Build<'_>) {
    let port = build.config.tcp_port;
    let here = || Rule::in_chain("input").port(TCP, Side::Destination, port);
    build.rule(here().ct_state(state::ESTABLISHED).accept());
    for (family, knocked) in [(Family::V4, KNOCK4), (Family::V6, KNOCK6)] {
        let known = here().source_and_port_in(family, Side::Destination, knocked);
        build.rule(known.ct_state(state::NEW).accept());
    }
    build.rule(here().counter().drop().comment("silent to whoever did not knock, whatever the flags"));
}

/// What the Gateway's own processes and its kernel may send.
pub(super) fn output(build: &mut Build<'_>) {
    const PORT_UNREACHABLE4: (u8, u8) = (3, 3);
    const PORT_UNREACHABLE6: (u8, u8) = (1, 4);
    let tun = build.tun();
    build.rule(Rule::in_chain("output").oifname(&tun).goto("gateway_to_client"));
    for (family, (kind, code)) in [(Family::V4, PORT_UNREACHABLE4), (Family::V6, PORT_UNREACHABLE6)] {
        let closed = Rule::in_chain("output").oifname_not("lo").icmp_type_and_code(family, kind, code);
        build.rule(closed.counter().drop());
    }
    for (family, errors) in [(Family::V4, &TO_CLIENT4[..]), (Family::V6, &TO_CLIENT6[..])] {
        let here = Rule::in_chain("gateway_to_client").oif_in(LEASE, true);
        build.rule(here.icmp_type_in(family, errors, true).accept());
    }
    build.rule(Rule::in_chain("gateway_to_client").counter().drop());
}
