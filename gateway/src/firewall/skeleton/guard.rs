//! The Gateway itself: dark to unauthenticated senders, silent into tunnels, without connection tracking for junk. What it
//! shares with other programs' guards stands in [`ringwall_kernel::guard`]; here is what only a Gateway has.

use ringwall_kernel::guard;

use ringwall_kernel::nft::{Family, Rule, Side, UDP};

use super::{Build, LEASE, PEERS4, PEERS6};
use crate::firewall::config::Guard;

/// ICMP errors that the Gateway sends into a tunnel: unreachable (path MTU), time exceeded.
const TO_CLIENT4: [u8; 2] = [3, 11];
/// For IPv6: unreachable, packet too big, time exceeded.
const TO_CLIENT6: [u8; 3] = [1, 2, 3];

/// Keeps what comes to the listeners out of connection tracking, so that junk cannot fill it (T11).
pub(super) fn raw(build: &mut Build<'_>) {
    let (tun, udp, tcp) = (build.tun(), build.config.udp_port, build.config.tcp_port);
    build.rule(Rule::in_chain("raw_in").iifname(&tun).leave());
    build.rules(guard::untracked_datagrams(udp));
    build.rules(guard::untracked_connections(tcp));
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
        build.rules(guard::connections(build.config.tcp_port));
    }
}

fn knocks_and_peers(build: &mut Build<'_>) {
    let port = build.config.udp_port;
    build.rule(guard::knock_packet(port));
    let here = || Rule::in_chain("input").port(UDP, Side::Destination, port);
    for (family, peers) in [(Family::V4, PEERS4), (Family::V6, PEERS6)] {
        build.rule(here().source_and_port_in(family, Side::Source, peers).accept());
    }
    build.rule(guard::no_other_datagram(port));
}

/// What the Gateway's own processes and its kernel may send.
pub(super) fn output(build: &mut Build<'_>) {
    let tun = build.tun();
    build.rule(Rule::in_chain("output").oifname(&tun).goto("gateway_to_client"));
    if build.config.guard == Guard::UdpTcp {
        build.rules(guard::replies(build.config.tcp_port));
        build.rules(guard::silent_protocols());
        build.rules(guard::no_resets());
    } else {
        build.rules(guard::no_unreachables());
    }
    for (family, errors) in [(Family::V4, &TO_CLIENT4[..]), (Family::V6, &TO_CLIENT6[..])] {
        let here = Rule::in_chain("gateway_to_client").oif_in(LEASE, true);
        build.rule(here.icmp_type_in(family, errors, true).accept());
    }
    build.rule(Rule::in_chain("gateway_to_client").counter().drop());
}
