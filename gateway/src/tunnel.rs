//! The tunnel plane of a Gateway: workers that move packets between sessions' tunnels and the TUN device.
//!
//! Promises: a packet reaches the kernel only from an attached tunnel of an open session and with that session's
//! source address; a cut session's packets stop at once; a slow session holds up nobody; no actor, lock or channel is
//! met per packet. How packets move is `ringwall-tunnel`'s part, which is the same at the Client; here is whose they are.
//! Knock, TLS handshake and what the packets may reach are others' business: the listener hands over finished
//! connections, the enforcer filters behind the TUN.
//!
//! ```text
//! listener ─Workers::attach→ reception (first frame, token) → owner worker: session's tunnel ⇄ TUN queue
//! session actor ─TunnelPlane→ grants, orders               → events back by TunnelEvents
//! ```

mod admission;
mod device;
mod drop_reason;
mod event;
mod fragments;
mod grants;
mod metrics;
mod order;
mod owner;
mod session;
mod side;
mod steering;
mod thread;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use ringwall_actors::ports::{AttachToken, Reply, TunnelGrant, TunnelPlane};
use ringwall_protocol::id::{SessionId, Thumbprint};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::spa::Seat;
use ringwall_tunnel::counters::Counters;
use ringwall_tunnel::worker::Equipment;
use tokio::sync::{mpsc, oneshot};

pub use self::drop_reason::DropReason;
pub use self::event::{TunnelEvent, TunnelEvents};
pub use ringwall_tunnel::loss::LossReason;

use self::admission::Reception;
use self::device::Device;
use self::order::Order;
use self::side::{STRAYS, SideParts};

/// How the tunnel plane is laid out.
#[derive(Debug, Clone)]
pub struct TunnelConfig {
    /// Name of the TUN device, at most 15 bytes.
    pub device: String,
    /// Its MTU in bytes; at least 1,280, which IPv6 needs.
    pub mtu: u16,
    /// Worker threads, each with a queue of its own.
    pub workers: NonZeroUsize,
    /// Bytes that may wait for one session before its packets are dropped.
    pub session_queue: usize,
}

impl Default for TunnelConfig {
    /// One worker per core. 1 MiB per session is 16 of the largest packets, or 80 ms at 100 Mbit/s.
    fn default() -> Self {
        Self {
            device: "ringwall0".into(),
            mtu: 1_400,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            session_queue: 1024 * 1024,
        }
    }
}

/// A tunnel connection after knock and mutual TLS.
#[derive(Debug)]
pub struct AcceptedTunnel {
    /// Its socket.
    pub stream: TcpStream,
    /// Its TLS, with the handshake done; what it has decrypted already is not lost.
    pub connection: rustls::ServerConnection,
    /// The Client's address and port.
    pub peer: SocketAddr,
    /// The key of the certificate that the Client presented.
    pub key: Thumbprint,
    /// Its seat until it presents an attach token; taken away, the connection closes (T51).
    pub seat: Seat,
}

/// The running workers. Dropped, they stop and every tunnel closes.
pub struct Workers {
    reception: Arc<Reception>,
    counters: Vec<Arc<Counters<DropReason>>>,
    threads: Vec<JoinHandle<()>>,
    next: AtomicUsize,
    index: u32,
    steered: bool,
}

impl Workers {
    /// Makes the TUN device in the caller's network namespace and starts a worker per queue.
    ///
    /// # Errors
    /// If the device cannot be made or a thread cannot be started.
    pub fn start(config: &TunnelConfig, events: Arc<dyn TunnelEvents>) -> io::Result<Self> {
        let count = config.workers.get();
        let Device { queues, index, steered } = Device::open(&config.device, config.mtu, count)?;
        let (orders, order_ends): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let (strays, stray_inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(STRAYS)).unzip();
        let mut workers = Self {
            reception: Arc::new(Reception::new(orders)),
            counters: (0..count).map(|_| Arc::default()).collect(),
            threads: Vec::with_capacity(count),
            next: AtomicUsize::new(0),
            index,
            steered,
        };
        let ends = order_ends.into_iter().zip(stray_inboxes);
        for (number, (queue, (orders, stray_inbox))) in queues.into_iter().zip(ends).enumerate() {
            let counters = Arc::clone(&workers.counters[number]);
            let equipment = Equipment { counters, peer_queue: config.session_queue, orders };
            let parts = SideParts {
                number,
                events: Arc::clone(&events),
                reception: Arc::clone(&workers.reception),
                strays: strays.clone(),
                stray_inbox,
            };
            workers.threads.push(thread::start(queue, equipment, parts)?);
        }
        Ok(workers)
    }

    /// Takes a new tunnel connection on: it has 5 s to present an attach token.
    pub fn attach(&self, tunnel: AcceptedTunnel) {
        let worker = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        self.reception.tell(worker, Order::Admit(Box::new(tunnel)));
    }

    /// Interface index of the TUN device, for routes and rules.
    #[must_use]
    pub const fn device_index(&self) -> u32 {
        self.index
    }

    /// True if the kernel puts each packet on its owner's queue; otherwise workers pass packets on to each other.
    #[must_use]
    pub const fn is_steered(&self) -> bool {
        self.steered
    }

    /// What each worker moved and dropped so far.
    #[must_use]
    pub fn counters(&self) -> &[Arc<Counters<DropReason>>] {
        &self.counters
    }

    /// Stops all workers and waits for them; every tunnel closes, the device goes.
    pub fn stop(self) {
        drop(self);
    }
}

impl TunnelPlane for Workers {
    fn open(&self, grant: TunnelGrant) {
        let count = self.threads.len();
        let owner = owner::of_session(grant.addresses, count);
        let Some(gate) = self.reception.grants().open(&grant, owner) else {
            return tracing::warn!(session = %grant.session, "session is open already");
        };
        let TunnelGrant { session, addresses, .. } = grant;
        self.reception.tell(owner, Order::Open { session, addresses, gate });
        for address in addresses.iter() {
            let queue = owner::of(address, count);
            if queue != owner {
                tracing::warn!(%session, %address, "addresses of a session disagree about its worker");
                self.reception.tell(queue, Order::PassOn { address, owner });
            }
        }
    }

    fn expect(&self, session: SessionId, token: AttachToken) {
        self.reception.grants().expect(session, token, Instant::now());
    }

    fn cut(&self, session: SessionId, code: ErrorCode) -> Reply<()> {
        let (done, reply) = oneshot::channel();
        // From here on its packets stop, whatever its worker is doing.
        let owner = self.reception.grants().cut(session);
        match owner {
            Some(owner) => {
                tracing::debug!(%session, ?code, "tunnel cut");
                self.reception.tell(owner, Order::Cut { session, done });
            }
            None => {
                // Nobody waits any more, or the answer is at hand: nothing is left to cut.
                let _nobody_waits = done.send(());
            }
        }
        reply
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in 0..self.threads.len() {
            self.reception.tell(worker, Order::Stop);
        }
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so by an event.
            let _panicked = thread.join();
        }
    }
}
