//! A side with one peer, whose decisions the tests turn on and off.

use std::cell::RefCell;
use std::net::{IpAddr, TcpStream};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use ringwall_tunnel::link::{Link, LinkSlot};
use ringwall_tunnel::loss::LossReason;
use ringwall_tunnel::packet::{Layout, Refusal};
use ringwall_tunnel::side::{Peer, PeerSide, Stray, Unrouted};
use ringwall_tunnel::worker::Worker;
use rustls::Connection;
use tokio::sync::mpsc;

/// The attach token of all tests.
pub(crate) const TOKEN: [u8; 32] = [7; 32];

ringwall_tunnel::drop_reasons! {
    /// The parser refused it.
    Malformed => "malformed";
    /// The destination is not the peer's.
    NoRoute => "no route";
    /// The gate is closed.
    GateClosed => "gate closed";
    /// `may_enter` said no.
    MayNotEnter => "may not enter";
    /// `may_leave` said no.
    MayNotLeave => "may not leave";
    /// The peer has no tunnel.
    NoTunnel => "no tunnel";
    /// The peer is slow.
    QueueFull => "queue full";
    /// The kernel refused it.
    Device => "device";
}

impl From<Refusal> for DropReason {
    fn from(_: Refusal) -> Self {
        Self::Malformed
    }
}

/// What a worker is told to do.
pub(crate) enum Order {
    /// Attach as a Client does.
    Attach(TcpStream, Box<Connection>),
    /// Carry a tunnel as a Gateway does.
    Answer(TcpStream, Box<Connection>),
    /// End.
    Stop,
}

/// What a side saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Attached,
    Carried {
        replaced: bool,
    },
    /// A packet to an IPv4 address of nobody; what the kernel sends by itself on a new device is IPv6.
    Unrouted(IpAddr),
    Lost(LossReason),
    Stopped,
}

/// What a test decides for a side, while its worker runs.
#[derive(Debug)]
pub(crate) struct Decisions {
    /// How often the gate is still found open.
    pub(crate) gate: AtomicU32,
    pub(crate) may_enter: AtomicBool,
    pub(crate) may_leave: AtomicBool,
    /// The next packet to the TUN meets a defect.
    pub(crate) panics: AtomicBool,
}

/// A gate that stays open.
pub(crate) const OPEN: u32 = u32::MAX;

impl Default for Decisions {
    fn default() -> Self {
        Self {
            gate: AtomicU32::new(OPEN),
            may_enter: AtomicBool::new(true),
            may_leave: AtomicBool::new(true),
            panics: AtomicBool::new(false),
        }
    }
}

/// The one peer.
#[derive(Default)]
pub(crate) struct OnePeer(LinkSlot);

impl Peer for OnePeer {
    fn link(&self) -> &LinkSlot {
        &self.0
    }
}

/// The side.
pub(crate) struct OneLine {
    pub(crate) peer: Rc<OnePeer>,
    /// The peer's address.
    pub(crate) address: IpAddr,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) events: std::sync::mpsc::Sender<Event>,
    pub(crate) strays: RefCell<mpsc::Receiver<Stray>>,
}

impl OneLine {
    fn tell(&self, event: Event) {
        let _test_is_over = self.events.send(event);
    }
}

impl PeerSide for OneLine {
    type Peer = OnePeer;
    type Order = Order;
    type Reason = DropReason;

    fn peer_to(&self, destination: IpAddr, _likely: Option<&Rc<OnePeer>>) -> Option<Rc<OnePeer>> {
        (destination == self.address).then(|| Rc::clone(&self.peer))
    }

    fn unrouted(&self, packet: &Unrouted<'_>) -> Result<(), DropReason> {
        if packet.destination.is_ipv4() {
            self.tell(Event::Unrouted(packet.destination));
        }
        Err(DropReason::NoRoute)
    }

    fn gate(&self, _peer: &OnePeer) -> Result<(), DropReason> {
        match self.decisions.gate.load(Ordering::Acquire) {
            OPEN => Ok(()),
            0 => Err(DropReason::GateClosed),
            left => {
                self.decisions.gate.store(left - 1, Ordering::Release);
                Ok(())
            }
        }
    }

    fn may_enter(&self, _peer: &OnePeer, _layout: &Layout) -> Result<(), DropReason> {
        if self.decisions.may_enter.load(Ordering::Acquire) { Ok(()) } else { Err(DropReason::MayNotEnter) }
    }

    fn may_leave(&self, _peer: &OnePeer, _packet: &[u8], _layout: &Layout) -> Result<(), DropReason> {
        assert!(!self.decisions.panics.swap(false, Ordering::AcqRel), "a defect that a test asked for");
        if self.decisions.may_leave.load(Ordering::Acquire) { Ok(()) } else { Err(DropReason::MayNotLeave) }
    }

    fn poll_stray(&self, cx: &mut Context<'_>) -> Poll<Stray> {
        match self.strays.borrow_mut().poll_recv(cx) {
            Poll::Ready(Some(stray)) => Poll::Ready(stray),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn attached(&self, _peer: &OnePeer) {
        self.tell(Event::Attached);
    }

    fn lost(&self, _peer: &OnePeer, reason: LossReason) {
        self.tell(Event::Lost(reason));
    }

    fn obey(worker: &Rc<Worker<Self>>, order: Order) -> ControlFlow<()> {
        let link = match order {
            Order::Attach(stream, connection) => Link::attaching(stream, *connection, &TOKEN),
            Order::Answer(stream, connection) => Link::answering(stream, *connection),
            Order::Stop => return ControlFlow::Break(()),
        };
        let side = worker.side();
        let replaced = worker.carry(Rc::clone(&side.peer), link.expect("the socket is new"));
        side.tell(Event::Carried { replaced });
        ControlFlow::Continue(())
    }
}
