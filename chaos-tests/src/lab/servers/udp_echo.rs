//! A UDP server that sends everything back to where it came from and remembers each arrival.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::lab::{namespace::Namespace, probe::echo};

/// How often the thread looks whether it was stopped.
const GLANCE: Duration = Duration::from_millis(50);

/// Arrivals kept: hours of a probe, and a limit on memory.
const MOST_ARRIVALS: usize = 1 << 20;

/// A packet that reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// From where, as the server sees it.
    pub from: SocketAddr,
    /// The beginning of its content, filled up with zeros: an echo probe knows its packets by it.
    pub payload: [u8; echo::LENGTH],
}

/// A running echo server; ends when dropped.
#[derive(Debug)]
pub struct UdpEcho {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    arrivals: Mutex<Vec<Arrival>>,
}

impl UdpEcho {
    /// Listens on an address in a namespace.
    pub fn start(at: &Namespace, address: impl Into<SocketAddr>) -> Result<Self> {
        let address = address.into();
        let socket = at.enter(|| UdpSocket::bind(address))?.with_context(|| format!("listen on udp {address}"))?;
        socket.set_read_timeout(Some(GLANCE))?;
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("udp-echo".to_owned()).spawn(move || for_thread.serve(&socket))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All packets that arrived.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals().clone()
    }

    /// When the last packet arrived.
    #[must_use]
    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        self.shared.arrivals().last().map(|arrival| arrival.at)
    }

    /// How many arrived after a moment.
    #[must_use]
    pub fn arrived_after(&self, moment: Instant) -> usize {
        self.shared.arrivals().iter().filter(|arrival| arrival.at > moment).count()
    }
}

impl Drop for UdpEcho {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened; probes saw its silence.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().expect("no holder of the arrivals panics")
    }

    fn serve(&self, socket: &UdpSocket) {
        let mut buffer = vec![0; 64 << 10];
        while !self.stopped.load(Ordering::Acquire) {
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let mut payload = [0; echo::LENGTH];
                    let kept = length.min(payload.len());
                    payload[..kept].copy_from_slice(&buffer[..kept]);
                    self.remember(Arrival { at: Instant::now(), from, payload });
                    // A lost answer shows in the probe's report.
                    let _ = socket.send_to(&buffer[..length], from);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // An ICMP error of an earlier answer.
                Err(_) => {}
            }
        }
    }

    fn remember(&self, arrival: Arrival) {
        let mut arrivals = self.arrivals();
        if arrivals.len() < MOST_ARRIVALS {
            arrivals.push(arrival);
        }
    }
}
