//! The Gateway's own ports: dark to strangers, open to those who knocked.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use ringwall_gateway::firewall::Guard;

use crate::lab::{Lab, config, in_namespace, server, server6};
use crate::packets::{echo, raw, tcp, udp};

const SHORT: Duration = Duration::from_secs(10);

fn guarded(guard: Guard) -> Lab {
    let mut config = config();
    config.guard = guard;
    let lab = Lab::with(config);
    lab.at_server();
    lab
}

fn gateway() -> SocketAddr {
    SocketAddr::from(([10, 20, 0, 1], 443))
}

fn tracked() -> usize {
    let count = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").expect("connection tracking");
    count.trim().parse().expect("a number")
}

/// Whether a SYN from outside is answered by the listener.
fn answers_syn(lab: &Lab, from: SocketAddr) -> bool {
    lab.server_sends(&tcp(from, gateway(), "S", (1, 0), b""));
    lab.at_server().iter().any(|seen| seen.flags == (true, true, false) && seen.destination == from.ip())
}

#[test]
fn strangers_hear_nothing_from_the_tcp_port_until_they_knock() {
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        let _listener = TcpListener::bind("0.0.0.0:443").expect("a free port");
        for flags in ["S", "A", "F", "FPU", "", "SA", "R"] {
            lab.server_sends(&tcp(server(50_000), gateway(), flags, (1, 1), b""));
            assert_eq!(lab.at_server(), [], "flags {flags:?}");
        }
        let knocked = server(50_001);
        assert_eq!(lab.enforcer.open_knock(knocked.ip(), 443, SHORT).blocking_recv(), Ok(true));
        assert!(answers_syn(&lab, knocked));
        assert!(!answers_syn(&lab, SocketAddr::from(([10, 20, 0, 6], 50_001))), "nobody else");
        assert_eq!(lab.enforcer.close_knock(knocked.ip(), 443).blocking_recv(), Ok(true));
        assert!(!answers_syn(&lab, server(50_002)), "no further connection");
        assert_eq!(lab.enforcer.close_knock(knocked.ip(), 443).blocking_recv(), Ok(true), "closing twice is no error");
    });
}

#[test]
fn a_knock_ends_by_itself() {
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        let _listener = TcpListener::bind("0.0.0.0:443").expect("a free port");
        let time = Duration::from_millis(150);
        let opened = std::time::Instant::now();
        assert_eq!(lab.enforcer.open_knock(server(0).ip(), 443, time).blocking_recv(), Ok(true));
        assert!(answers_syn(&lab, server(50_000)));
        // Every time another port: a half-open connection would be known already.
        for port in 1_024.. {
            if !answers_syn(&lab, server(port)) {
                break;
            }
            assert!(opened.elapsed() < Duration::from_secs(1), "the knock does not expire");
        }
    });
}

#[test]
fn only_knocks_and_peers_reach_the_udp_port() {
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        let socket = UdpSocket::bind("0.0.0.0:443").expect("a free port");
        socket.set_nonblocking(true).expect("a socket");
        let arrives = |payload: &[u8], from: SocketAddr| {
            lab.server_sends(&udp(from, gateway(), payload));
            socket.recv_from(&mut [0; 2_048]).is_ok()
        };
        let (stranger, peer) = (server(50_000), server(50_001));
        assert!(!arrives(&[22; 300], stranger), "a DTLS hello");
        assert!(!arrives(&[0xc0; 127], stranger), "too short for a knock");
        assert!(!arrives(&[0xc0; 129], stranger), "too long for a knock");
        assert!(!arrives(&[0xbf; 128], stranger), "a wrong first byte");
        assert!(arrives(&[0xc0; 128], stranger), "a knock");
        assert_eq!(lab.enforcer.add_peer(peer, SHORT).blocking_recv(), Ok(true));
        assert!(arrives(&[22; 300], peer));
        assert!(!arrives(&[22; 300], stranger), "another port of the same address translator");
        assert_eq!(lab.enforcer.remove_peer(peer).blocking_recv(), Ok(true));
        assert!(!arrives(&[22; 300], peer));
    });
}

