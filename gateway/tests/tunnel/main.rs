//! Tunnel workers against the real kernel: each test has a network namespace and a TUN device of its own, and talks to
//! the workers as a Client would, frame by frame. Needs root.

mod plant;
mod raw_client;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use etherparse::{IpNumber, PacketBuilder};
use plant::{Plant, inside, session, token, tokio_wait};
use ringwall_actors::ports::TunnelPlane;
use ringwall_gateway::tunnel::{DropReason, LossReason, TunnelEvent};
use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_tunnel::frame::{FrameHeader, FrameKind};
use ringwall_tunnel::packet;

const SERVER: [u8; 4] = [10, 77, 0, 1];
const CLIENT: [u8; 4] = [10, 77, 0, 2];

fn ping(from: [u8; 4], to: [u8; 4], sequence: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(from, to, 64).icmpv4_echo_request(7, sequence).write(&mut bytes, b"ringwall").expect("fits");
    bytes
}

fn ping6(from: [u8; 16], to: [u8; 16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv6(from, to, 64).icmpv6_echo_request(7, 1).write(&mut bytes, b"ringwall").expect("fits");
    bytes
}

fn udp(from: [u8; 4], to: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(from, to, 64).udp(5_000, port).write(&mut bytes, payload).expect("fits");
    bytes
}

/// `fd77::<last>`.
const fn v6(last: u8) -> [u8; 16] {
    [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

fn source_of(bytes: &[u8]) -> IpAddr {
    packet::parse(bytes).expect("the Gateway sends well-formed packets").source
}

#[test]
fn attached_session_is_answered_by_the_kernel() {
    inside(|| {
        let plant = Plant::start(1);
        let mut client = plant.attached(1, CLIENT);
        client.send_packet(&ping(CLIENT, SERVER, 1));
        let answer = client.packet().expect("an echo reply");
        assert_eq!(source_of(&answer), IpAddr::from(SERVER));
        assert_eq!(answer[20], 0, "echo reply");
        client.send(&FrameHeader::plain(FrameKind::KeepAlive, 0).encode());
        assert_eq!(client.frame().expect("an answer").header.kind, FrameKind::KeepAlive);
    });
}

#[test]
fn foreign_source_never_reaches_the_kernel() {
    inside(|| {
        let plant = Plant::start(1);
        let mut client = plant.attached(1, CLIENT);
        let socket = UdpSocket::bind(SocketAddr::from((SERVER, 4_000))).expect("the address is up");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        for forged in [[10, 77, 0, 3], SERVER, [127, 0, 0, 1], [0, 0, 0, 0]] {
            client.send_packet(&udp(forged, SERVER, 4_000, b"forged"));
        }
        client.send_packet(&udp(CLIENT, SERVER, 4_000, b"honest"));
        let mut bytes = [0; 64];
        let (length, from) = socket.recv_from(&mut bytes).expect("the honest datagram");
        assert_eq!((&bytes[..length], from.ip()), (&b"honest"[..], IpAddr::from(CLIENT)));
        assert!(socket.recv_from(&mut bytes).is_err(), "nothing else came");
        assert_eq!(plant.dropped(DropReason::ForeignSource), 4);
    });
}

#[test]
fn odd_packets_are_dropped_by_reason_and_the_tunnel_lives_on() {
    inside(|| {
        let plant = Plant::start(1);
        let mut client = plant.attached(1, CLIENT);
        let mut options = ping(CLIENT, SERVER, 1);
        options[0] = 0x46;
        client.send_packet(&options);
        let mut short = ping(CLIENT, SERVER, 2);
        short[3] += 1;
        client.send_packet(&short);
        client.send_packet(&[0x50; 40]);
        let mut large = Vec::new();
        let echo = PacketBuilder::ipv4(CLIENT, SERVER, 64).icmpv4_echo_request(7, 3);
        echo.write(&mut large, &[0; 600]).expect("fits");
        client.send_super(&large, 256);
        client.send_packet(&ping(CLIENT, SERVER, 4));
        let answer = client.packet().expect("an echo reply");
        assert_eq!(answer[27], 4, "only the last one was answered");
        assert_eq!(plant.dropped(DropReason::Options), 1);
        assert_eq!(plant.dropped(DropReason::Length), 1);
        assert_eq!(plant.dropped(DropReason::Version), 1);
        assert_eq!(plant.dropped(DropReason::Offload), 1);
    });
}

#[test]
fn fragments_beyond_a_hundred_a_second_are_dropped() {
    inside(|| {
        let plant = Plant::start(1);
        let mut client = plant.attached(1, CLIENT);
        let mut fragment = udp(CLIENT, SERVER, 4_000, b"in pieces");
        fragment[6] = 0x20;
        for _ in 0..150 {
            client.send_packet(&fragment);
        }
        plant.until(|plant| plant.up() + plant.dropped(DropReason::Fragments) >= 150);
        assert!((50..=51).contains(&plant.dropped(DropReason::Fragments)), "a second may turn in between");
    });
}

#[test]
fn super_packet_leaves_the_tunnel_as_its_segments() {
    inside(|| {
        let plant = Plant::start(1);
        let mut client = plant.attached(1, CLIENT);
        let socket = UdpSocket::bind(SocketAddr::from((SERVER, 4_001))).expect("the address is up");
        socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
        let payload: Vec<u8> = (0..10_000_u32).map(|i| i as u8).collect();
        let mut bytes = udp(CLIENT, SERVER, 4_001, &payload);
        // The receiver completes the checksum: whatever stands there must not matter.
        bytes[26..28].fill(0xaa);
        client.send_super(&bytes, 1_000);
        let (mut got, mut datagram) = (Vec::new(), [0; 2_000]);
        while got.len() < payload.len() {
            let length = socket.recv(&mut datagram).expect("the next segment");
            assert_eq!(length, 1_000);
            got.extend_from_slice(&datagram[..length]);
        }
        assert_eq!(got, payload);
    });
}

#[test]
fn super_packet_that_the_kernel_refuses_is_cut_before_it() {
    inside(|| {
        let plant = Plant::start(1);
        let mut client = plant.attached(1, CLIENT);
        let socket = UdpSocket::bind(SocketAddr::from((SERVER, 4_005))).expect("the address is up");
        socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 4 << 20).expect("root may ask for more");
        // More segments than the kernel takes in one datagram super-packet.
        let payload: Vec<u8> = (0..60_000_u32).map(|i| (i / 7) as u8).collect();
        client.send_super(&udp(CLIENT, SERVER, 4_005, &payload), 256);
        let (mut got, mut datagram) = (Vec::new(), [0; 2_000]);
        while got.len() < payload.len() {
            let length = socket.recv(&mut datagram).expect("the next segment");
            got.extend_from_slice(&datagram[..length]);
        }
        assert_eq!(got, payload);
        assert_eq!(plant.dropped(DropReason::Device), 0);
    });
}

#[test]
fn attach_token_opens_one_tunnel_only() {
    inside(|| {
        let plant = Plant::start(2);
        plant.open(1, CLIENT);
        plant.workers.expect(session(1), token(1));
        let mut first = plant.connect(plant::KEY);
        first.attach(token(1)).expect("the token is fresh");
        let mut second = plant.connect(plant::KEY);
        assert!(second.attach(token(1)).is_err(), "the token is spent");
        first.send_packet(&ping(CLIENT, SERVER, 1));
        assert!(first.packet().is_some(), "the first tunnel still stands");
    });
}

#[test]
fn tunnel_without_attach_token_carries_nothing() {
    inside(|| {
        let plant = Plant::start(1);
        plant.open(1, CLIENT);
        let mut silent = plant.connect(plant::KEY);
        silent.send_packet(&ping(CLIENT, SERVER, 1));
        assert!(silent.frame().is_none(), "closed without an answer");
        assert!(silent.is_closed());
        let mut guessing = plant.connect(plant::KEY);
        assert!(guessing.attach(token(9)).is_err());
        plant.workers.expect(session(1), token(1));
        let mut stranger = plant.connect(Thumbprint([9; 32]));
        assert!(stranger.attach(token(1)).is_err(), "another key than the session's");
        assert_eq!(plant.up(), 0);
    });
}

#[test]
fn cut_session_stops_at_once_while_it_streams() {
    inside(|| {
        let plant = Plant::start(2);
        let mut client = plant.attached(1, CLIENT);
        let socket = UdpSocket::bind(SocketAddr::from((SERVER, 4_002))).expect("the address is up");
        let stream = std::thread::spawn(move || {
            let datagram = udp(CLIENT, SERVER, 4_002, &[7; 500]);
            while client.try_send_packet(&datagram).is_ok() {}
        });
        let mut bytes = [0; 1_000];
        for _ in 0..200 {
            socket.recv(&mut bytes).expect("the stream flows");
        }
        let start = Instant::now();
        tokio_wait(plant.workers.cut(session(1), ErrorCode::Revoked)).expect("an answer");
        let took = start.elapsed();
        // What the kernel had before the answer may still lie in the socket; after it nothing more comes.
        socket.set_nonblocking(true).expect("a flag");
        while socket.recv(&mut bytes).is_ok() {}
        socket.set_nonblocking(false).expect("a flag");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        assert!(socket.recv(&mut bytes).is_err(), "no packet after the cut was answered");
        assert!(took < Duration::from_millis(500), "cut took {took:?}");
        stream.join().expect("the client sees its connection end");
        plant.workers.expect(session(1), token(5));
        let mut again = plant.connect(plant::KEY);
        assert!(again.attach(token(5)).is_err(), "a cut session is forgotten");
        assert!(tokio_wait(plant.workers.cut(session(1), ErrorCode::Revoked)).is_ok(), "cutting is idempotent");
    });
}

#[test]
fn new_tunnel_replaces_the_former_one() {
    inside(|| {
        let plant = Plant::start(2);
        let mut former = plant.attached(1, CLIENT);
        plant.workers.expect(session(1), token(2));
        let mut latter = plant.connect(plant::KEY);
        latter.attach(token(2)).expect("the token is fresh");
        assert!(former.frame().is_none() && former.is_closed());
        latter.send_packet(&ping(CLIENT, SERVER, 1));
        assert!(latter.packet().is_some());
        let events = plant.events();
        let attached: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                TunnelEvent::Attached { replaced, .. } => Some(*replaced),
                _ => None,
            })
            .collect();
        assert_eq!(attached, [false, true]);
        assert!(!events.iter().any(|event| matches!(event, TunnelEvent::Lost { .. })), "replaced is not lost");
    });
}

