//! What an entitled session may do, and only that.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ringwall_gateway::firewall::{FirewallConfig, Snat};
use ringwall_protocol::rules::{Protocol, RuleSet, Verdict};

use crate::lab::{
    Lab, allow_everything, allow_port, client, client6, config, element, in_namespace, install, run_of, server, server6,
};
use crate::packets::{Seen, echo, fragments, gre, tcp, too_big, udp, udp_with_ttl};

const LEASE: Duration = Duration::from_secs(60);

fn lab_with(rules: &RuleSet) -> Lab {
    let lab = Lab::new();
    lab.admit(7, rules).expect("a new session");
    lab.hold_lease(LEASE);
    lab
}

fn ends(v6: bool) -> (IpAddr, IpAddr) {
    if v6 { (client6(7), server6(0).ip()) } else { (client(7), server(0).ip()) }
}

#[test]
fn the_kernel_forwards_while_write_runs() {
    in_namespace(|| {
        let lab = lab_with(&allow_everything());
        for round in 0..1_000u16 {
            lab.client_sends(&udp(SocketAddr::new(client(7), 9), server(9), &round.to_be_bytes()));
            assert_eq!(lab.at_server().len(), 1, "every other test relies on this");
        }
    });
}

#[test]
fn entitled_udp_passes_both_ways_in_both_families() {
    in_namespace(|| {
        let lab = lab_with(&allow_everything());
        for v6 in [false, true] {
            let (client, server) = ends(v6);
            let (client, server) = (SocketAddr::new(client, 4_000), SocketAddr::new(server, 53));
            assert!(lab.client_reaches(&udp(client, server, b"question")), "v6 {v6}");
            assert!(lab.server_reaches(&udp(server, client, b"answer")), "v6 {v6}");
        }
    });
}

#[test]
fn entitled_tcp_passes_both_ways_in_both_families() {
    in_namespace(|| {
        let lab = lab_with(&allow_everything());
        for v6 in [false, true] {
            let (client, server) = ends(v6);
            let (client, server) = (SocketAddr::new(client, 4_000), SocketAddr::new(server, 443));
            assert!(lab.client_reaches(&tcp(client, server, "S", (1, 0), b"")));
            assert!(lab.server_reaches(&tcp(server, client, "SA", (100, 2), b"")));
            assert!(lab.client_reaches(&tcp(client, server, "A", (2, 101), b"")));
            assert!(lab.client_reaches(&tcp(client, server, "PA", (2, 101), b"request")));
            assert!(lab.server_reaches(&tcp(server, client, "PA", (101, 9), b"response")));
        }
    });
}

#[test]
fn entitled_ping_and_gre_pass_both_ways() {
    in_namespace(|| {
        let lab = lab_with(&allow_everything());
        for v6 in [false, true] {
            let (client, server) = ends(v6);
            assert!(lab.client_reaches(&echo(client, server, true, b"ping")), "v6 {v6}");
            assert!(lab.server_reaches(&echo(server, client, false, b"ping")), "v6 {v6}");
        }
        let (client, server) = ends(false);
        assert!(lab.client_reaches(&gre(client, server)));
    });
}

#[test]
fn what_is_not_entitled_is_dropped() {
    in_namespace(|| {
        let lab = lab_with(&allow_port(80));
        let from = SocketAddr::new(client(7), 4_000);
        assert!(lab.client_reaches(&udp(from, server(80), b"entitled")));
        assert!(!lab.client_reaches(&udp(from, server(81), b"another port")));
        let neighbour = SocketAddr::new(IpAddr::from([10, 20, 0, 6]), 80);
        assert!(!lab.client_reaches(&udp(from, neighbour, b"another host")));
        assert!(!lab.client_reaches(&echo(client(7), server(0).ip(), true, b"another protocol")));
        let stranger = SocketAddr::new(client(8), 4_000);
        assert!(!lab.client_reaches(&udp(stranger, server(80), b"an address without a session")));
        let foreign = SocketAddr::new(IpAddr::from([192, 0, 2, 1]), 4_000);
        assert!(!lab.client_reaches(&udp(foreign, server(80), b"an address of no pool")));
        let from6 = SocketAddr::new(client6(7), 4_000);
        assert!(!lab.client_reaches(&udp(from6, server6(80), b"the other family")));
        assert!(!lab.server_reaches(&udp(server(80), SocketAddr::new(client(7), 5_000), b"nobody asked")));
        assert_eq!(lab.at_client(), [], "and the kernel answers nothing about it");
    });
}

