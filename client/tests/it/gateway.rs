//! A Gateway that admits everybody whom TLS lets in, sends UDP packets for its network back where they came from, and
//! otherwise says what the test tells it to say.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use hickory_proto::op::Message as DnsMessage;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use ringwall_protocol::id::SessionId;
use ringwall_protocol::token::Routes;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway, Hello, Welcome};
use ringwall_trust::fixtures::TestGateway;
use ringwall_trust::tls::{Alpn, Membership, Tls, read_hello};
use ringwall_tunnel::frame::{ATTACH_TOKEN_LEN, Frame, FrameHeader, FrameKind, HEADER_LEN};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use crate::world::{TUNNEL_ADDRESS, open_entitlement};

/// What a Gateway saw.
#[derive(Debug)]
pub(crate) enum Seen {
    Hello(Box<Hello>),
    Message(FromClient),
    Attached,
    WebsocketClosed,
}

pub(crate) struct FakeGateway {
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    says: broadcast::Sender<FromGateway>,
    cut_tunnels: broadcast::Sender<()>,
    cut_websockets: broadcast::Sender<()>,
    network: Arc<Mutex<&'static str>>,
    frozen: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    config: Arc<ServerConfig>,
    network: Arc<Mutex<&'static str>>,
    tokens: Arc<Mutex<HashSet<[u8; ATTACH_TOKEN_LEN]>>>,
    sessions: Arc<Mutex<HashSet<SessionId>>>,
    seen: mpsc::UnboundedSender<Seen>,
    says: broadcast::Sender<FromGateway>,
    cut_tunnels: broadcast::Sender<()>,
    cut_websockets: broadcast::Sender<()>,
    frozen: watch::Receiver<bool>,
}