#[test]
fn lost_tunnel_is_told_and_packets_to_it_are_dropped() {
    inside(|| {
        let plant = Plant::start(1);
        let client = plant.attached(1, CLIENT);
        drop(client);
        let lost =
            |event: &TunnelEvent| matches!(event, TunnelEvent::Lost { reason, .. } if *reason == LossReason::Closed);
        plant.until(|plant| plant.events().iter().any(lost));
        let socket = UdpSocket::bind(SocketAddr::from((SERVER, 4_003))).expect("the address is up");
        socket.send_to(b"too late", SocketAddr::from((CLIENT, 9))).expect("the route leads into the TUN");
        plant.until(|plant| plant.dropped(DropReason::NoTunnel) == 1);
    });
}

#[test]
fn frame_outside_the_protocol_ends_the_tunnel() {
    inside(|| {
        let plant = Plant::start(1);
        let mut client = plant.attached(1, CLIENT);
        client.send(&[9; 8]);
        assert!(client.frame().is_none() && client.is_closed());
        plant.until(|plant| plant.events().iter().any(|event| matches!(event, TunnelEvent::ProtocolViolation { .. })));
    });
}

#[test]
fn slow_session_loses_its_own_packets_only() {
    inside(|| {
        let plant = Plant::start(1);
        let slow = plant.attached(1, CLIENT);
        let mut quick = plant.attached(2, [10, 77, 0, 3]);
        let socket = UdpSocket::bind(SocketAddr::from((SERVER, 4_004))).expect("the address is up");
        let deadline = Instant::now() + Duration::from_secs(20);
        while plant.dropped(DropReason::QueueFull) == 0 {
            socket.send_to(&[0; 1_300], SocketAddr::from((CLIENT, 9))).expect("the route leads into the TUN");
            assert!(Instant::now() < deadline, "the queue of a session that reads nothing fills up");
        }
        quick.send_packet(&ping([10, 77, 0, 3], SERVER, 1));
        assert!(quick.packet().is_some(), "another session of the same worker is served");
        drop(slow);
    });
}