#[test]
fn runs_are_asked_in_their_order() {
    in_namespace(|| {
        let tcp_or_udp = |first: &str, last: &str| vec![element(first, last, Protocol::Udp, 0..=65_535)];
        let rules = RuleSet {
            up4: vec![
                run_of(Verdict::Allow, vec![element("10.20.0.5", "10.20.0.5", Protocol::Udp, 53..=53)]),
                run_of(Verdict::Block, tcp_or_udp("10.20.0.0", "10.20.0.7")),
                run_of(Verdict::Allow, tcp_or_udp("10.20.0.0", "10.20.255.255")),
            ],
            up6: vec![
                run_of(Verdict::Block, vec![element("fd20::5", "fd20::5", Protocol::Udp, 53..=53)]),
                run_of(Verdict::Allow, vec![element("fd20::", "fd20::ff", Protocol::Udp, 0..=65_535)]),
            ],
            ..RuleSet::default()
        };
        let lab = lab_with(&rules);
        let from = SocketAddr::new(client(7), 4_000);
        assert!(lab.client_reaches(&udp(from, server(53), b"the most specific")));
        assert!(!lab.client_reaches(&udp(from, server(54), b"blocked")));
        let outside = SocketAddr::new(IpAddr::from([10, 20, 0, 8]), 54);
        assert!(lab.client_reaches(&udp(from, outside, b"behind the block")));
        let from = SocketAddr::new(client6(7), 4_000);
        assert!(!lab.client_reaches(&udp(from, server6(53), b"blocked first")));
        assert!(lab.client_reaches(&udp(from, server6(54), b"allowed behind it")));
    });
}

/// T7: one chain per direction.
#[test]
fn down_grant_gives_no_up_access() {
    in_namespace(|| {
        let everyone = element("10.0.0.0", "10.255.255.255", Protocol::Tcp, 22..=22);
        let rules = RuleSet { down4: vec![run_of(Verdict::Allow, vec![everyone])], ..RuleSet::default() };
        let lab = lab_with(&rules);
        let (here, there) = (SocketAddr::new(client(7), 22), server(50_000));
        assert!(lab.server_reaches(&tcp(there, here, "S", (1, 0), b"")), "a host may come to the client");
        assert!(lab.client_reaches(&tcp(here, there, "SA", (9, 2), b"")), "and is answered");
        let own = SocketAddr::new(client(7), 40_000);
        assert!(!lab.client_reaches(&tcp(own, server(22), "S", (1, 0), b"")), "the client opens nothing");
    });
}

/// T8: sender and receiver are decided separately.
#[test]
fn client_to_client_needs_both_sides() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.hold_lease(LEASE);
        let clients = || vec![element("10.9.0.0", "10.9.255.255", Protocol::Udp, 0..=65_535)];
        let up = RuleSet { up4: vec![run_of(Verdict::Allow, clients())], ..RuleSet::default() };
        let down = RuleSet { down4: vec![run_of(Verdict::Allow, clients())], ..RuleSet::default() };
        let (a, b) = (SocketAddr::new(client(1), 1_000), SocketAddr::new(client(2), 2_000));
        let reaches = |from: SocketAddr, to: SocketAddr| {
            lab.client_sends(&udp(from, to, b"hello"));
            lab.at_client().iter().any(|seen| seen.destination == to.ip())
        };
        lab.admit(1, &RuleSet::default()).expect("new");
        lab.admit(2, &down).expect("new");
        assert!(!reaches(a, b), "only the receiver's side agrees");
        lab.cut(2);
        lab.install(install(1, 2, &up)).expect("newer");
        lab.install({
            let mut next = install(3, 1, &RuleSet::default());
            next.addresses = crate::lab::addresses(2);
            next
        })
        .expect("the address is free again");
        assert!(!reaches(a, b), "only the sender's side agrees");
        lab.install({
            let mut next = install(3, 2, &down);
            next.addresses = crate::lab::addresses(2);
            next
        })
        .expect("newer");
        assert!(reaches(a, b), "both agree");
        assert!(reaches(b, a), "and the answer passes");
    });
}

