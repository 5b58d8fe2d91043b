//! Sees every packet on a host's interfaces, with the time: who sent it, to whom, when was the last one.
//!
//! For exact counts use `PacketCounter`; a capture may miss packets under a flood, and says so nowhere. It is for
//! questions about *which* and *when*. Packets that the host itself sends are seen too.

use std::{
    io::{ErrorKind, Read},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::namespace::Namespace;

/// All protocols (`ETH_P_ALL`), in network byte order as the packet socket wants it.
const ALL_PROTOCOLS: u16 = 0x0003;

/// Room for bursts between two reads.
const BUFFER: usize = 16 << 20;

/// A frame can be a super-packet of up to 64 KiB and its headers.
const LARGEST_FRAME: usize = 66 << 10;

/// How often the thread looks whether it was stopped.
const GLANCE: Duration = Duration::from_millis(50);

/// Packets kept; more than any test looks at, and a limit on memory.
const MOST_PACKETS: usize = 1 << 20;

/// A packet that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When this program read it.
    pub(crate) at: Instant,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source and destination ports of TCP and UDP.
    pub ports: Option<(u16, u16)>,
    /// Length of the IP packet's content in bytes.
    pub(crate) length: usize,
}

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    packets: Mutex<Vec<Seen>>,
    broken: Mutex<Option<std::io::Error>>,
}

impl Capture {
    /// Begins to keep the packets that `wanted` chooses.
    pub fn start(at: &Namespace, wanted: impl Fn(&Seen) -> bool + Send + 'static) -> Result<Self> {
        let socket = at.enter(open_socket)?.context("open a packet socket")?;
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("capture".to_owned()).spawn(move || for_thread.watch(&socket, &wanted))?;
        Ok(Self { shared, thread })
    }

    /// The packets so far.
    #[must_use]
    pub(crate) fn packets(&self) -> Vec<Seen> {
        self.shared.packets().clone()
    }

    /// Stops and returns all packets.
    pub fn stop(self) -> Result<Vec<Seen>> {
        self.shared.stopped.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow!("the capturing thread panicked"))?;
        if let Some(error) = self.shared.broken.lock().expect("no holder panics").take() {
            return Err(error).context("the capture broke off");
        }
        Ok(std::mem::take(&mut *self.shared.packets()))
    }
}

impl Shared {
    fn packets(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.packets.lock().expect("no holder of the packets panics")
    }

    fn watch(&self, mut socket: &Socket, wanted: &dyn Fn(&Seen) -> bool) {
        let mut frame = vec![0; LARGEST_FRAME];
        loop {
            match socket.read(&mut frame) {
                Ok(length) => self.keep(parse(&frame[..length]).filter(wanted)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    // Only an empty queue ends a capture: what arrived before `stop` is kept.
                    if self.stopped.load(Ordering::Acquire) {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    *self.broken.lock().expect("no holder panics") = Some(error);
                    return;
                }
            }
        }
    }

    fn keep(&self, packet: Option<Seen>) {
        let mut packets = self.packets();
        if packets.len() < MOST_PACKETS {
            packets.extend(packet);
        }
    }
}

fn open_socket() -> std::io::Result<Socket> {
    let protocol = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_read_timeout(Some(GLANCE))?;
    Ok(socket)
}

/// Reads the addresses and ports of a frame; `None` if it holds no IP packet.
fn parse(frame: &[u8]) -> Option<Seen> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let (source, destination, length): (IpAddr, IpAddr, usize) = match packet.net? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), ip.payload().payload.len())
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), ip.payload().payload.len())
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let ports = match packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
        Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
        _ => None,
    };
    Some(Seen { at: Instant::now(), source, destination, ports, length })
}