impl FakeGateway {
    pub(crate) fn start(
        gateway: &TestGateway,
        listener: TcpListener,
        network: &'static str,
        members: Arc<dyn Membership>,
    ) -> Self {
        let (seen, inbox) = mpsc::unbounded_channel();
        let (frozen, is_frozen) = watch::channel(false);
        let shared = Shared {
            config: Tls::new().gateway_server(&gateway.presented(), members),
            network: Arc::new(Mutex::new(network)),
            tokens: Arc::default(),
            sessions: Arc::default(),
            seen,
            says: broadcast::channel(16).0,
            cut_tunnels: broadcast::channel(1).0,
            cut_websockets: broadcast::channel(1).0,
            frozen: is_frozen,
        };
        let (says, cut_tunnels) = (shared.says.clone(), shared.cut_tunnels.clone());
        let (cut_websockets, network) = (shared.cut_websockets.clone(), Arc::clone(&shared.network));
        let task = tokio::spawn(async move {
            // Dropped with this task, and every connection with it: what kill -9 does.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        Self { seen: inbox, says, cut_tunnels, cut_websockets, network, frozen, task }
    }

    /// Everything it has ends at once.
    pub(crate) fn kill(&self) {
        self.task.abort();
    }

    /// From now on it holds its connections and answers nothing: what a machine does whose power is cut.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// Answers those who connect from now on.
    pub(crate) fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// Claims another network in its welcomes, or several with blanks between them.
    pub(crate) fn pretend_network(&self, network: &'static str) {
        *self.network.lock().expect("no panic") = network;
    }

    /// Says this on every websocket.
    pub(crate) fn say(&self, message: FromGateway) {
        self.says.send(message).expect("a client listens");
    }

    pub(crate) fn cut_tunnels(&self) {
        self.cut_tunnels.send(()).expect("a tunnel is there");
    }

    pub(crate) fn cut_websockets(&self) {
        self.cut_websockets.send(()).expect("a websocket is there");
    }

    /// Waits for something to be seen.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(&Seen) -> Option<T>) -> T {
        let wait = async {
            loop {
                let seen = self.seen.recv().await.expect("the gateway runs");
                if let Some(found) = wanted(&seen) {
                    return found;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.expect("seen within 20 s")
    }
}

async fn serve(stream: TcpStream, shared: Shared) {
    if *shared.frozen.borrow() {
        return std::future::pending().await;
    }
    let Ok(hello) = read_hello(stream).await else { return };
    let alpn = hello.choose(&[Alpn::Tunnel, Alpn::Http]);
    let Ok(stream) = hello.handshake(Arc::clone(&shared.config)).await else { return };
    match alpn {
        Some(Alpn::Tunnel) => tunnel(stream, shared).await,
        _ => websocket(stream, shared).await,
    }
}

async fn websocket(stream: TlsStream<TcpStream>, shared: Shared) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a websocket");
    let mut says = shared.says.subscribe();
    let mut cut = shared.cut_websockets.subscribe();
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let message: FromClient = serde_json::from_str(text.as_str()).expect("a message");
                    // Noted before it is answered: what the answer leads to is noted later.
                    let answer = react(&shared, &message);
                    note(&shared, match message {
                        FromClient::Hello(hello) => Seen::Hello(Box::new(hello)),
                        message => Seen::Message(message),
                    });
                    if let Some(answer) = answer {
                        let text = serde_json::to_string(&answer).expect("serialises");
                        socket.send(Message::text(text)).await.expect("sent");
                    }
                }
                Some(Ok(Message::Binary(question))) => {
                    if let Some(answer) = name_answer(&shared, &question) {
                        socket.send(Message::binary(answer)).await.expect("sent");
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return note(&shared, Seen::WebsocketClosed),
            },
            message = says.recv() => {
                let text = serde_json::to_string(&message.expect("the test lives")).expect("serialises");
                socket.send(Message::text(text)).await.expect("sent");
            }
            _ = cut.recv() => return,
            () = cold(shared.frozen.clone()) => std::future::pending().await,
        }
    }
}

/// Every name of a Site is at its host 77, but for those that begin with `no`, which get no answer.
fn name_answer(shared: &Shared, question: &[u8]) -> Option<Vec<u8>> {
    let question = DnsMessage::from_vec(question).expect("a DNS message");
    let query = question.queries[0].clone();
    if query.name().to_ascii().starts_with("no") {
        return None;
    }
    let networks = *shared.network.lock().expect("no panic");
    let network = networks.split(' ').next().expect("a first one");
    let network: ipnet::Ipv4Net = network.parse().expect("a prefix");
    let host = std::net::Ipv4Addr::from_bits(network.network().to_bits() + 77);
    let mut answer = DnsMessage::response(question.metadata.id, question.metadata.op_code);
    let record = Record::from_rdata(query.name().clone(), 60, RData::A(A(host)));
    answer.add_query(query);
    // Long, so that it does not fit a plain datagram.
    let many = if question.queries[0].name().to_ascii().starts_with("long") { 60 } else { 1 };
    answer.add_answers(std::iter::repeat_n(record, many));
    Some(answer.to_vec().expect("small"))
}

/// Once it is frozen.
async fn cold(mut frozen: watch::Receiver<bool>) {
    let _over = frozen.wait_for(|frozen| *frozen).await;
}

fn note(shared: &Shared, seen: Seen) {
    // A test that is over does not look any more.
    let _over = shared.seen.send(seen);
}

fn react(shared: &Shared, message: &FromClient) -> Option<FromGateway> {
    match message {
        FromClient::Hello(hello) => Some(FromGateway::Welcome(welcome(shared, hello))),
        FromClient::AttachRequest {} => Some(FromGateway::Attach { token: attach_token(shared) }),
        FromClient::Reason { text, .. } if text == "no" => {
            Some(FromGateway::Refused { code: ErrorCode::Invalid, message: "that is no reason".into() })
        }
        FromClient::Reason { prompt_id, .. } => Some(FromGateway::InteractionClosed { prompt_id: *prompt_id }),
        _ => None,
    }
}

fn welcome(shared: &Shared, hello: &Hello) -> Welcome {
    let mut sessions = shared.sessions.lock().expect("no panic");
    let former = hello.last_session_id.filter(|id| sessions.contains(id));
    let session_id = former.unwrap_or_else(|| SessionId::new(uuid::Uuid::new_v4()));
    sessions.insert(session_id);
    let networks = *shared.network.lock().expect("no panic");
    Welcome {
        session_id,
        resumed: former.is_some(),
        version: 1,
        attach_token: attach_token(shared),
        mtu: 1_400,
        tun_ipv4: Some(TUNNEL_ADDRESS.parse().expect("an address")),
        tun_ipv6: None,
        routes: Routes {
            include: networks.split(' ').map(|network| network.parse().expect("a prefix")).collect(),
            exclude: vec![],
        },
        dns: vec![],
        keep_alive_seconds: 15,
        controller_time: ringwall_client::clock::now(),
        entitlements: vec![open_entitlement()],
    }
}

fn attach_token(shared: &Shared) -> String {
    let mut token = [0; ATTACH_TOKEN_LEN];
    let (first, second) = token.split_at_mut(16);
    first.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    second.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    shared.tokens.lock().expect("no panic").insert(token);
    data_encoding::BASE64URL_NOPAD.encode(&token)
}

async fn tunnel(mut stream: TlsStream<TcpStream>, shared: Shared) {
    let mut cut = shared.cut_tunnels.subscribe();
    let mut first = [0; HEADER_LEN + ATTACH_TOKEN_LEN];
    stream.read_exact(&mut first).await.expect("an attach frame");
    let token: [u8; ATTACH_TOKEN_LEN] = first[HEADER_LEN..].try_into().expect("its length");
    assert!(shared.tokens.lock().expect("no panic").remove(&token), "an attach token that was given, once");
    stream.write_all(&FrameHeader::plain(FrameKind::Attach, 0).encode()).await.expect("sent");
    stream.flush().await.expect("sent");
    note(&shared, Seen::Attached);
    let mut received = Vec::new();
    loop {
        tokio::select! {
            read = stream.read_buf(&mut received) => if !matches!(read, Ok(1..)) { return },
            _ = cut.recv() => return,
            () = cold(shared.frozen.clone()) => std::future::pending().await,
        }
        let mut at = 0;
        while let Some(frame) = Frame::at(&received, at).expect("a frame") {
            let mut answer = frame.header.encode().to_vec();
            answer.extend(turn_around(&received[frame.payload.clone()]));
            at = frame.payload.end;
            if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
        received.drain(..at);
    }
}

/// Swaps addresses and ports of an IPv4 packet: checksums, even partial ones, stay right.
fn turn_around(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet.len() >= 24 && packet[0] == 0x45 {
        for offset in 0..4 {
            packet.swap(12 + offset, 16 + offset);
        }
        packet.swap(20, 22);
        packet.swap(21, 23);
    }
    packet
}
