//! From an address to an encrypted connection: knock, connect, TLS.
//!
//! Every socket of the Client carries [`SOCKET_MARK`], by which the routing rule lets it pass beside the tunnel
//!: an exception for a socket, not for an address, so that nothing else can use it. Server names
//! are not sent; who answers is judged by its certificate alone.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::spa::Service;
use ringwall_trust::spa::{Approach, KnockSecret, Unanswered};
use ringwall_trust::tls::{Alpn, Refused};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock;

/// Mark of the Client's own sockets (`SO_MARK`).
pub(crate) const SOCKET_MARK: u32 = 0x5257;
/// One attempt to connect.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// TLS may take this long.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Looking a name up may take this long.
const RESOLVE_TIME: Duration = Duration::from_secs(3);
/// Most addresses of one name, and most that are tried in one round.
pub(crate) const MAX_ADDRESSES: usize = 32;

/// How to authenticate to the listener before TLS (single packet authorization).
#[derive(Clone)]
pub(crate) struct Knock {
    /// The key.
    pub(crate) key: KnockSecret,
    /// What it is for.
    pub(crate) service: Service,
    /// Whether a UDP packet has to open the port first.
    pub(crate) mode: SpaMode,
}

/// What to dial with.
#[derive(Clone)]
pub(crate) struct Line {
    /// Who may be at the other end, and who is at this one.
    pub(crate) config: Arc<ClientConfig>,
    /// What will be spoken.
    pub(crate) alpn: Alpn,
    /// Absent, or of mode `Open`: nobody wants one.
    pub(crate) knock: Option<Knock>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// Nothing answers.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Who answers is not who should.
    #[error(transparent)]
    Refused(Refused),
    /// TLS failed otherwise.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The other side speaks something else.
    #[error("the server does not speak {0}")]
    Protocol(Alpn),
}

impl DialError {
    /// Why nothing answered a knock by UDP, if that is what happened.
    #[must_use]
    pub(crate) fn unanswered(&self) -> Option<&Unanswered> {
        match self {
            Self::Connect(error) => Unanswered::of(error),
            Self::Refused(_) | Self::Tls(_) | Self::Protocol(_) => None,
        }
    }

    /// Whether something that is not of the Collective answered, as networks do that want a sign-in first (captive portals).
    #[must_use]
    pub(crate) const fn is_by_another_server(&self) -> bool {
        match self {
            Self::Refused(Refused::Leaf(_) | Refused::Root | Refused::Collective) | Self::Protocol(_) => true,
            Self::Refused(refused @ Refused::Chain(_)) => !refused.is_about_time(),
            Self::Refused(_) | Self::Connect(_) | Self::Tls(_) => false,
        }
    }
}

impl Line {
    /// Dials this address.
    ///
    /// # Errors
    /// [`DialError`]; within some 8 s at most.
    pub(crate) async fn dial(&self, address: SocketAddr) -> Result<TlsStream<TcpStream>, DialError> {
        let stream = self.reach(address).await.map_err(DialError::Connect)?;
        let mut protocols = vec![self.alpn.entry()];
        if let Some(knock) = self.knock.as_ref().filter(|knock| knock.mode != SpaMode::Open) {
            protocols.insert(0, knock.approach().proof(address, clock::now()));
        }
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connector = connector.with_alpn(protocols);
        let name = ServerName::IpAddress(address.ip().into());
        let handshake = timeout(HANDSHAKE_TIME, connector.connect(name, stream)).await;
        let secure = handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
            match Refused::of(&error) {
                Some(refused) => DialError::Refused(refused.clone()),
                None => DialError::Tls(error),
            }
        })?;
        if secure.get_ref().1.alpn_protocol() != Some(self.alpn.name().as_bytes()) {
            return Err(DialError::Protocol(self.alpn));
        }
        Ok(secure)
    }

    async fn reach(&self, address: SocketAddr) -> io::Result<TcpStream> {
        match self.knock.as_ref().filter(|knock| knock.mode == SpaMode::UdpTcp) {
            Some(knock) => knock.approach().connect(address, clock::now, mark).await,
            None => connect(address, CONNECT_TIME).await,
        }
    }
}

impl Knock {
    fn approach(&self) -> Approach {
        Approach { key: self.key.clone(), service: self.service, packet: self.mode == SpaMode::UdpTcp }
    }
}

/// The addresses behind `host:port`.
pub(crate) async fn resolve(authority: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = authority.parse() {
        return Ok(vec![address]);
    }
    let found = timeout(RESOLVE_TIME, tokio::net::lookup_host(authority)).await;
    let mut found: Vec<SocketAddr> =
        found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?.take(MAX_ADDRESSES).collect();
    found.dedup();
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

async fn connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    mark(&socket)?;
    socket.set_nonblocking(true)?;
    let socket = TcpSocket::from_std_stream(socket.into());
    let stream =
        timeout(patience, socket.connect(address)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Lets a socket pass beside the tunnel.
///
/// # Errors
/// What the kernel says; a missing privilege is none.
pub(crate) fn mark(socket: &Socket) -> io::Result<()> {
    match socket.set_mark(SOCKET_MARK) {
        // Without the privilege there is no tunnel of ours to be kept out of either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}
