//! A scan of every TCP and UDP port of an address, as an unauthenticated host makes it: what answers, if anything.
//!
//! Packets are made by hand, so that the scan may send what no honest program sends (FIN without a connection, no flag at
//! all). Everything that the address sends back counts, ICMP errors included: an address at which nobody is sends
//! nothing.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result};
use etherparse::TcpHeader;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::lab::{
    namespace::Namespace,
    probe::{Capture, Seen},
};

/// Packets between two short pauses: fewer than the receiving queue of a virtual device holds.
const BURST: u16 = 256;
/// After a burst; the other end works meanwhile.
const PAUSE: Duration = Duration::from_millis(2);
/// After the last packet: the slowest honest answer is an ICMP error that waits its turn.
const SETTLE: Duration = Duration::from_millis(500);
/// Where the scan's packets come from.
const SOURCE_PORT: u16 = 61_999;

/// Ports that a report names.
const SHOWN: usize = 10;

/// Flags of a TCP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flags {
    /// The beginning of a connection.
    Syn,
    /// The end of one that never was.
    Fin,
    /// An acknowledgement of nothing.
    Ack,
    /// No flag at all.
    Null,
    /// FIN, PSH and URG.
    Christmas,
}

impl Flags {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Syn, Self::Fin, Self::Ack, Self::Null, Self::Christmas];

    fn set(self, header: &mut TcpHeader) {
        header.syn = self == Self::Syn;
        header.ack = self == Self::Ack;
        header.fin = matches!(self, Self::Fin | Self::Christmas);
        header.psh = self == Self::Christmas;
        header.urg = self == Self::Christmas;
    }
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanned {
    /// Packets that left; fewer where nobody answers even ARP.
    pub sent: usize,
    /// Packets that came back.
    pub answers: usize,
    /// Ports from which they came; ICMP has none.
    pub ports: BTreeSet<u16>,
}

impl fmt::Display for Scanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<u16> = self.ports.iter().take(SHOWN).copied().collect();
        write!(f, "{} answers to {} packets, from {} ports, first {first:?}", self.answers, self.sent, self.ports.len())
    }
}

/// Sends a packet with each set of flags to every TCP port of `target`, and a datagram to every UDP port; takes about
/// two seconds for each of the six rounds.
///
/// # Errors
/// If the sockets cannot be had. That nobody takes the packets is no error: it is what the scan is for.
pub fn scan_ports(from: &Namespace, target: Ipv4Addr, flags: &[Flags]) -> Result<Scanned> {
    let capture = Capture::start(from, move |packet: &Seen| packet.source == target)?;
    let sent = from.enter(|| send_all(target, flags))?.context("send the scan's packets")?;
    std::thread::sleep(SETTLE);
    let answers = capture.stop()?;
    let ports = answers.iter().filter_map(|packet| packet.ports.map(|(from, _)| from)).collect();
    Ok(Scanned { sent, answers: answers.len(), ports })
}

fn send_all(target: Ipv4Addr, flags: &[Flags]) -> io::Result<usize> {
    let own = own_address(target)?;
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP))?;
    // To an address at which nobody is, packets wait for an answer to ARP and fill the buffer: nobody waits for them.
    raw.set_nonblocking(true)?;
    let mut sent = 0;
    for flags in flags {
        for port in 1..=u16::MAX {
            let segment = segment(own, target, port, *flags);
            sent += usize::from(raw.send_to(&segment, &SockAddr::from(SocketAddrV4::new(target, 0))).is_ok());
            pause_after(port);
        }
    }
    let datagrams = UdpSocket::bind((own, 0))?;
    datagrams.set_nonblocking(true)?;
    for port in 1..=u16::MAX {
        sent += usize::from(datagrams.send_to(b"who is there?", (target, port)).is_ok());
        pause_after(port);
    }
    Ok(sent)
}

fn pause_after(port: u16) {
    if port.is_multiple_of(BURST) {
        std::thread::sleep(PAUSE);
    }
}

/// The address from which the kernel would send there.
fn own_address(target: Ipv4Addr) -> io::Result<Ipv4Addr> {
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    probe.connect((target, 9))?;
    match probe.local_addr()?.ip() {
        std::net::IpAddr::V4(own) => Ok(own),
        std::net::IpAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

fn segment(own: Ipv4Addr, target: Ipv4Addr, port: u16, flags: Flags) -> Vec<u8> {
    let mut header = TcpHeader::new(SOURCE_PORT, port, 0x5eed_0000 | u32::from(port), 64_240);
    flags.set(&mut header);
    header.checksum =
        header.calc_checksum_ipv4_raw(own.octets(), target.octets(), &[]).expect("a header alone is short");
    header.to_bytes().to_vec()
}
