//! A Client, frame by frame: mutual TLS with the Gateway's key pinned, the session's websocket, the tunnel.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hickory_proto::op::{Message as DnsMessage, Query};
use hickory_proto::rr::{Name, RecordType};
use ringwall_protocol::wire::session::{FromClient, FromGateway, Welcome};
use ringwall_trust::tls::{Alpn, Tls};
use ringwall_tunnel::frame::{ATTACH_TOKEN_LEN, FrameHeader, FrameKind, HEADER_LEN};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::PATIENCE;
use crate::collective::{Collective, SignedIn, gateway_address};

pub(crate) type Line = TlsStream<TcpStream>;

async fn dial(collective: &Collective, who: &SignedIn, protocol: Alpn) -> Line {
    try_dial(collective, who, protocol).await.expect("a connection")
}

async fn try_dial(collective: &Collective, who: &SignedIn, protocol: Alpn) -> std::io::Result<Line> {
    let pins = vec![collective.gateway.own.thumbprint()];
    let config = Tls::new().gateway_client(collective.gateway.id, pins, &who.client.presented());
    let stream = TcpStream::connect(gateway_address()).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::clone(&config));
    let name = ServerName::from(gateway_address().ip());
    connector.with_alpn(vec![protocol.entry()]).connect(name, stream).await
}

pub(crate) struct Websocket(WebSocketStream<Line>);

impl Websocket {
    pub(crate) async fn connect(collective: &Collective, who: &SignedIn) -> Self {
        let line = dial(collective, who, Alpn::Http).await;
        let (websocket, _) = tokio_tungstenite::client_async("ws://gateway/session", line).await.expect("a websocket");
        Self(websocket)
    }

    /// The websocket of a session that is admitted, and what it was welcomed with.
    pub(crate) async fn admitted(collective: &Collective, who: &SignedIn, connect_seq: u64) -> (Self, Welcome) {
        let mut websocket = Self::connect(collective, who).await;
        websocket.say(&FromClient::Hello(collective.hello(who, connect_seq))).await;
        match websocket.hear().await {
            FromGateway::Welcome(welcome) => (websocket, welcome),
            other => panic!("expected welcome: {other:?}"),
        }
    }

    /// The same with its tunnel.
    pub(crate) async fn attached(collective: &Collective, who: &SignedIn, connect_seq: u64) -> (Self, Tunnel) {
        let (websocket, welcome) = Self::admitted(collective, who, connect_seq).await;
        let tunnel = Tunnel::attach(collective, who, &welcome.attach_token).await.expect("attached");
        (websocket, tunnel)
    }

    /// As [`Self::connect`]; `None` if the Gateway closes the connection before.
    pub(crate) async fn try_connect(collective: &Collective, who: &SignedIn) -> Option<Self> {
        let line = try_dial(collective, who, Alpn::Http).await.ok()?;
        let (websocket, _) = tokio_tungstenite::client_async("ws://gateway/session", line).await.ok()?;
        Some(Self(websocket))
    }

    /// What is below it, for frames that no library would write.
    pub(crate) fn into_line(self) -> Line {
        self.0.into_inner()
    }

    /// Whether the Gateway has ended the conversation already.
    pub(crate) async fn is_ended_now(&mut self) -> bool {
        timeout(Duration::from_millis(2), self.0.next()).await.is_ok()
    }

    pub(crate) async fn say(&mut self, message: &FromClient) {
        let text = serde_json::to_string(message).expect("serialises");
        self.0.send(Message::text(text)).await.expect("it is taken");
    }

    /// Says something of which the Gateway may not want to hear the end.
    pub(crate) async fn try_say(&mut self, text: String) {
        drop(self.0.send(Message::text(text)).await);
    }

    /// Whether the Gateway ends the conversation, with or without a word.
    pub(crate) async fn is_ended(&mut self) -> bool {
        loop {
            match timeout(PATIENCE, self.0.next()).await {
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return true,
                Ok(Some(Ok(_))) => {}
                Err(_) => return false,
            }
        }
    }