#[test]
fn every_session_is_served_by_its_owner() {
    inside(|| {
        let plant = Plant::start(3);
        assert!(plant.workers.is_steered(), "the kernel takes the eBPF program");
        for n in 2..12 {
            let address = [10, 77, 0, n];
            let mut client = plant.attached(n, address);
            client.send_packet(&ping(address, SERVER, 1));
            assert!(client.packet().is_some(), "session {n}");
        }
        let owners = plant.workers.counters().iter().filter(|counters| counters.traffic().from_tun().0 > 0).count();
        assert_eq!(owners, 3, "each worker carried some");
        assert_eq!(plant.dropped(DropReason::WorkerBusy), 0);
    });
}

#[test]
fn workers_pass_packets_on_where_the_kernel_refuses_to_steer() {
    inside(|| {
        plant::give_up_bpf();
        let plant = Plant::start(3);
        assert!(!plant.workers.is_steered(), "without the right to load programs the kernel steers by itself");
        for n in 2..12 {
            let address = [10, 77, 0, n];
            let mut client = plant.attached(n, address);
            for sequence in 0..5 {
                client.send_packet(&ping(address, SERVER, sequence));
                assert!(client.packet().is_some(), "session {n}, ping {sequence}");
            }
        }
    });
}

#[test]
fn packets_on_a_foreign_queue_find_their_owner() {
    inside(|| {
        let plant = Plant::start(2);
        // The addresses disagree: IPv4 is even, IPv6 is odd.
        plant.open_both(1, CLIENT, v6(5));
        // The other worker obeys in order: once it has cut a session, it knows whose the IPv6 address is.
        plant.open(9, [10, 77, 0, 9]);
        tokio_wait(plant.workers.cut(session(9), ErrorCode::AdministratorEnded)).expect("an answer");
        plant.workers.expect(session(1), token(1));
        let mut client = plant.connect(plant::KEY);
        client.attach(token(1)).expect("the token is fresh");
        client.send_packet(&ping6(v6(5), v6(1)));
        let answer = client.packet().expect("an echo reply");
        assert_eq!(source_of(&answer), IpAddr::from(v6(1)));
        client.send_packet(&ping(CLIENT, SERVER, 1));
        assert!(client.packet().is_some());
    });
}

#[test]
fn routing_and_hop_by_hop_headers_never_reach_the_kernel() {
    inside(|| {
        let plant = Plant::start(1);
        plant.open_both(1, CLIENT, v6(2));
        plant.workers.expect(session(1), token(1));
        let mut client = plant.connect(plant::KEY);
        client.attach(token(1)).expect("the token is fresh");
        for header in [IpNumber::IPV6_ROUTE_HEADER, IpNumber::IPV6_HEADER_HOP_BY_HOP] {
            let mut bytes = ping6(v6(2), v6(1));
            bytes[6] = header.0;
            client.send_packet(&bytes);
        }
        plant.until(|plant| plant.dropped(DropReason::Extension) >= 2);
        assert_eq!(plant.up(), 0);
    });
}
