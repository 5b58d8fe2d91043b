//! The port where Clients come: each thread has a socket of its own on it (`SO_REUSEPORT`). Nothing is answered before the
//! gate has let a connection in; what is under way is bounded for the process and for each source.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_trust::identity::{Leaf, LeafIdentity};
use ringwall_trust::spa::{Seat, SeatBounds, SeatPlan, Seats};
use ringwall_trust::tls::{Alpn, Gate, peer_leaf};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use crate::clock::wall;
use crate::handshake::TokenAuthenticator;
use crate::log_limit::LogLimit;
use crate::session_socket;
use crate::tunnel::{AcceptedTunnel, Workers};

/// Connections that the kernel holds for one thread.
const BACKLOG: i32 = 4_096;
/// After an error of the socket itself (no file descriptors left) it is left alone for this long.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines about such errors, of all threads.
static ACCEPT_FAILURES: LogLimit = LogLimit::new(1);
/// Lines about connections whose certificate is of no session.
static WRONG_CERTIFICATES: LogLimit = LogLimit::new(5);

/// Seats of connections until their session is admitted or their tunnel attached. A Client needs two at a time.
const SEATS: SeatPlan = SeatPlan {
    unproved: SeatBounds { each: 256, total: 1_024 },
    known: SeatBounds { each: 256, total: 1_024 },
    knocked: SeatBounds { each: 16, total: 1_024 },
    identified: SeatBounds { each: 8, total: 1_024 },
};

/// What every listener thread needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reception {
    /// Lets connections in.
    pub(crate) gate: Arc<Gate>,
    /// TLS, with verifiers that follow the members.
    pub(crate) tls: Arc<ServerConfig>,
    /// For websockets.
    pub(crate) door: TokenAuthenticator,
    /// For tunnels.
    pub(crate) workers: Arc<Workers>,
    /// Seats of connections without a session.
    pub(crate) seats: Arc<Seats>,
}

/// Seats for the connections of a process that have no session yet.
#[must_use]
pub(crate) fn seats() -> Arc<Seats> {
    Seats::new(SEATS)
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
                let reception = reception.clone();
                actix_rt::spawn(Box::pin(arrive(stream, peer, reception)));
            }
            Err(error) => {
                accept_failed(&error);
                // Out of descriptors: accepting again at once would only burn the processor.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves a connection for as long as it has its seat, or needs none any more.
async fn arrive(stream: TcpStream, peer: SocketAddr, reception: Reception) {
    // Dropped before it proved anything, it is reset instead of closed.
    let _gone_already = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    let seat = reception.seats.enter(peer.ip(), wall());
    let taken = seat.taken();
    let proved = tokio::select! {
        proved = prove(stream, peer, seat, &reception) => proved,
        () = taken.wait() => return refused("seat"),
    };
    let Some(Arrived { stream, leaf, protocol, seat }) = proved else { return };
    match protocol {
        Alpn::Http => session_socket::serve(stream, leaf, (peer, seat), reception.door).await,
        Alpn::Tunnel => hand_over(stream, &leaf, (peer, seat), &reception.workers),
        other => tracing::debug!(%peer, protocol = %other, "ALPN protocol not served"),
    }
}

/// A connection whose handshake is complete.
struct Arrived {
    stream: TlsStream<TcpStream>,
    leaf: Leaf,
    protocol: Alpn,
    seat: Seat,
}

/// Knock, handshake and certificate.
async fn prove(stream: TcpStream, peer: SocketAddr, mut seat: Seat, reception: &Reception) -> Option<Arrived> {
    let admitted = match reception.gate.admit(stream).await {
        Ok(admitted) => admitted,
        Err(error) => {
            refused("gate");
            tracing::debug!(%peer, %error, "connection reset");
            return None;
        }
    };
    let _gone_already = SockRef::from(admitted.hello.stream()).set_linger(None);
    if let Some(knock) = &admitted.knock {
        seat.knocked(&knock.owner);
    }
    let protocol = admitted.protocol;
    let stream = match admitted.hello.handshake(Arc::clone(&reception.tls)).await {
        Ok(stream) => stream,
        Err(error) => {
            refused("handshake");
            // Where no knock is wanted anybody can cause it: it is counted, and told where DEBUG is wanted.
            tracing::debug!(%peer, %error, "handshake failed");
            return None;
        }
    };
    match peer_leaf(stream.get_ref().1) {
        Ok(Some(leaf)) if matches!(leaf.identity, LeafIdentity::Session { .. }) => {
            seat.identified(leaf.thumbprint.0);
            seat.remember_source(wall());
            Some(Arrived { stream, leaf, protocol, seat })
        }
        _ => {
            if let Some(left_out) = WRONG_CERTIFICATES.admit(Instant::now()) {
                tracing::warn!(%peer, left_out, "no session certificate after the TLS handshake; closing connection");
            }
            None
        }
    }
}

fn refused(why: &'static str) {
    metrics::counter!("ringwall_connections_refused_total", "why" => why).increment(1);
}

/// Errors of `accept`: counted, and told of once in a while, however many there are.
fn accept_failed(error: &std::io::Error) {
    refused("accept");
    if let Some(left_out) = ACCEPT_FAILURES.admit(Instant::now()) {
        tracing::warn!(
            %error,
            left_out,
            "connections cannot be accepted; if descriptors have run out, raise the limit (LimitNOFILE of the unit)"
        );
    }
}

fn hand_over(stream: TlsStream<TcpStream>, leaf: &Leaf, (peer, seat): (SocketAddr, Seat), workers: &Workers) {
    let (stream, connection) = stream.into_inner();
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%peer, %error, "cannot hand the tunnel socket to a worker"),
    };
    workers.attach(AcceptedTunnel { stream, connection, peer, key: leaf.thumbprint, seat });
}
