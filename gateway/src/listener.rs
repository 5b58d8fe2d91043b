//! The port where Clients come: each thread has a socket of its own on it (`SO_REUSEPORT`). Nothing is answered before the
//! gate has let a connection in; what is under way is bounded for the process and for each source.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_trust::identity::{Leaf, LeafIdentity};
use ringwall_trust::spa::{SourceLimiter, SourcePermit};
use ringwall_trust::tls::{Alpn, Gate, peer_leaf};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::handshake::TokenAuthenticator;
use crate::knocks::KnockHandler;
use crate::session_socket;
use crate::tunnel::{AcceptedTunnel, Workers};

/// Connections that the kernel holds for one thread.
const BACKLOG: i32 = 4_096;
/// After an error of the socket itself (no file descriptors left) it is left alone for this long.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections before the end of their handshake, in the whole process.
const MAX_HANDSHAKES: usize = 2_000;
/// The same for one source.
const MAX_HANDSHAKES_PER_SOURCE: usize = 32;

/// What every listener thread needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reception {
    /// Lets connections in.
    pub(crate) gate: Arc<Gate>,
    /// TLS, with verifiers that follow the members.
    pub(crate) tls: Arc<ServerConfig>,
    /// Opens the port by knocks; absent where every source may come to it.
    pub(crate) knock_handler: Option<Arc<KnockHandler>>,
    /// For websockets.
    pub(crate) door: TokenAuthenticator,
    /// For tunnels.
    pub(crate) workers: Arc<Workers>,
    /// Connections before the end of their handshake.
    pub(crate) handshakes: Arc<SourceLimiter>,
}

/// Bounds the connections before the end of their handshake, for the process and for each source.
#[must_use]
pub(crate) fn handshake_limiter() -> Arc<SourceLimiter> {
    SourceLimiter::with_total(MAX_HANDSHAKES_PER_SOURCE, MAX_HANDSHAKES)
}

/// A socket on the port, beside those of the other threads.
///
/// # Errors
/// If the address is not to be had.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts for ever. To be run in an arbiter: connections are served by its thread.
pub(crate) async fn accept(listener: std::net::TcpListener, reception: Reception) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot register listener with the runtime"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(knock_handler) = &reception.knock_handler {
                    knock_handler.came(peer.ip());
                }
                match reception.handshakes.enter(peer.ip()) {
                    Some(permit) => {
                        let reception = reception.clone();
                        actix_rt::spawn(async move { receive(stream, peer, permit, reception).await });
                    }
                    None => {
                        metrics::counter!("ringwall_connections_refused_total", "why" => "crowd").increment(1);
                        ringwall_trust::tls::reset(stream);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn receive(stream: TcpStream, peer: SocketAddr, permit: SourcePermit, reception: Reception) {
    let admitted = match reception.gate.admit(stream).await {
        Ok(admitted) => admitted,
        Err(error) => {
            metrics::counter!("ringwall_connections_refused_total", "why" => "gate").increment(1);
            return tracing::debug!(%peer, %error, "connection reset");
        }
    };
    let protocol = admitted.protocol;
    let stream = match admitted.hello.handshake(Arc::clone(&reception.tls)).await {
        Ok(stream) => stream,
        Err(error) => {
            metrics::counter!("ringwall_connections_refused_total", "why" => "handshake").increment(1);
            return tracing::info!(%peer, %error, "handshake failed");
        }
    };
    drop(permit);
    let leaf = match peer_leaf(stream.get_ref().1) {
        Ok(Some(leaf)) if matches!(leaf.identity, LeafIdentity::Session { .. }) => leaf,
        _ => return tracing::warn!(%peer, "no session certificate after the TLS handshake; closing connection"),
    };
    match protocol {
        Alpn::Http => session_socket::serve(stream, leaf, peer, reception.door).await,
        Alpn::Tunnel => hand_over(stream, &leaf, peer, &reception.workers),
        other => tracing::debug!(%peer, protocol = %other, "ALPN protocol not served"),
    }
}

fn hand_over(stream: tokio_rustls::server::TlsStream<TcpStream>, leaf: &Leaf, peer: SocketAddr, workers: &Workers) {
    let (stream, connection) = stream.into_inner();
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%peer, %error, "cannot hand the tunnel socket to a worker"),
    };
    if let Err(error) = workers.attach(AcceptedTunnel { stream, connection, peer, key: leaf.thumbprint }) {
        tracing::warn!(%peer, %error, "worker rejected the tunnel");
    }
}
