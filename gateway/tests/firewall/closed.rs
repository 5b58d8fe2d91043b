//! Ways in that must be shut: the Gateway itself, other interfaces, other people's tables.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use etherparse::ip_number;
use ringwall_gateway::firewall::{Firewall, StartError};

use crate::lab::{
    Lab, allow_everything, allow_port, arrived, client, client6, config, in_namespace, interface, run, server, server6,
};
use crate::packets::{tcp, too_big, udp, with_ipv4_option, with_ipv6_extension};

const LEASE: Duration = Duration::from_secs(60);

fn lab() -> Lab {
    let lab = Lab::new();
    lab.admit(7, &allow_everything()).expect("a new session");
    lab.hold_lease(LEASE);
    lab
}

fn from() -> SocketAddr {
    SocketAddr::new(client(7), 4_000)
}

/// T2: input and output chains, not only the forward hook.
#[test]
fn tunnel_never_reaches_the_gateway_itself() {
    in_namespace(|| {
        let lab = lab();
        let socket = UdpSocket::bind("0.0.0.0:5353").expect("a free port");
        socket.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 64];
        for own in [[10, 20, 0, 1], [10, 9, 255, 254]] {
            lab.client_sends(&udp(from(), SocketAddr::from((own, 5_353)), b"hello"));
            assert!(socket.recv_from(&mut buffer).is_err(), "entitled to the network or not");
            lab.client_sends(&tcp(from(), SocketAddr::from((own, 22)), "S", (1, 0), b""));
        }
        assert_eq!(lab.at_client(), [], "not even a refusal comes back");
        lab.server_sends(&udp(server(5_000), SocketAddr::from(([10, 20, 0, 1], 5_353)), b"hello"));
        assert!(socket.recv_from(&mut buffer).is_ok(), "from elsewhere the host answers as before");
    });
}

#[test]
fn processes_on_the_gateway_send_nothing_into_tunnels() {
    in_namespace(|| {
        let lab = lab();
        let socket = UdpSocket::bind("10.9.255.254:5353").expect("a free port");
        assert!(socket.send_to(b"hello", from()).is_err(), "the kernel says so to the process");
        assert_eq!(lab.at_client(), []);
    });
}

#[test]
fn a_tunnel_address_from_another_interface_is_dropped() {
    in_namespace(|| {
        let lab = lab();
        let other = interface("dmz0", ["10.30.0.1/16", "fd30::1/64"]);
        lab.at_server();
        other.send(&udp(from(), server(80), b"as if I were the client")).expect("up");
        other.send(&udp(SocketAddr::new(client6(7), 4_000), server6(80), b"the same")).expect("up");
        assert_eq!(lab.at_server(), []);
        lab.server_sends(&udp(from(), SocketAddr::new(client(7), 1), b"toward a client too"));
        assert_eq!(lab.at_client(), []);
    });
}

#[test]
fn the_table_owns_forwarding_of_the_whole_host() {
    in_namespace(|| {
        let lab = lab();
        let other = interface("dmz0", ["10.30.0.1/16", "fd30::1/64"]);
        lab.at_server();
        other.send(&udp("10.30.0.9:1".parse().expect("an address"), server(80), b"a stranger's flow")).expect("up");
        assert_eq!(lab.at_server(), []);
    });
}

#[test]
fn a_mark_set_by_somebody_else_opens_nothing() {
    in_namespace(|| {
        let lab = lab();
        let marks = "table inet other { chain c { type filter hook prerouting priority -150; meta mark set 1; }; \
                     chain f { type filter hook forward priority -1; meta mark set 1; }; }";
        run("nft", &[marks]);
        let stranger = SocketAddr::new(client(8), 4_000);
        assert!(!lab.client_reaches(&udp(stranger, server(80), b"marked")));
        assert!(lab.client_reaches(&udp(from(), server(80), b"the entitled one is not disturbed")));
    });
}

#[test]
fn invalid_packets_options_and_extension_headers_are_dropped() {
    in_namespace(|| {
        let lab = lab();
        assert!(!lab.client_reaches(&tcp(from(), server(80), "SF", (1, 0), b"")), "SYN and FIN");
        let plain = udp(from(), server(80), b"plain");
        assert!(lab.client_reaches(&plain));
        assert!(!lab.client_reaches(&with_ipv4_option(&plain)));
        let plain = udp(SocketAddr::new(client6(7), 4_000), server6(80), b"plain");
        assert!(lab.client_reaches(&plain));
        assert!(!lab.client_reaches(&with_ipv6_extension(&plain, ip_number::IPV6_ROUTE_HEADER)));
        assert!(!lab.client_reaches(&with_ipv6_extension(&plain, ip_number::IPV6_HEADER_HOP_BY_HOP)));
    });
}