/// Ports of translated flows, as a Gateway with its listener at 443 chooses them.
const PORTS: (u16, u16) = (32_768, 60_999);

/// A flow from the listener's own port, and from ports around the range's ends: what the protected host sees never looks
/// like the listener (T50).
#[test]
fn a_translated_flow_never_has_the_port_of_a_listener() {
    in_namespace(|| {
        let mut config = config();
        // The address of the listener itself: the worst case.
        let v4 = [10, 20, 0, 1].into();
        config.snat = Some(Snat { out: "lan0".parse().expect("a name"), v4: Some(v4), v6: None, ports: PORTS });
        let lab = Lab::with(config);
        lab.admit(7, &allow_everything()).expect("new");
        lab.hold_lease(LEASE);
        for port in [443, 1, 1_024, 32_767, 32_768, 60_999, 61_000, 65_535] {
            for packet in [
                udp(SocketAddr::new(client(7), port), server(53), b"question"),
                tcp(SocketAddr::new(client(7), port), server(80), "S", (1, 0), b""),
            ] {
                lab.client_sends(&packet);
                let seen = lab.at_server();
                assert_eq!(seen.len(), 1, "from port {port}");
                assert_eq!(seen[0].source, IpAddr::V4(v4));
                assert!((PORTS.0..=PORTS.1).contains(&seen[0].ports.0), "port {port} became {}", seen[0].ports.0);
            }
        }
    });
}

#[test]
fn flows_pass_through_source_translation() {
    in_namespace(|| {
        let mut config = config();
        let (v4, v6) = ([10, 20, 0, 2].into(), "fd20::2".parse().expect("an address"));
        config.snat = Some(Snat { out: "lan0".parse().expect("a name"), v4: Some(v4), v6: Some(v6), ports: PORTS });
        let lab = Lab::with(config);
        crate::lab::run("ip", &["address", "add", "10.20.0.2/16", "dev", "lan0"]);
        crate::lab::run("ip", &["address", "add", "fd20::2/64", "dev", "lan0", "nodad"]);
        lab.admit(7, &allow_everything()).expect("new");
        lab.hold_lease(LEASE);
        for (from, to, gateway) in [
            (SocketAddr::new(client(7), 4_000), server(53), IpAddr::V4(v4)),
            (SocketAddr::new(client6(7), 4_000), server6(53), IpAddr::V6(v6)),
        ] {
            lab.client_sends(&udp(from, to, b"question"));
            let seen: Vec<Seen> = lab.at_server();
            assert_eq!(seen.len(), 1);
            assert_eq!(seen[0].source, gateway, "the protected host sees the Gateway's address");
            lab.server_sends(&udp(to, SocketAddr::new(gateway, seen[0].ports.0), b"answer"));
            let answers = lab.at_client();
            assert_eq!(answers.len(), 1);
            assert_eq!((answers[0].destination, answers[0].ports), (from.ip(), (53, 4_000)));
        }
    });
}

/// T25: ICMP errors follow the flow that they belong to.
#[test]
fn path_mtu_errors_reach_entitled_clients_and_only_them() {
    in_namespace(|| {
        let lab = lab_with(&allow_everything());
        let mut generation = 2;
        for (from, to, router) in [
            (SocketAddr::new(client(7), 4_000), server(53), IpAddr::from([10, 20, 9, 9])),
            (SocketAddr::new(client6(7), 4_000), server6(53), "fd20::9".parse().expect("an address")),
        ] {
            let packet = udp(from, to, &[0; 1_000]);
            assert!(lab.client_reaches(&packet));
            assert!(lab.server_reaches(&too_big(router, from.ip(), &packet)));
            generation += 2;
            lab.install(install(7, generation, &RuleSet::default())).expect("newer");
            assert!(!lab.server_reaches(&too_big(router, from.ip(), &packet)), "the entitlement went");
            lab.install(install(7, generation + 1, &allow_everything())).expect("newer");
        }
    });
}

