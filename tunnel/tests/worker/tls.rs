//! Both sides' TLS, with a certificate made for the test, and an end that says whatever a test wants, frame by frame.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use ringwall_tunnel::frame::{Frame, FrameHeader};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};

use crate::end::PATIENCE;

const NAME: &str = "gateway.test";

/// The configurations of both sides.
pub(crate) struct Party {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Party {
    pub(crate) fn new() -> Self {
        let certified = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let mut roots = RootCertStore::empty();
        roots.add(certified.cert.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3 is there")
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.into())
            .expect("key and certificate fit");
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3 is there")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), client: Arc::new(client) }
    }

    /// Does both halves of a handshake; the client's on this thread.
    pub(crate) fn shake_hands(&self, ours: &TcpStream, theirs: &TcpStream) -> (ClientConnection, ServerConnection) {
        let mut server = ServerConnection::new(Arc::clone(&self.server)).expect("a connection");
        let name = ServerName::try_from(NAME).expect("a name");
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).expect("a connection");
        std::thread::scope(|scope| {
            let other = scope.spawn(|| server.complete_io(&mut &*theirs));
            while client.is_handshaking() {
                client.complete_io(&mut &*ours).expect("a handshake");
            }
            other.join().expect("no panic").expect("a handshake");
        });
        (client, server)
    }
}

/// One end of a tunnel without a worker.
pub(crate) struct RawEnd {
    connection: Connection,
    stream: TcpStream,
    received: Vec<u8>,
}

impl RawEnd {
    pub(crate) fn new(connection: impl Into<Connection>, stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { connection: connection.into(), stream, received: Vec::new() }
    }

    /// The connection, for a worker to go on with.
    pub(crate) fn into_parts(self) -> (TcpStream, Connection) {
        assert!(self.received.is_empty(), "nothing came that would be lost");
        (self.stream, self.connection)
    }

    /// Sends a frame with this payload, which may be further frames.
    pub(crate) fn send(&mut self, header: FrameHeader, payload: &[u8]) {
        let bytes = [&header.encode()[..], payload].concat();
        self.connection.writer().write_all(&bytes).expect("the connection takes plaintext");
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.stream).expect("the connection stands");
        }
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) fn frame(&mut self) -> Option<(FrameHeader, Vec<u8>)> {
        loop {
            if let Some(frame) = Frame::at(&self.received, 0).expect("a worker keeps to the protocol") {
                let payload = self.received[frame.payload.clone()].to_vec();
                self.received.drain(..frame.payload.end);
                return Some((frame.header, payload));
            }
            if self.connection.read_tls(&mut self.stream).expect("a frame or the end") == 0 {
                return None;
            }
            let state = self.connection.process_new_packets().expect("records of this connection");
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.connection.reader().read_exact(&mut plain).expect("as many as were announced");
            self.received.extend(plain);
        }
    }
}
