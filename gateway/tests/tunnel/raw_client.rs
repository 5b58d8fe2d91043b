//! A Client that says whatever a test wants, frame by frame.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_actors::ports::AttachToken;
use ringwall_tunnel::frame::{FLAG_PARTIAL_CHECKSUM, Frame, FrameHeader, FrameKind};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// How long a frame may take on this machine; a closed connection answers sooner.
const PATIENCE: Duration = Duration::from_secs(3);
const NAME: &str = "gateway.test";

/// Both sides' TLS, with a certificate made for the test.
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
    pub(crate) fn shake_hands(&self, outside: TcpStream, inside: &TcpStream) -> (RawClient, ServerConnection) {
        let mut server = ServerConnection::new(Arc::clone(&self.server)).expect("a connection");
        let name = ServerName::try_from(NAME).expect("a name");
        let client = ClientConnection::new(Arc::clone(&self.client), name).expect("a connection");
        outside.set_nodelay(true).expect("a flag");
        outside.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut tls = StreamOwned::new(client, outside);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| server.complete_io(&mut &*inside));
            while tls.conn.is_handshaking() {
                tls.conn.complete_io(&mut tls.sock).expect("a handshake");
            }
            other.join().expect("no panic").expect("a handshake");
        });
        (RawClient { tls, received: Vec::new(), closed: false }, server)
    }
}

/// One tunnel connection from the outside.
pub(crate) struct RawClient {
    tls: StreamOwned<ClientConnection, TcpStream>,
    received: Vec<u8>,
    closed: bool,
}

/// A frame that came.
pub(crate) struct Got {
    pub(crate) header: FrameHeader,
    pub(crate) payload: Vec<u8>,
}

impl RawClient {
    /// Presents a token; an error if the connection ends instead of an answer.
    pub(crate) fn attach(&mut self, token: AttachToken) -> Result<(), &'static str> {
        let header = FrameHeader::plain(FrameKind::Attach, 32).encode();
        self.send(&[&header[..], &token.0[..]].concat());
        match self.frame() {
            Some(got) if got.header == FrameHeader::plain(FrameKind::Attach, 0) => Ok(()),
            Some(_) => Err("another frame"),
            None => Err("closed"),
        }
    }

    /// Sends bytes. A connection that the Gateway closed already is noticed by reading.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _seen_when_reading = self.tls.write_all(bytes).and_then(|()| self.tls.flush());
    }

    pub(crate) fn send_packet(&mut self, packet: &[u8]) {
        self.send(&framed(packet, 0, 0));
    }

    pub(crate) fn try_send_packet(&mut self, packet: &[u8]) -> io::Result<()> {
        self.tls.write_all(&framed(packet, 0, 0))?;
        self.tls.flush()
    }

    /// Sends a super-packet whose checksum the receiver completes.
    pub(crate) fn send_super(&mut self, packet: &[u8], segment: u16) {
        self.send(&framed(packet, segment, FLAG_PARTIAL_CHECKSUM));
    }

    /// The next packet for us; the kernel's own chatter on a new device is none.
    pub(crate) fn packet(&mut self) -> Option<Vec<u8>> {
        self.frame().filter(|got| got.header.kind == FrameKind::Packet).map(|got| got.payload)
    }

    /// The next frame; `None` if the connection ended or nothing came for long.
    pub(crate) fn frame(&mut self) -> Option<Got> {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = [0; 65_536];
        while Instant::now() < deadline && !self.closed {
            if let Some(frame) = Frame::at(&self.received, 0).expect("the Gateway keeps to the protocol") {
                let payload = self.received[frame.payload.clone()].to_vec();
                self.received.drain(..frame.payload.end);
                return Some(Got { header: frame.header, payload });
            }
            match self.tls.read(&mut bytes) {
                Ok(0) => self.closed = true,
                Ok(length) => self.received.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.closed = true,
            }
        }
        None
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }
}

fn framed(packet: &[u8], segment: u16, flags: u8) -> Vec<u8> {
    let length = u32::try_from(packet.len()).expect("a packet");
    [&FrameHeader::packet(length, segment, flags).encode()[..], packet].concat()
}
