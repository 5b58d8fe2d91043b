//! From an address to a TCP connection that may prove itself: knock, then connect; again if nothing answers.
//!
//! A knock is never answered, so a lost one shows only by silence. Every connection carries a proof of its own in its
//! ClientHello; the UDP packet before it opens the port where the kernel guards it (mode UDP-TCP). Whoever wants no
//! packet drops it unread.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use crate::secret::SystemRandom;
use crate::spa::{Destination, KnockRequest, KnockSecret, SpaKey};

/// Between the knock and the SYN: a SYN that overtakes the judgement is dropped, and TCP's own next one is a second off.
const HEAD_START: Duration = Duration::from_millis(15);
/// Without an answer, knock and connection are tried again after these times.
const PATIENCE: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// A port stayed silent after a knock by UDP. The cause of an error of kind `TimedOut`.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The knock did not get out: this machine refuses to send it, or the network sent an ICMP error.
    #[error("the knock by UDP is not let through: {0}")]
    PacketRefused(#[source] io::Error),
    /// Nobody says why. A knock that is lost, comes at a wrong time or with a key that is not known gets no answer.
    #[error("the port stays silent after a knock by UDP")]
    Silent,
}

impl Unanswered {
    /// The cause inside an error of [`Approach::connect`], if it is one of ours.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// How to connect to a port that wants knocks. Cheap to clone but for the secret.
#[derive(Clone)]
pub struct Approach {
    /// The key to knock with.
    pub key: KnockSecret,
    /// What should open.
    pub service: Service,
    /// Whether a UDP packet goes before the connection.
    pub packet: bool,
}

impl Approach {
    /// The first ALPN entry of the ClientHello to `target`.
    #[must_use]
    pub fn proof(&self, target: SocketAddr, now: UnixMillis) -> Vec<u8> {
        self.request(target, now).alpn_entry(&SpaKey::of(&self.key), &SystemRandom)
    }

    /// Connects to `target`, knocking first if the port wants it. `clock` gives wall-clock time; `dress` is called on
    /// every socket before it is used (marks, bindings). `TCP_NODELAY` is set.
    ///
    /// # Errors
    /// The last attempt's; `TimedOut` within some 5 s if nothing answers, with [`Unanswered`] for its cause after a knock by
    /// UDP.
    pub async fn connect(
        &self,
        target: SocketAddr,
        clock: impl Fn() -> UnixMillis,
        dress: impl Fn(&Socket) -> io::Result<()>,
    ) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for patience in PATIENCE {
            let mut knocked = None;
            if self.packet {
                let packet = self.request(target, clock()).packet(&SpaKey::of(&self.key), 1, &SystemRandom);
                // Whether it arrived shows when the connection is made or not.
                knocked = Some(send(target, &packet, &dress).await);
                sleep(HEAD_START).await;
            }
            match connect(target, patience, &dress).await {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    last = knocked.map_or(error, |knocked| io::Error::new(io::ErrorKind::TimedOut, why(knocked)));
                }
                done => return done,
            }
        }
        Err(last)
    }

    fn request(&self, target: SocketAddr, now: UnixMillis) -> KnockRequest {
        KnockRequest { service: self.service, destination: Destination::of(target), now }
    }
}

/// What became of a knock that was not answered. ICMP errors come to the socket that it was sent from.
fn why(knocked: io::Result<UdpSocket>) -> Unanswered {
    match knocked.and_then(|socket| socket.take_error()) {
        Ok(None) => Unanswered::Silent,
        Ok(Some(error)) | Err(error) => Unanswered::PacketRefused(error),
    }
}

/// Returns the socket, which hears of what became of the packet.
async fn send(target: SocketAddr, packet: &[u8], dress: impl Fn(&Socket) -> io::Result<()>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(target), Type::DGRAM, Some(Protocol::UDP))?;
    dress(&socket)?;
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket.into())?;
    socket.connect(target).await?;
    socket.send(packet).await?;
    Ok(socket)
}

async fn connect(
    target: SocketAddr,
    patience: Duration,
    dress: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    dress(&socket)?;
    socket.set_nonblocking(true)?;
    let connecting = TcpSocket::from_std_stream(socket.into()).connect(target);
    let stream = timeout(patience, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