#[test]
fn junk_leaves_no_conntrack_entry() {
    for guard in [Guard::Open, Guard::Tcp, Guard::UdpTcp] {
        in_namespace(move || {
            let lab = guarded(guard);
            let before = tracked();
            for n in 0..300u16 {
                let [a, b] = n.to_be_bytes();
                let from = SocketAddr::new(IpAddr::from([10, 20, 100 + a, b]), 1_000 + n);
                lab.server_sends(&udp(from, gateway(), &[0; 100]));
                lab.server_sends(&udp(from, gateway(), &[0xc0; 128]));
                lab.server_sends(&tcp(from, gateway(), "S", (1, 0), b""));
            }
            assert_eq!(tracked(), before, "{guard:?}");
        });
    }
}

#[test]
fn an_unguarded_or_tcp_mode_port_answers_every_syn() {
    for guard in [Guard::Open, Guard::Tcp] {
        in_namespace(move || {
            let lab = guarded(guard);
            let _listener = TcpListener::bind("0.0.0.0:443").expect("a free port");
            assert!(answers_syn(&lab, server(50_000)), "{guard:?}");
        });
    }
}

#[test]
fn a_dead_process_looks_like_a_live_one() {
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        lab.server_sends(&udp(server(50_000), gateway(), &[0xc0; 128]));
        assert_eq!(lab.at_server(), [], "no port unreachable");
    });
}

/// T47: the kernel counts no SYNs, whose address anybody may have written; the process closes the pinhole.
#[test]
fn a_flood_of_syns_does_not_use_a_pinhole_up() {
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        let _listener = TcpListener::bind("0.0.0.0:443").expect("a free port");
        let before = tracked();
        assert_eq!(lab.enforcer.open_knock(server(0).ip(), 443, SHORT).blocking_recv(), Ok(true));
        for flags in ["A", "F", "FPU", "", "SA", "R"] {
            lab.server_sends(&tcp(server(50_000), gateway(), flags, (1, 1), b""));
            assert_eq!(lab.at_server(), [], "a stray packet hears nothing: {flags:?}");
        }
        for port in 1_024..4_024 {
            lab.server_sends(&tcp(server(port), gateway(), "S", (1, 0), b""));
        }
        lab.at_server();
        assert!(answers_syn(&lab, server(50_001)), "the source's own connection after 3,000 that were not its own");
        assert!(tracked() <= before, "{} entries, {before} before", tracked());
        assert_eq!(lab.enforcer.close_knock(server(0).ip(), 443).blocking_recv(), Ok(true));
        assert!(!answers_syn(&lab, server(50_002)), "the process closes the pinhole");
    });
}

#[test]
fn a_closed_port_beside_a_dark_one_is_as_silent() {
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        for port in [1u16, 22, 80, 442, 444, 8_443, 65_535] {
            let closed = SocketAddr::new(gateway().ip(), port);
            for flags in ["S", "A", "F", "FPU", "", "SA"] {
                lab.server_sends(&tcp(server(50_000), closed, flags, (1, 1), b""));
                assert_eq!(lab.at_server(), [], "port {port}, flags {flags:?}");
            }
            lab.server_sends(&udp(server(50_000), closed, b"?"));
            assert_eq!(lab.at_server(), [], "udp port {port}");
        }
    });
}

/// Shakes hands from `source` and gives the server's end, with the sequence numbers of both.
fn connection(lab: &Lab, listener: &TcpListener, source: SocketAddr) -> (TcpStream, u32) {
    lab.server_sends(&tcp(source, gateway(), "S", (1, 0), b""));
    let answers = lab.at_server();
    let answer = answers.iter().find(|seen| seen.flags == (true, true, false)).expect("a SYN-ACK");
    let expected = answer.sequence.wrapping_add(1);
    lab.server_sends(&tcp(source, gateway(), "A", (2, expected), b""));
    (listener.accept().expect("a connection").0, expected)
}

