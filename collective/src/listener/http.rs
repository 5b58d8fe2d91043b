//! actix-web behind our own gate: actix-server accepts and owns the workers, the gate proves the peer, then HTTP.
//!
//! A handler learns from [`Connection`] who is at the other end. A panic in a handler ends that connection only.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Extensions};
use actix_web::{App, web};
use ringwall_trust::identity::Leaf;
use ringwall_trust::spa::{KeyOwner, SourcePermit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::limits::{KEEP_ALIVE, REQUEST_HEAD_TIMEOUT};

/// What the gate proved of a connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// What was agreed on.
    pub channel: Channel,
    /// Whose key knocked; `None` while knocks are not wanted.
    pub knock: Option<KeyOwner>,
}

/// What a connection to an API is for.
#[derive(Debug, Clone)]
pub enum Channel {
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
pub struct Secured {
    stream: TlsStream<TcpStream>,
    connection: Connection,
    _permit: SourcePermit,
}

impl Secured {
    /// A stream and what was proved of it.
    #[must_use]
    pub const fn new(stream: TlsStream<TcpStream>, connection: Connection, permit: SourcePermit) -> Self {
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

/// Serves routes on a listener behind `gate`, which turns a TCP connection into a proved one or drops it silently.
/// The returned server must be awaited inside an actix system.
///
/// # Errors
/// If the listener cannot be registered.
pub fn serve<G, F>(
    name: &'static str,
    listener: TcpListener,
    workers: usize,
    gate: G,
    routes: fn(&mut web::ServiceConfig),
    data: web::Data<crate::controller::Controller>,
) -> io::Result<actix_server::Server>
where
    G: Fn(TcpStream) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<Secured>> + 'static,
{
    let server = actix_server::Server::build().workers(workers).disable_signals().shutdown_timeout(3).listen(
        name,
        listener,
        move || {
            let data = data.clone();
            let app = App::new().app_data(data).configure(routes);
            let app =
                IntoServiceFactory::<_, actix_http::Request>::into_factory(app).map_err(|error| error.error_response());
            let http = HttpService::<Secured, _, _>::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(REQUEST_HEAD_TIMEOUT)
                .on_connect_ext(remember)
                .finish(map_config(app, |()| AppConfig::default()));
            let gate = gate.clone();
            fn_service(move |stream: TcpStream| {
                let proving = gate(stream);
                async move {
                    let secured = proving.await?;
                    let peer = secured.connection.peer;
                    Ok::<_, io::Error>((secured, Protocol::Http1, Some(peer)))
                }
            })
            .map_err(|_: io::Error| ())
            .and_then(http.map_err(|_| ()))
        },
    )?;
    Ok(server.run())
}

fn remember(secured: &Secured, extensions: &mut Extensions) {
    extensions.insert(secured.connection.clone());
}
