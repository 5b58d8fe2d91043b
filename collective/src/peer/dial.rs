//! Dialling another Controller's peer port: knock if one is wanted, TLS by membership or by pin.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::spa::Service;
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::spa::{Destination, KnockRequest, SpaKey, SpaWindow};
use ringwall_trust::tls::Alpn;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock;

/// From the first SYN to the end of the handshake.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// What is needed to knock.
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
        let attempt = async {
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            let mut entries = vec![protocol.entry()];
            if let Some(knocking) = knocking {
                entries.insert(0, proof(knocking, target));
            }
            let connector = TlsConnector::from(Arc::clone(config));
            // The verifier knows the other end by its key; the name is only wanted by TLS.
            let name = ServerName::from(target.ip());
            connector.with_alpn(entries).connect(name, stream).await
        };
        match timeout(DIAL_TIMEOUT, attempt).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(last)
}

fn proof(knocking: &Knocking, target: std::net::SocketAddr) -> Vec<u8> {
    let request = KnockRequest {
        service: Service::Peer,
        destination: Destination::of(target),
        now: clock::now(),
        window: knocking.window,
    };
    request.alpn_entry(&SpaKey::new(&knocking.key), &SystemRandom)
}
