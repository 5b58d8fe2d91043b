//! Dialling a Controller's peer port: knock if one is wanted, then TLS by membership or by pin.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::spa::Service;
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::spa::{Destination, KnockRequest, SpaKey, SpaWindow};
use ringwall_trust::tls::Alpn;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// From the first SYN to the end of the handshake.
const DIAL_TIME: Duration = Duration::from_secs(3);

/// What is needed to knock. Controllers that want no knock ignore it.
#[derive(Clone)]
pub struct Knocking {
    /// The key.
    pub key: SecretKey,
    /// The Collective's window.
    pub window: SpaWindow,
}

/// Dials `host:port`; tries each of its addresses.
///
/// # Errors
/// The last address's error.
pub async fn dial(
    address: &str,
    protocol: Alpn,
    config: &Arc<ClientConfig>,
    knocking: Option<&Knocking>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
    for target in lookup_host(address).await? {
        match timeout(DIAL_TIME, attempt(target, protocol, config, knocking)).await {
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
    knocking: Option<&Knocking>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut entries = vec![protocol.entry()];
    if let Some(knocking) = knocking {
        let request = KnockRequest {
            service: Service::Peer,
            destination: Destination::of(target),
            now: crate::clock::wall(),
            window: knocking.window,
        };
        let key = SpaKey::new(&knocking.key);
        knock(target, &request.packet(&key, 1, &SystemRandom)).await;
        entries.insert(0, request.alpn_entry(&key, &SystemRandom));
    }
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::clone(config));
    // The verifier knows the other end by its key; the name is only wanted by TLS.
    connector.with_alpn(entries).connect(ServerName::from(target.ip()), stream).await
}

/// Sends the UDP knock. Whether it arrived shows when the connection is made or not.
async fn knock(target: SocketAddr, packet: &[u8]) {
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    if let Ok(socket) = UdpSocket::bind(any).await {
        let _ = socket.send_to(packet, target).await;
    }
}
