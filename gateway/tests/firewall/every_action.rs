//! Every kind of action, protocol, direction and address family, from the words of an entitlement to the kernel.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ringwall_protocol::entitlement::{Action, ActionKind, Subtype};
use ringwall_protocol::rules::compile::{ResolvedNames, compile};

use crate::lab::{Lab, client, client6, in_namespace, install, run, server, server6};
use crate::packets::{echo, tcp, udp};

const LEASE: Duration = Duration::from_secs(60);

const SUBTYPES: [Subtype; 8] = [
    Subtype::TcpUp,
    Subtype::TcpDown,
    Subtype::UdpUp,
    Subtype::UdpDown,
    Subtype::IcmpUp,
    Subtype::IcmpDown,
    Subtype::Icmpv6Up,
    Subtype::Icmpv6Down,
];
const KINDS: [ActionKind; 4] = [ActionKind::Allow, ActionKind::Alert, ActionKind::Block, ActionKind::Exclude];

/// The first packet of a flow of this kind and family; `None` if there is no such flow.
fn first_packet(subtype: Subtype, v6: bool, (remote, port): (IpAddr, u16)) -> Option<(Vec<u8>, bool)> {
    let own = if v6 { client6(7) } else { client(7) };
    let up = matches!(subtype, Subtype::TcpUp | Subtype::UdpUp | Subtype::IcmpUp | Subtype::Icmpv6Up);
    let (from, to) = if up { (own, remote) } else { (remote, own) };
    let (here, there) = (SocketAddr::new(from, 40_000), SocketAddr::new(to, port));
    let packet = match subtype {
        Subtype::TcpUp | Subtype::TcpDown => tcp(here, there, "S", (1, 0), b""),
        Subtype::UdpUp | Subtype::UdpDown => udp(here, there, b"question"),
        Subtype::IcmpUp | Subtype::IcmpDown if !v6 => echo(from, to, true, b"ping"),
        Subtype::Icmpv6Up | Subtype::Icmpv6Down if v6 => echo(from, to, true, b"ping"),
        _ => return None,
    };
    Some((packet, up))
}

fn action(kind: ActionKind, subtype: Subtype, host: &str) -> Action {
    let icmp = matches!(subtype, Subtype::IcmpUp | Subtype::IcmpDown | Subtype::Icmpv6Up | Subtype::Icmpv6Down);
    let ports = if icmp { vec![] } else { vec!["100-200".to_owned()] };
    Action { subtype: Some(subtype), action: kind, hosts: vec![host.to_owned()], ports, types: vec![] }
}

/// Ways to write the host 10.20.0.5 or fd20::5.
fn hosts(v6: bool) -> [&'static str; 3] {
    if v6 { ["fd20::5", "fd20::/64", "fd20::1-fd20::9"] } else { ["10.20.0.5", "10.20.0.0/24", "10.20.0.1-10.20.0.9"] }
}

#[test]
fn every_action_means_in_the_kernel_what_it_says() {
    in_namespace(|| {
        let lab = Lab::new();
        run("ip", &["-6", "route", "add", "fd20:0:0:1::/64", "dev", "lan0"]);
        lab.admit(7, &Default::default()).expect("new");
        lab.hold_lease(LEASE);
        let mut generation = 1;
        let mut tried = 0;
        for (kind, subtype, v6) in KINDS
            .into_iter()
            .flat_map(|kind| SUBTYPES.into_iter().flat_map(move |it| [(kind, it, false), (kind, it, true)]))
        {
            let remote = if v6 { server6(0).ip() } else { server(0).ip() };
            if first_packet(subtype, v6, (remote, 150)).is_none() {
                continue;
            }
            for host in hosts(v6) {
                let mut actions = vec![action(kind, subtype, host)];
                if kind == ActionKind::Block {
                    // A block shows only in front of something wider.
                    actions.push(action(ActionKind::Allow, subtype, if v6 { "fd20::/16" } else { "10.20.0.0/16" }));
                }
                let parsed: Vec<_> = actions.iter().map(|action| action.parse().expect("valid")).collect();
                let rules = compile(&parsed, &ResolvedNames::default()).expect("small");
                generation += 1;
                lab.install(install(7, generation, &rules)).expect("newer");
                let passes = |remote: IpAddr, port: u16| {
                    let (packet, up) = first_packet(subtype, v6, (remote, port)).expect("of this family");
                    if up { lab.client_reaches(&packet) } else { lab.server_reaches(&packet) }
                };
                let wanted = matches!(kind, ActionKind::Allow | ActionKind::Alert);
                assert_eq!(passes(remote, 150), wanted, "{kind:?} {subtype:?} {host}");
                let outside = if v6 { "fd20:0:0:1::5" } else { "10.20.1.5" };
                let outside_passes = passes(outside.parse().expect("an address"), 150);
                assert_eq!(outside_passes, kind == ActionKind::Block, "{kind:?} {subtype:?} {host}: another host");
                if first_ported(subtype) {
                    assert!(!passes(remote, 201), "{kind:?} {subtype:?} {host}: another port");
                }
                tried += 1;
            }
        }
        assert_eq!(tried, KINDS.len() * (4 * 2 + 4) * 3);
    });
}

const fn first_ported(subtype: Subtype) -> bool {
    matches!(subtype, Subtype::TcpUp | Subtype::TcpDown | Subtype::UdpUp | Subtype::UdpDown)
}
