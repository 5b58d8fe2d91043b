//! A connection that passed the gate, and what was proved of it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ringwall_trust::identity::Leaf;
use ringwall_trust::spa::{ConnectionPermit, KeyOwner};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What the gate proved of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// What was agreed on.
    pub(crate) channel: Channel,
    /// Whose key knocked; `None` while knocks are not wanted.
    pub(crate) knock: Option<KeyOwner>,
}

/// What a connection to an API is for.
#[derive(Debug, Clone)]
pub(crate) enum Channel {
    /// Client API before a certificate (`ringwall/sign-in/1`).
    SignIn {
        /// What both ends, and nobody else, know of this connection (RFC 8446 §7.5).
        exporter: [u8; 32],
    },
    /// Client API with a certificate (`ringwall/client/1`).
    Client(Arc<Leaf>),
    /// Admin API.
    Admin,
}

/// A connection that passed the gate.
#[derive(Debug)]
pub(crate) struct Secured {
    stream: TlsStream<TcpStream>,
    connection: Connection,
    _permit: ConnectionPermit,
}

impl Secured {
    /// What was proved of it.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A stream and what was proved of it.
    #[must_use]
    pub(crate) const fn new(stream: TlsStream<TcpStream>, connection: Connection, permit: ConnectionPermit) -> Self {
        Self { stream, connection, _permit: permit }
    }
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
