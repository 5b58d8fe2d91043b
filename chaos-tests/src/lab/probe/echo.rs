//! A stream of small UDP packets that an echo server sends back: every single one is accounted for.
//!
//! Packets leave on a fixed schedule, also if some cannot be sent. Each carries the probe's own number and a sequence
//! number, so nothing is counted twice or for another probe. The socket is not connected: when the address of the tunnel
//! changes, the next packet simply leaves from the new one.

mod report;

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

pub(crate) use self::report::EchoReport;
use crate::lab::namespace::Namespace;

/// How often a probe sends unless told otherwise.
pub(crate) const RATE: u32 = 100;

/// How long the last packets may take to come back after the probe stopped sending.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How often the receiving thread looks whether it is over.
const GLANCE: Duration = Duration::from_millis(20);

/// Marks the lab's own packets; followed by the probe's number and the sequence number, 8 bytes each, big endian.
const MAGIC: [u8; 8] = *b"rw-echo1";

/// Length of a packet.
pub(in crate::lab) const LENGTH: usize = 24;

/// A running probe.
#[derive(Debug)]
pub struct EchoProbe {
    shared: Arc<Shared>,
    sender: JoinHandle<()>,
    receiver: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    probe: u64,
    to: SocketAddr,
    stopped: AtomicBool,
    duplicates: AtomicU64,
    packets: Mutex<Vec<Packet>>,
    arrived: Condvar,
}

/// One packet's fate; its place in the list is its sequence number.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) sent: Instant,
    /// The kernel refused to send it.
    pub(super) refused: bool,
    pub(super) answered: Option<Instant>,
}

impl EchoProbe {
    /// Begins to send to an echo server at `RATE` packets a second.
    pub fn start(from: &Namespace, to: SocketAddr) -> Result<Self> {
        Self::at_rate(from, to, RATE)
    }

    /// Begins to send at `rate` packets a second.
    pub fn at_rate(from: &Namespace, to: SocketAddr, rate: u32) -> Result<Self> {
        static PROBES: AtomicU64 = AtomicU64::new(1);
        let shared = Arc::new(Shared {
            probe: PROBES.fetch_add(1, Ordering::Relaxed) << 32 | u64::from(std::process::id()),
            to,
            stopped: AtomicBool::new(false),
            duplicates: AtomicU64::new(0),
            packets: Mutex::new(Vec::new()),
            arrived: Condvar::new(),
        });
        let socket = from.enter(|| open_socket(to))?.context("open the probe's socket")?;
        let sending = socket.try_clone()?;
        let interval = Duration::from_secs(1) / rate;
        let (for_sender, for_receiver) = (Arc::clone(&shared), Arc::clone(&shared));
        // A socket belongs to the namespace that it was made in, whoever uses it.
        let sender = thread::Builder::new()
            .name("echo-sender".to_owned())
            .spawn(move || for_sender.send_on_schedule(&sending, interval))?;
        let receiver =
            thread::Builder::new().name("echo-receiver".to_owned()).spawn(move || for_receiver.receive(&socket))?;
        Ok(Self { shared, sender, receiver })
    }

    /// How many came back so far.
    #[must_use]
    pub fn received(&self) -> usize {
        self.shared.packets().iter().filter(|packet| packet.answered.is_some()).count()
    }

    /// Waits until a packet that was sent after `moment` comes back; returns the time from `moment` to its return.
    pub fn wait_answer_after(&self, moment: Instant, timeout: Duration) -> Result<Duration> {
        let packets = self.shared.packets();
        let (packets, late) = self
            .shared
            .arrived
            .wait_timeout_while(packets, timeout, |packets| first_answer_after(packets, moment).is_none())
            .map_err(|_| anyhow!("a thread of the probe panicked"))?;
        let answered = first_answer_after(&packets, moment);
        answered.map(|at| at.duration_since(moment)).with_context(|| {
            format!("no echo from {} within {timeout:?}, waited: {}", self.shared.to, late.timed_out())
        })
    }

    /// When the packet with this number was sent; it is taken down just before.
    #[must_use]
    pub fn sent_at(&self, sequence: usize) -> Option<Instant> {
        self.shared.packets().get(sequence).map(|packet| packet.sent)
    }