    /// The next message of the Gateway.
    pub(crate) async fn hear(&mut self) -> FromGateway {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("in time").expect("open").expect("readable");
            if let Message::Text(text) = message {
                return serde_json::from_str(text.as_str()).expect("a message of this version");
            }
        }
    }
}

impl Websocket {
    /// Asks about a name and waits for the answer.
    pub(crate) async fn ask(&mut self, name: &str, kind: RecordType) -> DnsMessage {
        let mut question = DnsMessage::query();
        question.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
        let id = question.metadata.id;
        self.0.send(Message::binary(question.to_vec().expect("small"))).await.expect("it is taken");
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("in time").expect("open").expect("readable");
            if let Message::Binary(answer) = message {
                let answer = DnsMessage::from_vec(&answer).expect("a DNS message");
                assert_eq!(answer.metadata.id, id);
                return answer;
            }
        }
    }
}

pub(crate) struct Tunnel(Line);

impl Tunnel {
    /// Opens a tunnel with a token; `None` if the Gateway does not take it.
    pub(crate) async fn attach(collective: &Collective, who: &SignedIn, token: &str) -> Option<Self> {
        let mut line = dial(collective, who, Alpn::Tunnel).await;
        let token = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).expect("base64url");
        let header = FrameHeader::plain(FrameKind::Attach, u32::try_from(ATTACH_TOKEN_LEN).expect("small"));
        line.write_all(&[&header.encode()[..], &token].concat()).await.expect("it is taken");
        line.flush().await.expect("it is taken");
        let mut answer = [0; HEADER_LEN];
        timeout(PATIENCE, line.read_exact(&mut answer)).await.expect("in time").ok()?;
        let header = FrameHeader::decode(answer).expect("a frame");
        assert_eq!((header.kind, header.length), (FrameKind::Attach, 0));
        Some(Self(line))
    }

    pub(crate) async fn send(&mut self, packet: &[u8]) {
        assert!(self.try_send(packet).await, "the tunnel is open");
    }

    /// The same for a tunnel that may have been cut.
    pub(crate) async fn send_if_it_lives(&mut self, packet: &[u8]) {
        self.try_send(packet).await;
    }

    async fn try_send(&mut self, packet: &[u8]) -> bool {
        let header = FrameHeader::packet(u32::try_from(packet.len()).expect("small"), 0, 0);
        let sent = self.0.write_all(&[&header.encode()[..], packet].concat()).await;
        sent.is_ok() && self.0.flush().await.is_ok()
    }

    /// Waits until the Gateway has dealt with everything that was sent: a keep-alive is answered in its turn, and a
    /// packet has gone its whole way through the kernel when the worker's write returns.
    pub(crate) async fn settle(&mut self) {
        let keep_alive = FrameHeader::plain(FrameKind::KeepAlive, 0).encode();
        self.0.write_all(&keep_alive).await.expect("the tunnel is open");
        self.0.flush().await.expect("the tunnel is open");
        let mut answer = [0; HEADER_LEN];
        timeout(PATIENCE, self.0.read_exact(&mut answer)).await.expect("in time").expect("the tunnel is open");
        assert_eq!(FrameHeader::decode(answer).expect("a frame").kind, FrameKind::KeepAlive);
    }

    /// Whether the Gateway closes it.
    pub(crate) async fn ends(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        loop {
            match timeout(PATIENCE, self.0.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => return true,
                Ok(Ok(_)) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Whether a request for a websocket is answered by a refusal.
pub(crate) async fn is_refused(collective: &Collective, who: &SignedIn, path: &str, origin: Option<&str>) -> bool {
    let line = dial(collective, who, Alpn::Http).await;
    let mut request = format!("ws://gateway{path}").into_client_request().expect("a request");
    if let Some(origin) = origin {
        request.headers_mut().insert("Origin", origin.parse().expect("a header value"));
    }
    tokio_tungstenite::client_async(request, line).await.is_err()
}

/// Whether something that is no TLS gets not a single byte for an answer.
pub(crate) async fn junk_is_reset() -> bool {
    let mut stream = TcpStream::connect(gateway_address()).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it is taken");
    let mut bytes = [0; 64];
    matches!(timeout(Duration::from_secs(10), stream.read(&mut bytes)).await, Ok(Ok(0) | Err(_)))
}
