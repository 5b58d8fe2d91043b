//! One end of the test's tunnel: a network namespace with a TUN device and a UDP socket, and the worker that serves it.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc as channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use ringwall_tunnel::counters::Counters;
use ringwall_tunnel::frame::{FrameHeader, FrameKind};
use ringwall_tunnel::side::Stray;
use ringwall_tunnel::tun::{self, SyncDevice};
use ringwall_tunnel::worker::{self, Equipment};
use tokio::sync::mpsc;

use crate::side::{Decisions, DropReason, Event, OneLine, OnePeer, Order, TOKEN};
use crate::tls::{Party, RawEnd};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The port of every end's socket.
const PORT: u16 = 4_000;
/// Bytes that may wait for the peer.
const QUEUE: usize = 256 * 1024;

/// A worker with its device. Dropped, it stops.
pub(crate) struct End {
    /// A socket in the namespace, on the device's address.
    pub(crate) socket: UdpSocket,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) counters: Arc<Counters<DropReason>>,
    pub(crate) strays: mpsc::Sender<Stray>,
    address: Ipv4Addr,
    orders: mpsc::UnboundedSender<Order>,
    events: channel::Receiver<Event>,
    thread: Option<JoinHandle<()>>,
}

impl End {
    /// An end with the address 10.5.0.`own`, whose peer has 10.5.0.`peer`.
    pub(crate) fn start(own: u8, peer: u8) -> Self {
        let address = Ipv4Addr::new(10, 5, 0, own);
        let (device, socket) = in_namespace(address);
        let (orders, inbox) = mpsc::unbounded_channel();
        let (sender, events) = channel::channel();
        let (strays, stray_inbox) = mpsc::channel(1);
        let (counters, decisions) = (Arc::new(Counters::default()), Arc::new(Decisions::default()));
        let equipment = Equipment { counters: Arc::clone(&counters), peer_queue: QUEUE, orders: inbox };
        let (decides, told) = (Arc::clone(&decisions), sender.clone());
        let make_side = move || OneLine {
            peer: Rc::new(OnePeer::default()),
            address: Ipv4Addr::new(10, 5, 0, peer).into(),
            decisions: decides,
            events: told,
            strays: RefCell::new(stray_inbox),
        };
        let stopped = move |_error| {
            let _test_is_over = sender.send(Event::Stopped);
        };
        let thread = worker::start(format!("end-{own}"), device, equipment, make_side, stopped).expect("a thread");
        Self { socket, decisions, counters, strays, address, orders, events, thread: Some(thread) }
    }

    /// Two ends whose tunnel is attached: the first asks, the second answers.
    pub(crate) fn joined() -> (Self, Self) {
        let (asking, answering) = (Self::start(1, 2), Self::start(2, 1));
        asking.join(&answering);
        (asking, answering)
    }

    /// Attaches a tunnel to another end.
    pub(crate) fn join(&self, other: &Self) {
        let (stream, connection) = self.attach().into_parts();
        other.tell(Order::Answer(stream, Box::new(connection)));
        assert!(!other.carries(), "it has no other tunnel");
        self.until(Event::Attached);
    }

    /// Makes it attach as a Client does; returns the other end of the connection, behind the attach token.
    pub(crate) fn attach(&self) -> RawEnd {
        let (ours, theirs) = connected();
        let (client, server) = Party::new().shake_hands(&ours, &theirs);
        self.tell(Order::Attach(ours, Box::new(client.into())));
        assert!(!self.carries(), "it has no other tunnel");
        let mut raw = RawEnd::new(server, theirs);
        assert_eq!(raw.frame(), Some((FrameHeader::plain(FrameKind::Attach, 32), TOKEN.to_vec())));
        raw
    }

    /// Makes it carry a tunnel as a Gateway does; returns the other end of it, and whether it replaced another one.
    pub(crate) fn answer(&self) -> (RawEnd, bool) {
        let (ours, theirs) = connected();
        let (client, server) = Party::new().shake_hands(&ours, &theirs);
        self.tell(Order::Answer(theirs, Box::new(server.into())));
        let replaced = self.carries();
        let mut raw = RawEnd::new(client, ours);
        assert_eq!(raw.frame(), Some((FrameHeader::plain(FrameKind::Attach, 0), Vec::new())));
        (raw, replaced)
    }

    /// Waits until a tunnel is carried; true if it replaced another one.
    fn carries(&self) -> bool {
        match self.event() {
            Event::Carried { replaced } => replaced,
            other => panic!("{other:?} instead of a tunnel"),
        }
    }

    fn tell(&self, order: Order) {
        assert!(self.orders.send(order).is_ok(), "the worker runs");
    }

    /// Waits for an event; others may come before it.
    pub(crate) fn until(&self, wanted: Event) {
        while self.event() != wanted {}
    }

    /// Waits for the next event.
    fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).expect("an event")
    }

    /// The events that came and that nobody waited for.
    pub(crate) fn further_events(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Sends a datagram from this end's namespace to the other end.
    pub(crate) fn send(&self, payload: &[u8], to: &Self) {
        self.socket.send_to(payload, to.at()).expect("the route leads into the TUN");
    }

    /// The payload of the next datagram that reaches this end's namespace.
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut bytes = [0; 65_536];
        let (length, _) = self.socket.recv_from(&mut bytes).expect("a datagram");
        bytes[..length].to_vec()
    }

    /// Waits until so many packets were dropped for this reason.
    pub(crate) fn until_dropped(&self, reason: DropReason, count: u64) {
        eventually(reason.label(), || self.counters.dropped(reason) >= count);
        assert_eq!(self.counters.dropped(reason), count);
    }

    /// Where its socket is reached.
    pub(crate) fn at(&self) -> SocketAddr {
        (self.address, PORT).into()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _stopped = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Waits for a condition that comes true by the workers' work.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::yield_now();
    }
}

/// Two ends of a TCP connection over loopback.
fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is up");
    let ours = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (theirs, _) = listener.accept().expect("a connection");
    (ours, theirs)
}

/// A TUN device with this address, and a socket on it, in a namespace that lives as long as they do.
pub(crate) fn in_namespace(address: Ipv4Addr) -> (SyncDevice, UdpSocket) {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may make a namespace");
        let device = tun::open("rwtest0", 1_400, 1).expect("root may make a TUN device").remove(0);
        ip("link set lo up");
        ip(&format!("addr add {address}/24 dev rwtest0"));
        let socket = UdpSocket::bind((address, PORT)).expect("the address is up");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        (device, socket)
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments}");
}