    /// The number of one of this probe's packets, as a server receives it.
    #[must_use]
    pub fn sequence_of(&self, payload: &[u8]) -> Option<usize> {
        decode(self.shared.probe, payload)
    }

    /// What happened so far, without stopping. Packets on their way count as lost.
    #[must_use]
    pub fn so_far(&self) -> EchoReport {
        EchoReport::new(&self.shared.packets(), self.shared.duplicates.load(Ordering::Relaxed))
    }

    /// Stops sending, waits for what is still on its way, and reports.
    pub fn stop(self) -> Result<EchoReport> {
        self.shared.stopped.store(true, Ordering::Release);
        self.sender.join().map_err(|_| anyhow!("the sending thread panicked"))?;
        self.receiver.join().map_err(|_| anyhow!("the receiving thread panicked"))?;
        Ok(EchoReport::new(&self.shared.packets(), self.shared.duplicates.load(Ordering::Relaxed)))
    }
}

impl Shared {
    fn packets(&self) -> MutexGuard<'_, Vec<Packet>> {
        self.packets.lock().expect("no holder of the packets panics")
    }

    fn send_on_schedule(&self, socket: &UdpSocket, interval: Duration) {
        let mut due = Instant::now();
        while !self.stopped.load(Ordering::Acquire) {
            self.send_one(socket);
            due += interval;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn send_one(&self, socket: &UdpSocket) {
        // The answer may come before `send_to` returns: the packet is on the list first.
        let sequence = {
            let mut packets = self.packets();
            packets.push(Packet { sent: Instant::now(), refused: false, answered: None });
            packets.len() - 1
        };
        if socket.send_to(&encode(self.probe, sequence as u64), self.to).is_err() {
            self.packets()[sequence].refused = true;
        }
    }

    fn receive(&self, socket: &UdpSocket) {
        let mut buffer = [0; LENGTH + 1];
        let mut last_call = None;
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) if from == self.to => self.account(&buffer[..length]),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // An ICMP error of an earlier packet; that packet simply gets no answer.
                Err(_) => {}
            }
            if self.stopped.load(Ordering::Acquire) {
                let deadline = *last_call.get_or_insert_with(|| Instant::now() + LAST_ANSWERS);
                if self.all_answered() || Instant::now() >= deadline {
                    return;
                }
            }
        }
    }

    fn account(&self, bytes: &[u8]) {
        let now = Instant::now();
        let Some(sequence) = decode(self.probe, bytes) else {
            return;
        };
        let mut packets = self.packets();
        match packets.get_mut(sequence) {
            Some(Packet { answered: Some(_), .. }) => {
                self.duplicates.fetch_add(1, Ordering::Relaxed);
            }
            Some(packet) => {
                packet.answered = Some(now);
                self.arrived.notify_all();
            }
            None => {}
        }
    }

    fn all_answered(&self) -> bool {
        self.packets().iter().all(|packet| packet.answered.is_some())
    }
}

fn open_socket(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = if to.is_ipv4() {
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
    }?;
    socket.set_read_timeout(Some(GLANCE))?;
    Ok(socket)
}

fn first_answer_after(packets: &[Packet], moment: Instant) -> Option<Instant> {
    let first = packets.partition_point(|packet| packet.sent <= moment);
    packets[first..].iter().filter_map(|packet| packet.answered).min()
}

fn encode(probe: u64, sequence: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&probe.to_be_bytes());
    bytes[16..].copy_from_slice(&sequence.to_be_bytes());
    bytes
}

/// The sequence number of one of this probe's packets.
fn decode(probe: u64, bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(&MAGIC)?.strip_prefix(&probe.to_be_bytes())?;
    usize::try_from(u64::from_be_bytes(rest.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_packets_are_counted() {
        assert_eq!(decode(7, &encode(7, 42)), Some(42));
        assert_eq!(decode(8, &encode(7, 42)), None);
        assert_eq!(decode(7, &encode(7, 42)[..23]), None);
        assert_eq!(decode(7, b""), None);
    }
}
