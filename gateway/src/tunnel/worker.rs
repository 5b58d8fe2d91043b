//! One worker: a thread with a runtime, a TUN queue, and the sessions that it owns. Nobody else touches these.
//!
//! Orders come over a channel and are obeyed between two batches of packets; a cut does not wait for that, because
//! every packet looks at its session's gate.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::id::SessionId;
use ringwall_tunnel::frame::{FrameHeader, FrameKind, HEADER_LEN, MAX_PACKET};
use ringwall_tunnel::packet::VirtioHeader;
use ringwall_tunnel::record_pump::{RecordPump, plaintext_room};
use ringwall_tunnel::tun::Queue;
use tokio::sync::{mpsc, oneshot};

use super::admission::{self, Reception};
use super::counters::Counters;
use super::event::{TunnelEvent, TunnelEvents};
use super::grants::Gate;
use super::session::{Session, Tunnel};
use super::{AcceptedTunnel, downward, owner, upward};

/// What one read from a socket may take. More is slower: what was received, decrypted and gathered then no longer stays
/// in the core's cache together (15 % of the processor's time between 256 and 64 KiB).
const RAW: usize = 64 * 1024;
/// Packets that may wait for another worker's attention.
pub(super) const STRAYS: usize = 256;
/// How often counters go to the metrics.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// What a worker is told to do.
pub(super) enum Order {
    /// Own a session.
    Open { session: SessionId, addresses: SessionAddresses, gate: Arc<Gate> },
    /// Pass packets to this address, which come on our queue, on to their owner.
    PassOn { address: IpAddr, owner: usize },
    /// Find out which session a new connection belongs to.
    Admit(Box<AcceptedTunnel>, admission::Seat),
    /// Carry a session's tunnel from now on.
    Attach(Box<Attachment>),
    /// Forget a session and close its tunnel.
    Cut { session: SessionId, done: oneshot::Sender<()> },
    /// End.
    Stop,
}

/// A connection that proved which session it belongs to.
pub(super) struct Attachment {
    pub(super) session: SessionId,
    pub(super) stream: std::net::TcpStream,
    pub(super) connection: rustls::Connection,
    pub(super) peer: SocketAddr,
}

/// A packet that came on another worker's queue.
pub(super) struct Stray {
    pub(super) header: VirtioHeader,
    pub(super) packet: Box<[u8]>,
}

/// The channels into one worker.
pub(super) struct Inbox {
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) strays: mpsc::Receiver<Stray>,
}

/// Buffers that all tunnels of a worker use in turn.
pub(super) struct Scratch {
    pub(super) raw: Box<[u8]>,
    pub(super) plain: Box<[u8]>,
}

/// What a worker is given at its start.
pub(super) struct Equipment {
    pub(super) number: usize,
    pub(super) events: Arc<dyn TunnelEvents>,
    pub(super) counters: Arc<Counters>,
    /// Bytes that may wait for one session.
    pub(super) session_queue: usize,
    /// To every worker, this one included.
    pub(super) strays: Vec<mpsc::Sender<Stray>>,
    pub(super) reception: Arc<Reception>,
}

/// What all tasks of a worker share.
pub(super) struct Worker {
    pub(super) has: Equipment,
    pub(super) queue: Queue,
    pub(super) scratch: RefCell<Scratch>,
    pub(super) batch: RefCell<downward::Batch>,
    sessions: RefCell<HashMap<SessionId, Rc<Session>>>,
    routes: RefCell<HashMap<IpAddr, Route>>,
    serial: Cell<u64>,
}

enum Route {
    Here(Rc<Session>),
    There(usize),
}

impl Worker {
    pub(super) fn new(queue: Queue, has: Equipment) -> Self {
        let scratch = Scratch {
            raw: vec![0; RAW].into_boxed_slice(),
            plain: vec![0; HEADER_LEN + MAX_PACKET + plaintext_room(RAW)].into_boxed_slice(),
        };
        Self {
            has,
            queue,
            scratch: RefCell::new(scratch),
            batch: RefCell::default(),
            sessions: RefCell::default(),
            routes: RefCell::default(),
            serial: Cell::new(0),
        }
    }

