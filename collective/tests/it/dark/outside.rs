//! A namespace for the Controller under test and another one beside it, joined by a cable: what comes over the loopback
//! needs no knock, so strangers must stand outside.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

/// Where the Controllers are.
pub(crate) const INSIDE: [u8; 4] = [10, 55, 0, 1];
/// The same place by IPv6.
pub(crate) const INSIDE6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x55, 0, 0, 0, 0, 0, 1);
/// Whence strangers and Clients come.
const OUTSIDE: [&str; 2] = ["10.55.0.100/24", "fd00:55::100/64 nodad"];
/// A SYN that a pinhole lets in is answered far sooner; TCP's own next one comes after a second.
const PATIENCE: Duration = Duration::from_millis(150);
/// A knock that is judged while a SYN is under way opens for the next one.
const TRIES: usize = 4;

type Order = Box<dyn FnOnce() + Send>;

/// The other namespace; a thread in it does what it is told.
pub(crate) struct Outside(mpsc::Sender<Order>);

/// Runs an asynchronous test in a network namespace of its own, with somebody outside. Threads that the test starts are
/// born into the namespace.
pub(crate) fn in_the_dark(test: impl AsyncFnOnce(Outside)) {
    unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
    let outside = Outside::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test(outside));
}

impl Outside {
    fn start() -> Self {
        let (work, orders) = mpsc::channel::<Order>();
        let (ready, inside) = mpsc::channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
            ready.send(nix::unistd::gettid().to_string()).expect("the test waits");
            for order in orders {
                order();
            }
        });
        let thread = inside.recv().expect("a thread outside");
        let [a, b, c, d] = INSIDE;
        ip("link set lo up");
        ip("link add cable type veth peer name far");
        ip(&format!("link set far netns {thread}"));
        ip(&format!("addr add {a}.{b}.{c}.{d}/24 dev cable"));
        ip(&format!("addr add {INSIDE6}/64 dev cable nodad"));
        ip("link set cable up");
        let outside = Self(work);
        outside.run(|| {
            ip("link set lo up");
            for address in OUTSIDE {
                ip(&format!("addr add {address} dev far"));
            }
            ip("link set far up");
        });
        outside
    }

    /// Does something out there and answers what came of it.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (reply, answer) = mpsc::channel();
        let order = move || drop(reply.send(work()));
        self.0.send(Box::new(order)).expect("the thread outside lives");
        answer.recv().expect("the thread outside answers")
    }

    /// Whether a connection can be made; if not, there must be silence, not a refusal.
    pub(crate) fn opens(&self, at: SocketAddr) -> bool {
        self.run(move || {
            (0..TRIES).any(|_| match TcpStream::connect_timeout(&at, PATIENCE) {
                Ok(_) => true,
                // It was open, and closed at once by a process that does not serve yet.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => true,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{at} answers: {error}");
                    false
                }
            })
        })
    }

    /// Sends a datagram to the UDP port of the same number.
    pub(crate) fn send(&self, packet: &[u8], at: SocketAddr) {
        let packet = packet.to_vec();
        self.run(move || {
            any_datagram_socket(at.ip()).send_to(&packet, at).expect("sent");
        });
    }

    /// Ports of `ip` that answer anything at all, a refusal included: TCP and UDP.
    pub(crate) fn answering(&self, ip: IpAddr, ports: Vec<u16>) -> Vec<String> {
        self.run(move || {
            let mut found = vec![];
            for some in ports.chunks(256) {
                found.extend(answering_tcp(ip, some));
                found.extend(answering_udp(ip, some));
            }
            found
        })
    }
}

fn any_datagram_socket(towards: IpAddr) -> UdpSocket {
    let own: IpAddr = if towards.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((own, 0)).expect("a socket")
}

fn answering_tcp(ip: IpAddr, ports: &[u16]) -> Vec<String> {
    let begun: Vec<_> = ports
        .iter()
        .map(|port| {
            let domain = socket2::Domain::for_address(SocketAddr::new(ip, *port));
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket");
            // In progress: the answer shows later.
            let _ = socket.connect(&SocketAddr::new(ip, *port).into());
            (*port, socket)
        })
        .collect();
    std::thread::sleep(PATIENCE); // for an answer that must not come there is no condition to wait for
    let answered = |(port, socket): &(u16, socket2::Socket)| {
        let refused = socket.take_error().expect("a socket").map(|error| format!("tcp {port}: {error}"));
        refused.or_else(|| socket.peer_addr().ok().map(|_| format!("tcp {port}: open")))
    };
    begun.iter().filter_map(answered).collect()
}

fn answering_udp(ip: IpAddr, ports: &[u16]) -> Vec<String> {
    let sent: Vec<_> = ports
        .iter()
        .map(|port| {
            let socket = any_datagram_socket(ip);
            socket.connect(SocketAddr::new(ip, *port)).expect("a socket");
            socket.set_nonblocking(true).expect("a socket");
            let _ = socket.send(&[0xFF; 128]);
            (*port, socket)
        })
        .collect();
    std::thread::sleep(PATIENCE);
    let answered = |(port, socket): &(u16, UdpSocket)| match socket.recv(&mut [0; 16]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        other => Some(format!("udp {port}: {other:?}")),
    };
    sent.iter().filter_map(answered).collect()
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