/// An ICMP error belongs to the flow that it quotes: a client could speak of somebody else's.
#[test]
fn icmp_errors_out_of_a_tunnel_reach_nobody_whatever_they_quote() {
    in_namespace(|| {
        let lab = lab();
        lab.admit(8, &allow_everything()).expect("a new session");
        for (me, neighbour, there) in [(client(7), client(8), server(53)), (client6(7), client6(8), server6(53))] {
            let (mine, theirs) = (SocketAddr::new(me, 4_000), SocketAddr::new(neighbour, 4_000));
            for from in [mine, theirs] {
                assert!(lab.client_reaches(&udp(from, there, b"a flow")));
                assert!(lab.server_reaches(&udp(there, from, b"and back")));
            }
            for quoted in [
                // What the server sent to the neighbour, to me, and to nobody; and what the neighbour sent.
                udp(there, theirs, b"and back"),
                udp(there, mine, b"and back"),
                udp(there, SocketAddr::new(neighbour, 9), b"never sent"),
                udp(theirs, there, b"a flow"),
            ] {
                assert!(!lab.client_reaches(&too_big(me, there.ip(), &quoted)), "to the server");
                lab.client_sends(&too_big(me, neighbour, &quoted));
                assert_eq!(lab.at_client(), [], "to the neighbour");
            }
            assert!(lab.server_reaches(&udp(there, theirs, b"goes on")), "the neighbour's flow is as before");
        }
    });
}

#[test]
fn foreign_flush_changes_nothing() {
    in_namespace(|| {
        let lab = Lab::new();
        lab.admit(7, &allow_port(80)).expect("new");
        lab.hold_lease(LEASE);
        run("nft", &["flush", "ruleset"]);
        for arguments in [
            &["delete", "table", "inet", "ringwall"][..],
            &["flush", "chain", "inet", "ringwall", "forward"],
            &["add", "element", "inet", "ringwall", "s4", "{ 10.9.0.8 : 1 . 1 }"],
        ] {
            let refused = std::process::Command::new("nft").args(arguments).output().expect("nft is installed");
            assert!(!refused.status.success(), "{arguments:?}");
        }
        assert!(lab.client_reaches(&udp(from(), server(80), b"entitled")));
        assert!(!lab.client_reaches(&udp(from(), server(81), b"forbidden")));
    });
}

#[test]
fn the_table_outlives_its_owner_closed_and_the_next_one_replaces_it() {
    in_namespace(|| {
        let Lab { tun, lan, firewall, enforcer } = lab();
        let second = Firewall::start(config());
        assert!(matches!(second, Err(StartError::Refused(_))), "one owner at a time");
        drop(firewall);
        drop(enforcer);
        tun.send(&udp(from(), server(80), b"nobody is there")).expect("up");
        assert_eq!(arrived(&lan), [], "the orphan drops");
        let firewall = Firewall::start(config()).expect("the orphan is replaced");
        let enforcer = firewall.enforcer();
        let lab = Lab { tun, lan, firewall, enforcer };
        lab.hold_lease(LEASE);
        assert!(!lab.client_reaches(&udp(from(), server(80), b"known to the former owner only")));
        lab.admit(7, &allow_everything()).expect("new again");
        assert!(lab.client_reaches(&udp(from(), server(80), b"entitled")));
    });
}

#[test]
fn a_renamed_tunnel_interface_is_closed() {
    in_namespace(|| {
        let lab = lab();
        assert!(lab.client_reaches(&udp(from(), server(80), b"before")));
        run("ip", &["link", "set", "rw0", "down"]);
        run("ip", &["link", "set", "rw0", "name", "rw9"]);
        run("ip", &["link", "set", "rw9", "up"]);
        run("ip", &["route", "replace", "10.9.0.0/16", "dev", "rw9"]);
        assert!(!lab.client_reaches(&udp(from(), server(80), b"after")));
        assert!(!lab.server_reaches(&udp(server(80), from(), b"nor back")));
        assert!(!lab.renew(LEASE), "and gets no lease");
    });
}

#[test]
fn replies_do_not_leave_by_another_interface() {
    in_namespace(|| {
        let lab = lab();
        let other = interface("dmz0", ["10.30.0.1/16", "fd30::1/64"]);
        assert!(lab.client_reaches(&udp(from(), server(80), b"question")));
        run("ip", &["route", "add", "10.9.0.7/32", "dev", "dmz0"]);
        lab.server_sends(&udp(server(80), from(), b"answer"));
        let mut buffer = [0; 2_048];
        while let Ok(length) = other.recv(&mut buffer) {
            let seen = crate::packets::Seen::parse(&buffer[..length]);
            assert!(seen.is_none_or(|seen| seen.destination != from().ip()), "the answer went astray");
        }
    });
}
