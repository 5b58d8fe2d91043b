//! Dialling another Controller's peer port: knock if one is wanted, TLS by membership or by pin.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::spa::Service;
use ringwall_trust::door::Approach;
use ringwall_trust::secret::SecretKey;
use ringwall_trust::tls::Alpn;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock;

/// From the first knock to the end of the handshake.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// How to come to a peer port with a key of the Collective; a Controller that wants no knock disregards it.
#[must_use]
pub const fn approach(key: SecretKey) -> Approach {
    Approach { key, service: Service::Peer, packet: true }
}

/// Dials `host:port`; tries each of its addresses.
///
/// # Errors
/// The last address's error.
pub async fn dial(
    address: &str,
    protocol: Alpn,
    config: &Arc<ClientConfig>,
    approach: Option<&Approach>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
    for target in lookup_host(address).await? {
        let attempt = async {
            let mut entries = vec![protocol.entry()];
            let stream = match approach {
                Some(approach) => {
                    let stream = approach.connect(target, clock::now, |_| Ok(())).await?;
                    entries.insert(0, approach.proof(target, clock::now()));
                    stream
                }
                None => TcpStream::connect(target).await?,
            };
            stream.set_nodelay(true)?;
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
