//! Dialling a Controller's peer port: knock if one is wanted, then TLS by membership or by pin.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Approach;
use crate::secret::SecretKey;
use crate::tls::Alpn;

/// From the first knock to the end of the handshake.
const DIAL_TIME: Duration = Duration::from_secs(3);

impl Approach {
    /// How to come to a peer port with a key of the Collective; a Controller that wants no knock disregards it.
    #[must_use]
    pub fn peer(key: SecretKey) -> Self {
        Self { key: key.into(), service: Service::Peer, packet: true }
    }
}

/// Dials the peer port at `host:port`; tries each of its addresses, 3 s each. `clock` gives wall-clock time.
///
/// # Errors
/// The last address's error.
pub async fn dial_peer(
    address: &str,
    protocol: Alpn,
    config: &Arc<ClientConfig>,
    approach: Option<&Approach>,
    clock: fn() -> UnixMillis,
) -> io::Result<TlsStream<TcpStream>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
    for target in lookup_host(address).await? {
        match timeout(DIAL_TIME, attempt(target, protocol, config, approach, clock)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(last)
}

async fn attempt(
    target: SocketAddr,
    protocol: Alpn,
    config: &Arc<ClientConfig>,
    approach: Option<&Approach>,
    clock: fn() -> UnixMillis,
) -> io::Result<TlsStream<TcpStream>> {
    let mut entries = vec![protocol.entry()];
    let stream = match approach {
        Some(approach) => {
            let stream = approach.connect(target, clock, |_| Ok(())).await?;
            entries.insert(0, approach.proof(target, clock()));
            stream
        }
        None => TcpStream::connect(target).await?,
    };
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::clone(config));
    // The verifier knows the other end by its key; the name is only wanted by TLS.
    connector.with_alpn(entries).connect(ServerName::from(target.ip()), stream).await
}
