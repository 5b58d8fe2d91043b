//! The tunnel workers of one test, in a network namespace of its own that vanishes with the test's thread.

use std::future::Future;
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use ringwall_actors::ports::{AttachToken, SessionAddresses, TunnelGrant, TunnelPlane};
use ringwall_gateway::tunnel::{AcceptedTunnel, DropReason, TunnelConfig, TunnelEvent, Workers};
use ringwall_protocol::id::{SessionId, Thumbprint};
use ringwall_protocol::time::UnixMillis;
use ringwall_trust::spa::{SeatBounds, SeatPlan, Seats};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::raw_client::{Party, RawClient};

/// The key that all sessions of the tests have.
pub(crate) const KEY: Thumbprint = Thumbprint([1; 32]);
const PATIENCE: Duration = Duration::from_secs(10);
/// Seats of connections that are not attached yet.
const SEATS: SeatPlan = {
    let bounds = SeatBounds { each: 8, total: 64 };
    SeatPlan { unproved: bounds, known: bounds, knocked: bounds, identified: bounds }
};

/// Runs a test in a namespace of its own.
pub(crate) fn inside(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may make a namespace");
        ip("link set lo up");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Takes the right to load eBPF programs from this thread and those that it starts. TUN devices may still be made.
pub(crate) fn give_up_bpf() {
    let mut sets = capabilities(None).expect("a thread may read its own");
    let kept = CapabilitySet::all() - CapabilitySet::BPF - CapabilitySet::SYS_ADMIN;
    (sets.effective, sets.permitted, sets.inheritable) =
        (sets.effective & kept, sets.permitted & kept, CapabilitySet::empty());
    set_capabilities(None, sets).expect("rights may be given up");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments}");
}

/// The kernel puts a new IPv6 address into force by itself, a moment after it was added.
fn wait_until_local(address: &str) {
    let deadline = Instant::now() + PATIENCE;
    let shown = || Command::new("ip").args(["-6", "route", "show", "table", "local"]).output().expect("iproute2 runs");
    while !String::from_utf8_lossy(&shown().stdout).contains(address) {
        assert!(Instant::now() < deadline, "{address} comes into force");
    }
}

pub(crate) fn session(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

pub(crate) fn token(n: u8) -> AttachToken {
    AttachToken([n; 32])
}

/// Waits for an answer of the workers.
pub(crate) fn tokio_wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("an answer in time") })
}

/// Workers with a TUN device that has 10.77.0.1 and fd77::1.
pub(crate) struct Plant {
    pub(crate) workers: Workers,
    party: Party,
    events: Arc<Mutex<Vec<TunnelEvent>>>,
    seats: Arc<Seats>,
}

impl Plant {
    pub(crate) fn start(workers: usize) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let config = TunnelConfig {
            device: "rwtest0".into(),
            workers: NonZeroUsize::new(workers).expect("at least one"),
            ..TunnelConfig::default()
        };
        let told = move |event| sink.lock().expect("no test panics with it").push(event);
        let workers = Workers::start(&config, Arc::new(told)).expect("root may make a TUN device");
        ip("addr add 10.77.0.1/16 dev rwtest0");
        ip("addr add fd77::1/64 dev rwtest0 nodad");
        wait_until_local("fd77::1");
        Self { workers, party: Party::new(), events, seats: Seats::new(SEATS) }
    }

    pub(crate) fn open(&self, n: u8, address: [u8; 4]) {
        let addresses = SessionAddresses { v4: Some(address.into()), v6: None };
        self.workers.open(TunnelGrant { session: session(n), addresses, key: KEY });
    }

    pub(crate) fn open_both(&self, n: u8, v4: [u8; 4], v6: [u8; 16]) {
        let addresses = SessionAddresses { v4: Some(v4.into()), v6: Some(v6.into()) };
        self.workers.open(TunnelGrant { session: session(n), addresses, key: KEY });
    }

    /// A connection after mutual TLS, not yet attached.
    pub(crate) fn connect(&self, key: Thumbprint) -> RawClient {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is up");
        let outside = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (stream, peer) = listener.accept().expect("a connection");
        let (client, connection) = self.party.shake_hands(outside, &stream);
        let mut seat = self.seats.enter(peer.ip(), UnixMillis(1));
        seat.identified(key.0);
        self.workers.attach(AcceptedTunnel { stream, connection, peer, key, seat });
        client
    }

    /// A session with its tunnel.
    pub(crate) fn attached(&self, n: u8, address: [u8; 4]) -> RawClient {
        self.open(n, address);
        self.workers.expect(session(n), token(n));
        let mut client = self.connect(KEY);
        client.attach(token(n)).expect("the token is fresh");
        client
    }

    /// Packets that the kernel took from sessions.
    pub(crate) fn up(&self) -> u64 {
        self.workers.counters().iter().map(|counters| counters.traffic().to_tun().0).sum()
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.workers.counters().iter().map(|counters| counters.dropped(reason)).sum()
    }

    pub(crate) fn events(&self) -> Vec<TunnelEvent> {
        self.events.lock().expect("no test panics with it").clone()
    }

    /// Waits for a condition that comes true by other threads' work.
    pub(crate) fn until(&self, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "the condition came never true; events {:?}", self.events());
            std::thread::yield_now();
        }
    }
}
