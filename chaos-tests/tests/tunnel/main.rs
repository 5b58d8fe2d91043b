//! Both ends of the tunnel against each other: the Client's pump and the Gateway's workers, each with a TUN device in a
//! network namespace of its own, joined by TLS over a network of the lab. Needs root.

mod throughput;
mod two_ends;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ringwall_client::tunnel::{DropReason, LossReason, TunnelEvent};
use ringwall_gateway::tunnel as gateway;

use two_ends::{LAN, SITE, TwoEnds, ip};

const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that differ at every place, so that nothing can be lost, doubled or moved unnoticed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Sends `sent` one way over a new TCP connection through the tunnel and returns what arrived.
fn transfer(ends: &TwoEnds, to: IpAddr, sent: &[u8], up: bool) -> Result<Vec<u8>> {
    let listener = ends.lab.host("server").enter(|| TcpListener::bind(SocketAddr::new(to, 0)))??;
    let at = listener.local_addr()?;
    let connect = || TcpStream::connect_timeout(&at, PATIENCE);
    let mut outside = ends.lab.host("client").enter(connect)?.context("connect through the tunnel")?;
    let (mut inside, _) = listener.accept()?;
    let (from, into) = if up { (&mut outside, &mut inside) } else { (&mut inside, &mut outside) };
    into.set_read_timeout(Some(PATIENCE))?;
    let mut got = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(move || {
            from.write_all(sent)?;
            from.shutdown(std::net::Shutdown::Write)
        });
        into.read_to_end(&mut got).context("read what came through the tunnel")?;
        writer.join().expect("the writer does not panic")?;
        Ok(())
    })?;
    Ok(got)
}

#[test]
fn ping_and_transfers_arrive_whole_in_both_directions_and_families() -> Result<()> {
    let ends = TwoEnds::start(1)?;
    for address in LAN {
        ends.lab.host("client").output("ping", &["-c", "3", "-i", "0.2", "-W", "2", address])?;
        let sent = noise(20_000_000);
        for up in [true, false] {
            let got = transfer(&ends, ip(address), &sent, up)?;
            assert!(got == sent, "{} of {} bytes to {address}, up {up}, differ", got.len(), sent.len());
        }
    }
    assert_eq!(ends.client.counters().dropped(DropReason::Device), 0, "the kernel took every packet");
    assert_eq!(ends.gateway_dropped(gateway::DropReason::Device), 0, "the kernel took every packet");
    Ok(())
}

#[test]
fn datagrams_in_super_packets_arrive_as_they_were_sent() -> Result<()> {
    let ends = TwoEnds::start(2)?;
    let server = ends.lab.host("server").enter(|| std::net::UdpSocket::bind((LAN[0], 7_000)))??;
    let client = ends.lab.host("client").enter(|| std::net::UdpSocket::bind("0.0.0.0:0"))??;
    server.set_read_timeout(Some(PATIENCE))?;
    for segment in [1_200_usize, 100] {
        // The kernel hands the TUN one super-packet; its segments of 100 are below what a frame may announce.
        let sent = noise(segment * 20);
        two_ends::send_segmented(&client, SocketAddr::new(ip(LAN[0]), 7_000), &sent, segment)?;
        let (mut got, mut datagram) = (Vec::new(), [0; 2_000]);
        while got.len() < sent.len() {
            let length = server.recv(&mut datagram).context("the next datagram")?;
            assert_eq!(length, segment);
            got.extend_from_slice(&datagram[..length]);
        }
        assert!(got == sent);
    }
    Ok(())
}

#[test]
fn what_comes_from_outside_the_site_never_reaches_the_client() -> Result<()> {
    let ends = TwoEnds::start(1)?;
    let server = ends.lab.host("server");
    // The server has a second address to which the Site has no route.
    server.ip_batch("addr add 10.98.0.9/32 dev lan\n")?;
    ends.lab.host("gateway").ip_batch(&format!("route add 10.98.0.9/32 via {}\n", LAN[0]))?;
    let socket = ends.lab.host("client").enter(|| std::net::UdpSocket::bind("0.0.0.0:7001"))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    let foreign = server.enter(|| std::net::UdpSocket::bind("10.98.0.9:0"))??;
    let own = server.enter(|| std::net::UdpSocket::bind((LAN[0], 0)))??;
    foreign.send_to(b"foreign", "10.77.0.2:7001")?;
    own.send_to(b"own", "10.77.0.2:7001")?;
    let mut bytes = [0; 16];
    let (length, from) = socket.recv_from(&mut bytes)?;
    assert_eq!((&bytes[..length], from.ip()), (&b"own"[..], ip(LAN[0])));
    assert_eq!(ends.client.counters().dropped(DropReason::OutsideSite), 1);
    // The same address is welcome once the Site has a route to it; the tunnel stands meanwhile.
    let routes = ["10.99.0.0/24", "10.98.0.0/24"].map(|prefix| prefix.parse().expect("a prefix"));
    ends.client.reroute_site(SITE, routes.into(), true)?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    ends.until(|| {
        foreign.send_to(b"welcome", "10.77.0.2:7001").is_ok()
            && socket.recv_from(&mut bytes).is_ok_and(|(_, from)| from.ip() == ip("10.98.0.9"))
    })?;
    assert!(!ends.events().iter().any(|event| matches!(event, TunnelEvent::SiteLost { .. })));
    Ok(())
}

