//! Handshakes over loopback: who gets in, who does not, and what an unauthenticated peer sees.

use std::io;
use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client, server};

use super::{Alpn, HelloError, Refused, read_hello};

mod gate;
mod membership;
mod protocol;
mod servers;

/// A connected pair of sockets: the accepted end and the dialling end.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let dialled = TcpStream::connect(address).await.expect("connected");
    let own = dialled.local_addr().expect("connected");
    // Another process may still try a port that was its server's before.
    loop {
        let (accepted, from) = listener.accept().await.expect("accepted");
        if from == own {
            return (accepted, dialled);
        }
    }
}

/// One handshake, as both ends see it. In TLS 1.3 a client is done before its certificate is judged: what counts for
/// a client's certificate is the server's end.
struct Outcome {
    server: Result<server::TlsStream<TcpStream>, HelloError>,
    client: io::Result<client::TlsStream<TcpStream>>,
}

async fn handshake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, protocol: Alpn) -> Outcome {
    let (accepted, dialled) = sockets().await;
    let name = ServerName::try_from("ringwall.invalid").expect("a name");
    let connector = TlsConnector::from(Arc::clone(client));
    let serving = async { read_hello(accepted).await?.handshake(Arc::clone(server)).await };
    let dialling = connector.with_alpn(vec![protocol.entry()]).connect(name, dialled);
    let (server, client) = tokio::join!(serving, dialling);
    Outcome { server, client }
}

impl Outcome {
    #[track_caller]
    fn accepted(self) -> (server::TlsStream<TcpStream>, client::TlsStream<TcpStream>) {
        (self.server.expect("accepted by the server"), self.client.expect("accepted by the client"))
    }

    /// Why the server refused the client's certificate.
    #[track_caller]
    fn refused_by_server(self) -> Refused {
        match self.server.expect_err("refused by the server") {
            HelloError::Io(error) => Refused::of(&error).expect("one of our refusals").clone(),
            other => panic!("another error: {other:?}"),
        }
    }

    /// Why the client refused the server's certificate.
    #[track_caller]
    fn refused_by_client(self) -> Refused {
        let error = self.client.expect_err("refused by the client");
        assert!(self.server.is_err(), "the server knows");
        Refused::of(&error).expect("one of our refusals").clone()
    }
}
