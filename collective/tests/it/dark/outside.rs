//! A namespace for the Controller under test and another one beside it, joined by a cable: what comes over the loopback
//! needs no knock, so strangers must stand outside.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
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
/// A raw socket whose sender writes the IP header (`IPPROTO_RAW`).
const IPPROTO_RAW: i32 = 255;
/// A knock that is judged while a SYN is under way opens for the next one.
const TRIES: usize = 4;

type Order = Box<dyn FnOnce() + Send>;

/// The other namespace; a thread in it does what it is told.
pub(crate) struct Outside {
    orders: mpsc::Sender<Order>,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

/// What comes of a connection to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// No connection.
    Nothing,
    /// A connection, and then nothing for longer than a server waits.
    OpenAndSilent,
    /// A connection, and bytes.
    Bytes,
    /// A connection, and its end.
    End,
}

/// SYNs with the Client's address, as fast as one thread sends them, until they are stopped.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Flood {
    /// Stops it; how many were sent.
    pub(crate) fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the flood goes on")
    }
}

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
        let outside = Self { orders: work, held: Arc::default() };
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
        self.orders.send(Box::new(order)).expect("the thread outside lives");
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

    /// Whether the other end says anything to these bytes.
    pub(crate) fn is_answered(&self, at: SocketAddr, bytes: Vec<u8>) -> bool {
        self.run(move || {
            let Ok(mut stream) = TcpStream::connect_timeout(&at, 4 * PATIENCE) else { return false };
            stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket");
            stream.write_all(&bytes).is_ok() && stream.read(&mut [0]).is_ok_and(|count| count > 0)
        })
    }

    /// What comes of a connection with these bytes within 4 s: a server waits 3 s for a ClientHello.
    pub(crate) fn hears(&self, at: SocketAddr, bytes: Vec<u8>) -> Heard {
        self.run(move || {
            let Ok(mut stream) = TcpStream::connect_timeout(&at, 4 * PATIENCE) else { return Heard::Nothing };
            let wait = if bytes.is_empty() { Duration::from_secs(4) } else { 2 * PATIENCE };
            stream.set_read_timeout(Some(wait)).expect("a socket");
            if stream.write_all(&bytes).is_err() {
                return Heard::End;
            }
            match stream.read(&mut [0]) {
                Ok(0) => Heard::End,
                Ok(_) => Heard::Bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::OpenAndSilent,
                Err(_) => Heard::End,
            }
        })
    }

    /// Makes connections and says nothing on them until they are released; how many were made.
    pub(crate) fn hold(&self, at: SocketAddr, count: usize) -> usize {
        let held = Arc::clone(&self.held);
        self.run(move || {
            let made: Vec<_> = (0..count).filter_map(|_| TcpStream::connect_timeout(&at, PATIENCE).ok()).collect();
            let count = made.len();
            held.lock().expect("no panic").extend(made);
            count
        })
    }

    /// Closes what is held.
    pub(crate) fn release(&self) {
        self.held.lock().expect("no panic").clear();
    }

    /// Begins a flood of SYNs to an IPv4 port, from the address that Clients out there have and every port.
    pub(crate) fn flood(&self, at: SocketAddr) -> Flood {
        let SocketAddr::V4(at) = at else { panic!("the flood speaks IPv4") };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = self.run(move || {
            // Threads that this one starts are born into its namespace.
            let socket = socket2::Socket::new(
                socket2::Domain::IPV4,
                socket2::Type::RAW,
                Some(socket2::Protocol::from(IPPROTO_RAW)),
            );
            let socket = socket.expect("these tests need root");
            std::thread::spawn(move || {
                let mut sent = 0;
                while !stopped.load(Ordering::Relaxed) {
                    for _ in 0..40 {
                        let packet = syn([10, 55, 0, 100], (1_024 + sent % 60_000) as u16, at);
                        // A full queue of the device loses some.
                        sent += usize::from(socket.send_to(&packet, &SocketAddr::V4(at).into()).is_ok());
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                sent
            })
        });
        Flood { stop, thread }
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

/// A SYN with checksums.
fn syn(from: [u8; 4], port: u16, to: SocketAddrV4) -> Vec<u8> {
    let destination = to.ip().octets();
    let mut tcp = vec![];
    tcp.extend(port.to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(0x1234_5678_u32.wrapping_mul(u32::from(port)).to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend([0x50, 0x02, 0xFF, 0xFF, 0, 0, 0, 0]);
    let pseudo = [&from[..], &destination[..], &[0, 6, 0, 20]].concat();
    let sum = checksum(&[pseudo, tcp.clone()].concat());
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    // The kernel fills in length, id and checksum of the IP header.
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    packet.extend(from);
    packet.extend(destination);
    packet.extend(tcp);
    packet
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
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