/// T24: decided before routing.
#[test]
fn the_kernel_answers_nothing_about_forbidden_hosts() {
    in_namespace(|| {
        let lab = lab_with(&allow_port(80));
        let from = SocketAddr::new(client(7), 4_000);
        lab.at_client();
        lab.client_sends(&udp_with_ttl(from, server(81), b"how far is it", 1));
        assert_eq!(lab.at_client(), [], "no time exceeded for a forbidden host");
        lab.client_sends(&udp_with_ttl(from, server(80), b"how far is it", 1));
        let answers = lab.at_client();
        assert_eq!(answers.len(), 1, "but for an entitled one");
        assert_eq!((answers[0].protocol, answers[0].ports), (1, (11, 0)));
    });
}

#[test]
fn fragments_of_an_entitled_datagram_pass_and_others_do_not() {
    in_namespace(|| {
        let lab = lab_with(&allow_port(80));
        let from = SocketAddr::new(client(7), 4_000);
        let [first, rest] = fragments(&udp(from, server(80), &[7; 100]));
        lab.client_sends(&first);
        assert_eq!(lab.at_server(), [], "put together before anything is decided");
        lab.client_sends(&rest);
        assert_eq!(lab.at_server().len(), 2, "decided as one, sent on as it came");
        let [first, rest] = fragments(&udp(from, server(81), &[7; 100]));
        lab.client_sends(&first);
        lab.client_sends(&rest);
        lab.client_sends(&rest);
        assert_eq!(lab.at_server(), [], "not entitled, and a lone later one");
    });
}

#[test]
fn a_flow_that_connection_tracking_lost_goes_on_with_the_clients_next_packet() {
    in_namespace(|| {
        let lab = lab_with(&allow_port(80));
        let (here, there) = (SocketAddr::new(client(7), 4_000), server(80));
        assert!(!lab.server_reaches(&tcp(there, here, "PA", (101, 2), b"the server speaks first")));
        assert!(lab.client_reaches(&tcp(here, there, "PA", (2, 101), b"the client goes on")));
        assert!(lab.server_reaches(&tcp(there, here, "PA", (101, 20), b"and is answered")));
    });
}

#[test]
fn one_session_cannot_use_up_the_flows_of_all() {
    in_namespace(|| {
        let lab = lab_with(&allow_everything());
        lab.admit(8, &allow_everything()).expect("new");
        let (open, there) = (SocketAddr::new(client(7), 1_000), server(53));
        assert!(lab.client_reaches(&udp(open, there, b"a flow in use")));
        assert!(lab.server_reaches(&udp(there, open, b"answered")));
        let opened = (0..4_200u16)
            .filter(|n| lab.client_reaches(&udp(SocketAddr::new(client(7), 1_024 + n), there, b"flow")))
            .count();
        assert_eq!(opened, 4_095);
        assert!(lab.client_reaches(&udp(SocketAddr::new(client(8), 4_000), server(53), b"another session")));
        assert!(lab.client_reaches(&udp(open, there, b"the flow in use goes on")));
    });
}

#[test]
fn the_sessions_of_one_user_share_a_bound_of_flows() {
    in_namespace(|| {
        // A sixteenth of this is less than one session may have: what all sessions of a user have is what one may have.
        let lab = Lab::with(FirewallConfig { conntrack_entries: 1_024, ..config() });
        lab.hold_lease(LEASE);
        // The first two are one user's.
        for n in [8, 9, 12] {
            lab.admit(n, &allow_everything()).expect("new");
        }
        let flow = |n: u16, port: u16| lab.client_reaches(&udp(SocketAddr::new(client(n), port), server(53), b"flow"));
        let opened = |n, ports: std::ops::Range<u16>| ports.filter(|port| flow(n, *port)).count();
        assert_eq!(opened(8, 1_024..4_024), 3_000);
        assert_eq!(opened(9, 1_024..4_024), 4_096 - 3_000, "the user's other session has what is left");
        assert!(!flow(8, 60_000), "and so has the first");
        assert_eq!(opened(12, 1_024..1_034), 10, "another user");
    });
}

#[test]
fn segments_are_made_to_fit_the_tunnel() {
    in_namespace(|| {
        let lab = lab_with(&allow_everything());
        for (from, to, fits) in [
            (SocketAddr::new(client(7), 4_000), server(443), 1_360),
            (SocketAddr::new(client6(7), 4_000), server6(443), 1_340),
        ] {
            lab.at_server();
            lab.client_sends(&crate::packets::syn_with_mss(from, to, 8_960));
            assert_eq!(lab.at_server().first().and_then(|seen| seen.mss), Some(fits));
        }
    });
}