#[test]
fn each_packet_goes_to_the_site_with_the_longest_prefix() -> Result<()> {
    let ends = TwoEnds::start(1)?;
    let other = ends.second_site(&["10.99.0.2/32"])?;
    let server = ends.lab.host("server").enter(|| std::net::UdpSocket::bind((LAN[0], 7_002)))??;
    server.set_read_timeout(Some(PATIENCE))?;
    let socket = ends.lab.host("client").enter(|| std::net::UdpSocket::bind("0.0.0.0:0"))??;
    let carried = |workers: &gateway::Workers| {
        workers.counters().iter().map(|counters| counters.traffic().to_tun().0).sum::<u64>()
    };
    let mut bytes = [0; 64];
    socket.send_to(b"by the longer one", (LAN[0], 7_002))?;
    server.recv(&mut bytes)?;
    ends.until(|| carried(&other) == 1)?;
    assert_eq!(carried(&ends.gateway), 0);
    ends.client.remove_site(two_ends::OTHER_SITE)?;
    ends.until(|| {
        let sent = socket.send_to(b"by the one that is left", (LAN[0], 7_002));
        sent.is_ok() && server.recv(&mut bytes).is_ok() && carried(&ends.gateway) > 0
    })
}

#[test]
fn port_unreachable_comes_back_through_the_tunnel() -> Result<()> {
    let ends = TwoEnds::start(1)?;
    let socket = ends.lab.host("client").enter(|| std::net::UdpSocket::bind("0.0.0.0:0"))??;
    socket.connect((LAN[0], 9))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"anybody there")?;
    let error = socket.recv(&mut [0; 16]).expect_err("nobody listens");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    Ok(())
}

#[test]
fn packets_of_a_lost_site_are_swallowed_not_sent_elsewhere() -> Result<()> {
    let ends = TwoEnds::start(1)?;
    ends.cut()?;
    ends.event(|event| matches!(event, TunnelEvent::SiteLost { site, reason: LossReason::Closed } if *site == SITE))?;
    let socket = ends.lab.host("client").enter(|| std::net::UdpSocket::bind("0.0.0.0:0"))??;
    socket.send_to(b"swallowed", (LAN[0], 9))?;
    ends.until(|| ends.client.counters().dropped(DropReason::NoTunnel) == 1)?;
    ends.client.remove_site(SITE)?;
    // Orders and packets take different ways into the pump: ask until the order has come first.
    ends.until(|| {
        let sent = socket.send_to(b"no route", (LAN[0], 9));
        sent.is_ok() && ends.client.counters().dropped(DropReason::NoRoute) > 0
    })
}

#[test]
fn site_is_attached_again_by_a_new_connection() -> Result<()> {
    let ends = TwoEnds::start(2)?;
    ends.attach(2)?;
    let sent = noise(1_000_000);
    assert!(transfer(&ends, ip(LAN[0]), &sent, true)? == sent);
    assert!(!ends.events().iter().any(|event| matches!(event, TunnelEvent::SiteLost { .. })), "replaced, not lost");
    Ok(())
}

#[test]
fn silent_gateway_is_given_up_within_seconds() -> Result<()> {
    let ends = TwoEnds::start(1)?;
    ends.lab.host("gateway").ip_batch("link set wan down\n")?;
    let socket = ends.lab.host("client").enter(|| std::net::UdpSocket::bind("0.0.0.0:0"))??;
    let start = Instant::now();
    socket.send_to(b"into the void", (LAN[0], 9))?;
    ends.event(|event| matches!(event, TunnelEvent::SiteLost { reason: LossReason::Silent, .. }))?;
    let took = start.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&took), "given up after {took:?}");
    Ok(())
}

#[tokio::test]
async fn mtu_of_the_device_follows() -> Result<()> {
    let ends = TwoEnds::start(1)?;
    ends.client.set_mtu(1_280).await?;
    let shown = ends.lab.host("client").output("ip", &["link", "show", "dev", "rwclient0"])?;
    assert!(shown.contains("mtu 1280"), "{shown}");
    Ok(())
}
