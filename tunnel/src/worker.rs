//! One worker: a thread with a runtime, a TUN queue, and the tunnels of its peers. Nobody else touches these.
//!
//! Orders come over a channel and are carried out between two batches of packets. Promises: a packet reaches the TUN or a
//! tunnel only as the worker's [`PeerSide`] allows; a slow peer's queue is bounded and holds up nobody else; no lock,
//! allocation or message is needed per packet.

mod batch;
mod from_tun;
mod start;
mod to_tun;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::counters::Counters;
use crate::frame::{HEADER_LEN, MAX_PACKET};
use crate::link::Link;
use crate::record_pump::{RecordPump, plaintext_room};
use crate::side::{Peer, PeerSide};
use crate::tun::Queue;

use self::batch::Batch;

pub use self::start::start;

/// What one read from a socket may take. More is slower: what was received, decrypted and gathered then no longer stays
/// in the core's cache together (15 % of the processor's time between 256 and 64 KiB).
const RAW: usize = 64 * 1024;

/// What a worker is given at its start.
pub struct Equipment<S: PeerSide> {
    /// What it counts, for anybody to read.
    pub counters: Arc<Counters<S::Reason>>,
    /// Bytes that may wait for one peer before its packets are dropped.
    pub peer_queue: usize,
    /// What it is told to do. It ends when all senders are gone.
    pub orders: mpsc::UnboundedReceiver<S::Order>,
}

/// What all tasks of a worker share.
pub struct Worker<S: PeerSide> {
    side: S,
    queue: Queue,
    counters: Arc<Counters<S::Reason>>,
    peer_queue: usize,
    scratch: RefCell<Scratch>,
    batch: RefCell<Batch<S::Peer>>,
    serial: Cell<u64>,
}

/// Buffers that all tunnels of a worker use in turn.
struct Scratch {
    raw: Box<[u8]>,
    plain: Box<[u8]>,
}

impl<S: PeerSide> Worker<S> {
    fn new(side: S, queue: Queue, counters: Arc<Counters<S::Reason>>, peer_queue: usize) -> Self {
        let scratch = Scratch {
            raw: vec![0; RAW].into_boxed_slice(),
            plain: vec![0; HEADER_LEN + MAX_PACKET + plaintext_room(RAW)].into_boxed_slice(),
        };
        Self {
            side,
            queue,
            counters,
            peer_queue,
            scratch: RefCell::new(scratch),
            batch: RefCell::default(),
            serial: Cell::new(0),
        }
    }

    /// The end that decides.
    pub const fn side(&self) -> &S {
        &self.side
    }

    /// The TUN queue.
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Carries the peer's packets through this tunnel from now on; true if it replaced another one, which is closed.
    pub fn carry(self: &Rc<Self>, peer: Rc<S::Peer>, mut link: Link) -> bool {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        link.serial = serial;
        let armed = link.arm();
        let slot = peer.link();
        let replaced = slot.0.borrow().is_some();
        slot.close();
        *slot.0.borrow_mut() = Some(link);
        tokio::task::spawn_local(to_tun::run(Rc::clone(self), peer, serial, armed));
        replaced
    }

    /// Receives from a connection that carries no peer's packets yet, with this worker's buffers. Reads at most `limit`
    /// bytes of ciphertext; `take` gets the plaintext, which may be empty. `None` at the end of the stream.
    ///
    /// # Errors
    /// As `RecordPump::poll_receive`.
    pub fn poll_receive<T>(
        &self,
        cx: &mut Context<'_>,
        pump: &mut RecordPump,
        limit: usize,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<Option<T>>> {
        let Scratch { raw, plain } = &mut *self.scratch.borrow_mut();
        let received = pump.poll_receive(cx, &mut raw[..limit.min(RAW)], plain);
        received.map_ok(|received| received.map(|bytes| take(&plain[..bytes])))
    }

    /// Works until told to stop.
    async fn run(self: Rc<Self>, mut orders: mpsc::UnboundedReceiver<S::Order>) -> io::Result<()> {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => {
                    let Some(order) = order else { return Ok(()) };
                    if S::obey(&self, order).is_break() {
                        return Ok(());
                    }
                }
                stray = std::future::poll_fn(|cx| self.side.poll_stray(cx)) => from_tun::stray(&self, &stray),
                ready = self.queue.readable() => {
                    ready?;
                    if !from_tun::drain(&self)? {
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }
}
