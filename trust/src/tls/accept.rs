//! Reading a ClientHello without saying a word. Junk, silence and too much are answered by a reset and nothing else:
//! not even the alert that TLS would send, for it would tell that TLS is spoken here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{Accepted, Acceptor};
use tokio::net::TcpStream;
use tokio::time::{error::Elapsed, timeout};
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use super::Alpn;

/// Time for a whole ClientHello.
pub(crate) const HELLO_TIME: Duration = Duration::from_secs(3);
/// Bytes of a ClientHello; one with post-quantum key share and a knock has 1.7 KiB.
pub(crate) const MAX_HELLO_BYTES: usize = 16 << 10;
/// Time for the rest of the handshake.
pub(crate) const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// ALPN entries that are looked at.
const MAX_ENTRIES: usize = 16;

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// Not a ClientHello.
    #[error("expected a TLS ClientHello")]
    Junk(#[source] rustls::Error),
    /// More bytes than a ClientHello needs.
    #[error("expected a ClientHello of at most {MAX_HELLO_BYTES} bytes")]
    TooLong,
    /// It did not come, or the handshake did not end, in time.
    #[error("handshake took too long")]
    TimedOut,
    /// The other end went away, or a verifier refused it ([`super::Refused::of`]).
    #[error("connection failed during the handshake")]
    Io(#[from] io::Error),
}

impl From<Elapsed> for HelloError {
    fn from(_: Elapsed) -> Self {
        Self::TimedOut
    }
}

/// A connection whose ClientHello was read and to which nothing was sent.
#[derive(Debug)]
pub struct Hello {
    accepted: Accepted,
    stream: TcpStream,
    entries: Vec<Vec<u8>>,
}

/// Reads the ClientHello. On any error the connection has been reset.
///
/// # Errors
/// [`HelloError`].
pub async fn read_hello(stream: TcpStream) -> Result<Hello, HelloError> {
    match timeout(HELLO_TIME, read(&stream)).await {
        Ok(Ok(accepted)) => {
            stream.set_nodelay(true)?;
            Ok(Hello { entries: entries_of(&accepted), accepted, stream })
        }
        Ok(Err(error)) => {
            reset(stream);
            Err(error)
        }
        Err(elapsed) => {
            reset(stream);
            Err(elapsed.into())
        }
    }
}

/// Closes a connection by RST instead of FIN, and throws away what was not sent.
pub fn reset(stream: TcpStream) {
    // Fails only on a socket that is gone already.
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

impl Hello {
    /// Where the connection comes from, and which address of this host it came to; `None` if it has gone already.
    #[must_use]
    pub(crate) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.stream.peer_addr().ok().zip(self.stream.local_addr().ok())
    }

    /// The ALPN entries as they came, at most 16; the first may be a knock.
    #[must_use]
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// The first of `served` that the other end offers.
    #[must_use]
    pub fn choose(&self, served: &[Alpn]) -> Option<Alpn> {
        chosen(&self.entries, served)
    }

    /// The host name that the other end asks for, if any.
    #[must_use]
    #[cfg(test)]
    pub(crate) fn server_name(&self) -> Option<String> {
        self.accepted.client_hello().server_name().map(str::to_owned)
    }

    /// The socket, for its addresses.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Resets the connection.
    pub fn refuse(self) {
        reset(self.stream);
    }

    /// Carries the handshake through; from here on errors are answered as TLS wants.
    ///
    /// # Errors
    /// [`HelloError::TimedOut`], [`HelloError::Io`].
    pub async fn handshake(self, config: Arc<ServerConfig>) -> Result<TlsStream<TcpStream>, HelloError> {
        let handshake = StartHandshake::from_parts(self.accepted, self.stream).into_stream(config);
        Ok(timeout(HANDSHAKE_TIME, handshake).await??)
    }
}

async fn read(stream: &TcpStream) -> Result<Accepted, HelloError> {
    let mut hello = HelloReader::default();
    loop {
        stream.readable().await?;
        if let Some(accepted) = hello.take(&mut Nonblocking(stream))? {
            return Ok(accepted);
        }
    }
}

/// A ClientHello of which a part has come. It waits for nothing and says nothing.
#[derive(Default)]
pub(crate) struct HelloReader {
    acceptor: Acceptor,
    /// Bytes so far.
    seen: usize,
}

impl HelloReader {
    /// Takes what the reader has now; the ClientHello once it is whole.
    ///
    /// # Errors
    /// [`HelloError`], not for a reader that would block.
    pub(crate) fn take(&mut self, from: &mut dyn io::Read) -> Result<Option<Accepted>, HelloError> {
        match self.acceptor.read_tls(from) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => self.seen += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        match self.acceptor.accept() {
            Ok(None) if self.seen > MAX_HELLO_BYTES => Err(HelloError::TooLong),
            Ok(accepted) => Ok(accepted),
            Err((error, _alert_that_is_not_sent)) => Err(HelloError::Junk(error)),
        }
    }
}

/// The ALPN entries of a ClientHello, at most `MAX_ENTRIES`.
pub(crate) fn entries_of(accepted: &Accepted) -> Vec<Vec<u8>> {
    let entries = accepted.client_hello().alpn();
    entries.map(|entries| entries.take(MAX_ENTRIES).map(<[u8]>::to_vec).collect()).unwrap_or_default()
}

/// The first of `served` among the entries.
pub(crate) fn chosen(entries: &[Vec<u8>], served: &[Alpn]) -> Option<Alpn> {
    served.iter().copied().find(|alpn| entries.iter().any(|entry| Alpn::parse(entry) == Some(*alpn)))
}

/// Reads what is there; rustls wants a blocking reader.
struct Nonblocking<'a>(&'a TcpStream);

impl io::Read for Nonblocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}