    /// Works until told to stop.
    ///
    /// # Errors
    /// If the TUN device is gone.
    pub(super) async fn run(self: Rc<Self>, mut inbox: Inbox) -> io::Result<()> {
        tokio::task::spawn_local(publish(Rc::clone(&self)));
        loop {
            tokio::select! {
                biased;
                order = inbox.orders.recv() => match order {
                    Some(Order::Stop) | None => return Ok(()),
                    Some(order) => self.obey(order),
                },
                Some(stray) = inbox.strays.recv() => downward::stray(&self, &stray),
                ready = self.queue.readable() => {
                    ready?;
                    if !downward::drain(&self)? {
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    /// The session to which `destination` belongs; `likely` is asked first, because packets come in bursts.
    pub(super) fn session_of(&self, likely: Option<&Rc<Session>>, destination: IpAddr) -> Option<Rc<Session>> {
        if let Some(session) = likely.filter(|session| session.addresses.contains(destination)) {
            return Some(Rc::clone(session));
        }
        match self.routes.borrow().get(&destination) {
            Some(Route::Here(session)) => Some(Rc::clone(session)),
            _ => None,
        }
    }

    /// Which other worker takes packets to this address. With `told_only`, only if there was an order to pass them
    /// on: a packet that was passed on by the rule once must not come back by the same rule.
    pub(super) fn owner_of(&self, destination: IpAddr, told_only: bool) -> Option<usize> {
        match self.routes.borrow().get(&destination) {
            Some(Route::There(owner)) => Some(*owner),
            Some(Route::Here(_)) => None,
            None => Some(owner::of(destination, self.has.strays.len()))
                .filter(|owner| !told_only && *owner != self.has.number),
        }
    }

    fn obey(self: &Rc<Self>, order: Order) {
        match order {
            Order::Open { session, addresses, gate } => self.open(session, addresses, gate),
            Order::PassOn { address, owner } => {
                self.routes.borrow_mut().insert(address, Route::There(owner));
            }
            Order::Admit(accepted, seat) => {
                tokio::task::spawn_local(admission::receive(Rc::clone(self), *accepted, seat));
            }
            Order::Attach(attachment) => self.attach(*attachment),
            Order::Cut { session, done } => {
                self.cut(session);
                // Whoever asked may have gone; the session is cut all the same.
                let _nobody_waits = done.send(());
            }
            Order::Stop => {}
        }
    }

    fn open(&self, id: SessionId, addresses: SessionAddresses, gate: Arc<Gate>) {
        let session = Rc::new(Session::new(id, addresses, gate));
        for address in addresses.iter() {
            self.routes.borrow_mut().insert(address, Route::Here(Rc::clone(&session)));
        }
        self.sessions.borrow_mut().insert(id, session);
    }

    fn attach(self: &Rc<Self>, attachment: Attachment) {
        let Attachment { session, stream, connection, peer } = attachment;
        let Some(session) = self.sessions.borrow().get(&session).filter(|found| found.gate.is_open()).cloned() else {
            return;
        };
        let mut pump = match RecordPump::new(stream, connection) {
            Ok(pump) => pump,
            Err(error) => return tracing::warn!(%error, session = %session.id, "tunnel socket cannot be taken over"),
        };
        let welcome = pump.seal(&FrameHeader::plain(FrameKind::Attach, 0).encode());
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        let mut tunnel = Tunnel::new(pump, serial);
        match welcome {
            Ok(()) => tunnel.flush(),
            Err(error) => tunnel.broken = Some(error.kind()),
        }
        let replaced = session.tunnel.borrow().is_some();
        session.close_tunnel();
        *session.tunnel.borrow_mut() = Some(tunnel);
        let id = session.id;
        tokio::task::spawn_local(upward::run(Rc::clone(self), session, serial));
        self.has.events.tunnel_event(TunnelEvent::Attached { session: id, peer, replaced });
    }

    fn cut(&self, id: SessionId) {
        let Some(session) = self.sessions.borrow_mut().remove(&id) else { return };
        self.routes.borrow_mut().retain(|_, route| !matches!(route, Route::Here(held) if Rc::ptr_eq(held, &session)));
        session.close_tunnel();
    }
}

async fn publish(worker: Rc<Worker>) {
    let mut tick = tokio::time::interval(PUBLISH_EVERY);
    loop {
        tick.tick().await;
        worker.has.counters.publish(worker.has.number);
    }
}