/// What was not proved gets no sign of an end: neither a reset nor a FIN.
#[test]
fn a_connection_without_payload_of_ours_ends_in_silence() {
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        let listener = TcpListener::bind("0.0.0.0:443").expect("a free port");
        assert_eq!(lab.enforcer.open_knock(server(0).ip(), 443, SHORT).blocking_recv(), Ok(true));
        let (reset, _) = connection(&lab, &listener, server(50_000));
        socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).expect("a socket");
        let (closed, _) = connection(&lab, &listener, server(50_001));
        lab.at_server();
        drop((reset, closed));
        assert_eq!(lab.at_server(), [], "while the pinhole is open");
        lab.server_sends(&tcp(server(50_000), gateway(), "A", (2, 2), b"junk"));
        assert_eq!(lab.at_server(), []);
        let (_half, expected) = connection(&lab, &listener, server(50_003));
        assert_eq!(lab.enforcer.close_knock(server(0).ip(), 443).blocking_recv(), Ok(true));
        lab.server_sends(&tcp(server(50_003), gateway(), "A", (2, expected), b"more"));
        assert_eq!(lab.at_server(), [], "after its end an unproved connection hears nothing either");
    });
}

#[test]
fn a_connection_on_which_we_wrote_goes_on_without_a_pinhole_and_may_be_reset() {
    use std::io::{Read, Write};
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        let listener = TcpListener::bind("0.0.0.0:443").expect("a free port");
        let source = server(50_000);
        assert_eq!(lab.enforcer.open_knock(source.ip(), 443, SHORT).blocking_recv(), Ok(true));
        let (mut accepted, expected) = connection(&lab, &listener, source);
        accepted.write_all(b"hello").expect("written");
        assert!(lab.at_server().iter().any(|seen| seen.payload == b"hello"));
        assert_eq!(lab.enforcer.close_knock(source.ip(), 443).blocking_recv(), Ok(true));
        let expected = expected.wrapping_add(5);
        lab.server_sends(&tcp(source, gateway(), "A", (2, expected), b"welcome"));
        let mut heard = [0; 7];
        accepted.read_exact(&mut heard).expect("it goes on");
        assert_eq!(&heard, b"welcome");
        assert!(lab.at_server().iter().any(|seen| seen.flags == (false, true, false)), "and is acknowledged");
        // The same ends do not begin another connection without a pinhole.
        lab.server_sends(&tcp(source, gateway(), "S", (9_000, 0), b""));
        assert!(lab.at_server().iter().all(|seen| !seen.flags.0), "no SYN-ACK");
        socket2::SockRef::from(&accepted).set_linger(Some(Duration::ZERO)).expect("a socket");
        drop(accepted);
        lab.server_hears("the other side is told", |seen| seen.flags.2);
        lab.server_sends(&tcp(source, gateway(), "A", (9, expected), b"late"));
        assert_eq!(lab.at_server(), [], "and nothing is said afterwards");
    });
}

/// T49: whatever the protocol, nothing comes back, as from an address that nobody has.
#[test]
fn no_protocol_is_answered() {
    in_namespace(|| {
        let lab = guarded(Guard::UdpTcp);
        let (v4, v6) = (IpAddr::from([10, 20, 0, 1]), "fd20::1".parse().expect("an address"));
        for (from, to) in [(server(0).ip(), v4), (server6(0).ip(), v6)] {
            for protocol in 0..=255 {
                // TCP and UDP have tests of their own; 43, 44, 60 and 0 are headers that lead to another one in IPv6.
                if matches!(protocol, 6 | 17) {
                    continue;
                }
                lab.server_sends(&raw(from, to, protocol, &[0; 40]));
                assert_eq!(lab.at_server(), [], "protocol {protocol} to {to}");
            }
            lab.server_sends(&echo(from, to, true, b"?"));
            assert_eq!(lab.at_server(), [], "an echo request to {to}");
        }
    });
}
