//! A Client's websocket: the handshake at `/session`, `hello`, then messages both ways until either side is done.
//!
//! Text frames of JSON, and binary ones of DNS questions, all bounded in size and rate; no `Origin` (a browser has no business here), no compression.

mod presenting;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use ringwall_actors::registry::Admitted;
use ringwall_actors::registry::Refusal;
use ringwall_actors::session::SocketId;
use ringwall_actors::session::{FromSocket, Socket, SocketLost};
use ringwall_protocol::id::SessionId;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway, MAX_DNS_MESSAGE, MAX_MESSAGE, MAX_TOKEN_MESSAGE};
use ringwall_trust::identity::Leaf;
use ringwall_trust::spa::{Seat, SeatBounds, SeatPlan, Seats};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use self::presenting::{Presenting, Token};
use crate::clock::wall;
use crate::handshake::TokenAuthenticator;
use crate::log_limit::LogLimit;
use crate::names::Names;

/// From the TLS handshake to the whole `hello`.
const HELLO_TIME: Duration = Duration::from_secs(5);
/// A Client that takes nothing for this long is gone.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// Without a word for this long, the Client is asked for a sign of life.
const IDLE: Duration = Duration::from_secs(15);
/// And must give it within this.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
/// Messages that may wait for a websocket.
const OUTBOX: usize = 64;
/// The library's own buffers; by default they have 128 KiB each.
const BUFFER: usize = 4 * 1024;
/// Messages a second, and at once.
const RATE: (u32, u32) = (20, 50);
/// `hello`s that may be read and proved at once, four of one key: with the longest message 64 MiB (T30). Whoever holds a
/// place and says nothing gives way to whoever comes (T51).
const HELLOS: SeatBounds = SeatBounds { each: 4, total: 64 * 1024 * 1024 / MAX_TOKEN_MESSAGE };
static HELLO_SEATS: LazyLock<Arc<Seats>> =
    LazyLock::new(|| Seats::new(SeatPlan { unproved: HELLOS, known: HELLOS, knocked: HELLOS, identified: HELLOS }));

/// Lines about refused Clients, and about tokens refused within a session, in a span of the limit: enough to see why a
/// Site's users are refused, too few for a Client that connects again and again to fill the log.
const REFUSAL_LINES: u32 = 20;
static CLIENT_REFUSALS: LogLimit = LogLimit::new(REFUSAL_LINES);
static TOKEN_REFUSALS: LogLimit = LogLimit::new(REFUSAL_LINES);

/// Questions about names a second, and at once: a page with its pictures. Above, they stay unanswered.
const QUESTIONS: (u32, u32) = (100, 200);
/// Questions of one websocket that wait for name servers at a time.
const OPEN_QUESTIONS: usize = 64;

/// Numbers websockets of this process.
static SOCKETS: AtomicU64 = AtomicU64::new(1);

type Stream = WebSocketStream<TlsStream<TcpStream>>;

/// Why a websocket ended, for the log.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("websocket error: {0}")]
    Broken(#[from] Box<Error>),
    #[error("closed")]
    Closed,
    #[error("write timed out: the client does not read")]
    Stuck,
    #[error("keep-alive timed out: no message from the client")]
    Silent,
    #[error("the session ended")]
    Ended,
    #[error("another connection needed the seat")]
    NoSeat,
    #[error("{0}")]
    Refused(Refusal),
}

/// Serves one connection to its end.
///
/// `seat` is held until the session is admitted; taken away before, the connection closes.
pub(crate) async fn serve(
    stream: TlsStream<TcpStream>,
    leaf: Leaf,
    (peer, seat): (SocketAddr, Seat),
    door: TokenAuthenticator,
) {
    let taken = seat.taken();
    let accepted = tokio::select! {
        accepted = timeout(HELLO_TIME, accept(stream)) => accepted,
        () = taken.wait() => return tracing::debug!(%peer, "another connection needed the seat"),
    };
    let mut websocket = match accepted {
        Ok(Ok(websocket)) => websocket,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "websocket handshake failed"),
        Err(_) => return tracing::debug!(%peer, "websocket handshake timed out"),
    };
    let begun = tokio::select! {
        begun = begin(&mut websocket, &leaf, peer, &door) => begun,
        () = taken.wait() => Err(End::NoSeat),
    };
    drop(seat);
    let end = match begun {
        Ok((admitted, socket, outgoing)) => {
            let end = converse(&mut websocket, &admitted, socket, outgoing, &door).await;
            // A session that has ended does not want to know.
            let _ = admitted.actor.send(SocketLost(socket)).await;
            end
        }
        Err(end) => end,
    };
    if let End::Refused(refusal) = &end {
        metrics::counter!("ringwall_connections_refused_total", "why" => "client").increment(1);
        if let Some(left_out) = CLIENT_REFUSALS.admit(Instant::now()) {
            tracing::info!(%peer, code = ?refusal.code, %refusal, left_out, "client refused");
        }
        let (code, message) = (refusal.code, refusal.message.clone());
        // It is going anyway.
        let _ = say(&mut websocket, &FromGateway::End { code, message }).await;
    }
    tracing::debug!(%peer, %end, "websocket ended");
    let _ = timeout(WRITE_TIME, websocket.close(None)).await;
}

async fn accept(stream: TlsStream<TcpStream>) -> Result<Stream, Error> {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(2 * MAX_TOKEN_MESSAGE)
        .max_message_size(Some(MAX_TOKEN_MESSAGE))
        .max_frame_size(Some(MAX_TOKEN_MESSAGE));
    tokio_tungstenite::accept_hdr_async_with_config(stream, judge_request, Some(config)).await
}

#[expect(clippy::result_large_err, reason = "the library's callback has this type")]
fn judge_request(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    let refuse = |status| {
        let mut response = ErrorResponse::new(None);
        *response.status_mut() = status;
        Err(response)
    };
    if request.uri().path() != "/session" {
        return refuse(StatusCode::NOT_FOUND);
    }
    if request.headers().contains_key("origin") {
        return refuse(StatusCode::FORBIDDEN);
    }
    Ok(response)
}

/// `hello` and admission.
async fn begin(
    websocket: &mut Stream,
    leaf: &Leaf,
    peer: SocketAddr,
    door: &TokenAuthenticator,
) -> Result<(Admitted, SocketId, mpsc::Receiver<FromGateway>), End> {
    let mut place = HELLO_SEATS.enter(peer.ip(), wall());
    place.identified(leaf.thumbprint.0);
    let taken = place.taken();
    let text = tokio::select! {
        text = timeout(HELLO_TIME, next_text(websocket)) => text.map_err(|_| End::Silent)??,
        () = taken.wait() => return Err(End::NoSeat),
    };
    let FromClient::Hello(hello) = parse(&text)? else { return Err(broken("expected hello first")) };
    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    let socket = Socket { id: SocketId(SOCKETS.fetch_add(1, Ordering::Relaxed)), outbox };
    let id = socket.id;
    let admitted = door.admit(hello, leaf, peer, socket).await.map_err(End::Refused)?;
    drop(place);
    Ok((admitted, id, outgoing))
}

/// Messages both ways.
async fn converse(
    websocket: &mut Stream,
    admitted: &Admitted,
    socket: SocketId,
    mut outgoing: mpsc::Receiver<FromGateway>,
    door: &TokenAuthenticator,
) -> End {
    let mut pace = TokenBucket::new(RATE, Instant::now());
    let mut questions = Questions::new(admitted, door);
    let mut presenting = Presenting::new();
    let mut asked: Option<Instant> = None;
    let mut heard = Instant::now();
    loop {
        let deadline = asked.map_or(heard + IDLE, |asked| asked + SIGN_OF_LIFE);
        let turn = presenting.next(Instant::now());
        let outcome = tokio::select! {
            message = outgoing.recv() => match message {
                Some(message) => send_and_check_end(websocket, &message).await,
                None => Err(End::Ended),
            },
            message = websocket.next() => {
                (heard, asked) = (Instant::now(), None);
                match take(message, &mut pace) {
                    Ok(Taken::Text(text)) => pass_on(&text, admitted, socket, &mut presenting).await,
                    Ok(Taken::Question(question)) => questions.ask(question),
                    Ok(Taken::Nothing) => Ok(()),
                    Err(end) => Err(end),
                }
            }
            Some(answer) = questions.open.join_next() => match answer {
                Ok(Some(answer)) => send(websocket, Message::binary(answer)).await,
                // Cannot be refused even, or a defect that has said so.
                Ok(None) | Err(_) => Ok(()),
            },
            () = sleep_until(turn), if turn.is_some() => match presenting.due(Instant::now()) {
                Some(token) => present(token, websocket, admitted, door).await,
                None => Ok(()),
            },
            () = tokio::time::sleep_until(deadline.into()) => match asked {
                Some(_) => Err(End::Silent),
                None => {
                    asked = Some(Instant::now());
                    send(websocket, Message::Ping(bytes::Bytes::new())).await
                }
            },
        };
        if let Err(end) = outcome {
            return end;
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at.into()).await;
    }
}

/// One message of the Client, to whom it concerns.
async fn pass_on(text: &str, admitted: &Admitted, socket: SocketId, presenting: &mut Presenting) -> Result<(), End> {
    let message = parse(text)?;
    if text.len() > MAX_MESSAGE
        && !matches!(message, FromClient::EntitlementToken { .. } | FromClient::ClaimsToken { .. })
    {
        return Err(broken("a message of this kind is shorter"));
    }
    match message {
        FromClient::Hello(_) => return Err(broken("a second hello")),
        FromClient::ClaimsToken { token } => presenting.put(Token::Claims(token)),
        FromClient::EntitlementToken { token } => presenting.put(Token::Entitlement(token)),
        message => return admitted.actor.send(FromSocket(socket, message)).await.map_err(|_| End::Ended),
    }
    Ok(())
}

/// Proves a newer token; a wrong one changes nothing.
async fn present(
    token: Token,
    websocket: &mut Stream,
    admitted: &Admitted,
    door: &TokenAuthenticator,
) -> Result<(), End> {
    let presented = match token {
        Token::Claims(token) => door.present_claims(admitted.session, &token).await,
        Token::Entitlement(token) => door.present_entitlement(admitted.session, &token).await,
    };
    match presented {
        Ok(()) => Ok(()),
        Err(refusal) => {
            if let Some(left_out) = TOKEN_REFUSALS.admit(Instant::now()) {
                tracing::info!(session = %admitted.session, code = ?refusal.code, %refusal, left_out, "token refused");
            }
            let Refusal { code, message } = refusal;
            say(websocket, &FromGateway::Refused { code, message }).await
        }
    }
}

/// What came.
enum Taken {
    Text(String),
    /// A DNS message.
    Question(bytes::Bytes),
    /// A sign of life.
    Nothing,
}

fn take(message: Option<Result<Message, Error>>, pace: &mut TokenBucket) -> Result<Taken, End> {
    let message = message.ok_or(End::Closed)?.map_err(Box::new)?;
    // Questions have a pace of their own.
    if !matches!(message, Message::Binary(_)) && !pace.allows(Instant::now()) {
        return Err(broken("too many messages"));
    }
    match message {
        Message::Text(text) => Ok(Taken::Text(text.as_str().to_owned())),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(Taken::Nothing),
        Message::Binary(question) => Ok(Taken::Question(question)),
        Message::Close(_) => Err(End::Closed),
    }
}

/// Questions about names that wait for their answers.
struct Questions {
    session: SessionId,
    names: Names,
    pace: TokenBucket,
    open: JoinSet<Option<Vec<u8>>>,
}

impl Questions {
    fn new(admitted: &Admitted, door: &TokenAuthenticator) -> Self {
        let pace = TokenBucket::new(QUESTIONS, Instant::now());
        Self { session: admitted.session, names: door.names(), pace, open: JoinSet::new() }
    }

    /// Asks; beyond its share the Client hears nothing, as from a name server that is busy.
    fn ask(&mut self, question: bytes::Bytes) -> Result<(), End> {
        if question.len() > MAX_DNS_MESSAGE {
            return Err(broken("a question is shorter"));
        }
        if !self.pace.allows(Instant::now()) || self.open.len() >= OPEN_QUESTIONS {
            metrics::counter!("ringwall_dns_questions_dropped_total").increment(1);
            return Ok(());
        }
        let (session, names) = (self.session, self.names.clone());
        self.open.spawn(async move { names.answer(session, &question).await });
        Ok(())
    }
}

async fn next_text(websocket: &mut Stream) -> Result<String, End> {
    let mut pace = TokenBucket::new(RATE, Instant::now());
    loop {
        match take(websocket.next().await, &mut pace)? {
            Taken::Text(text) => return Ok(text),
            Taken::Question(_) => return Err(broken("expected text first")),
            Taken::Nothing => {}
        }
    }
}

fn parse(text: &str) -> Result<FromClient, End> {
    // The library's message may repeat a value, which may be a token.
    serde_json::from_str(text).map_err(|error| broken(&format!("malformed message at column {}", error.column())))
}

fn broken(what: &str) -> End {
    End::Refused(Refusal::new(ErrorCode::ProtocolError, what))
}

async fn send_and_check_end(websocket: &mut Stream, message: &FromGateway) -> Result<(), End> {
    say(websocket, message).await?;
    if matches!(message, FromGateway::End { .. }) { Err(End::Ended) } else { Ok(()) }
}

async fn say(websocket: &mut Stream, message: &FromGateway) -> Result<(), End> {
    let text = serde_json::to_string(message).expect("our own messages serialise");
    send(websocket, Message::text(text)).await
}

async fn send(websocket: &mut Stream, message: Message) -> Result<(), End> {
    let sent = timeout(WRITE_TIME, websocket.send(message)).await.map_err(|_| End::Stuck)?;
    Ok(sent.map_err(Box::new)?)
}

/// A token bucket.
struct TokenBucket {
    rate: (u32, u32),
    left: f64,
    at: Instant,
}

impl TokenBucket {
    fn new(rate: (u32, u32), now: Instant) -> Self {
        Self { rate, left: f64::from(rate.1), at: now }
    }

    fn allows(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * f64::from(self.rate.0)).min(f64::from(self.rate.1));
        self.at = now;
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn messages_that_nobody_has_proved_yet_take_64_mib_at_most() {
        let seats = HELLOS.total;
        assert!(seats > 1 && seats * MAX_TOKEN_MESSAGE <= 64 * 1024 * 1024, "{seats} seats");
        // Five hundred keys come, and all say nothing: those that came first give way.
        let mut places: Vec<_> = (0..500u16)
            .map(|n| {
                let mut place = HELLO_SEATS.enter([192, 0, 2, 1].into(), wall());
                let mut key = [0; 32];
                key[..2].copy_from_slice(&n.to_be_bytes());
                place.identified(key);
                place
            })
            .collect();
        let is_taken = |place: &mut Seat| place.taken().wait().now_or_never().is_some();
        let kept = places.iter_mut().filter_map(|place| (!is_taken(place)).then_some(())).count();
        assert_eq!(kept, seats);
    }

    #[test]
    fn pace_allows_a_burst_and_then_a_rate() {
        let start = Instant::now();
        let mut pace = TokenBucket::new(RATE, start);
        assert_eq!((0..100).filter(|_| pace.allows(start)).count(), 50);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| pace.allows(later)).count(), 20);
    }

    #[test]
    fn only_session_without_an_origin_is_served() {
        let request = |path: &str, origin: bool| {
            let mut request = Request::builder().uri(path);
            if origin {
                request = request.header("Origin", "https://evil.example");
            }
            judge_request(&request.body(()).expect("a request"), Response::new(())).map_err(|refused| refused.status())
        };
        assert!(request("/session", false).is_ok());
        assert_eq!(request("/session", true).err(), Some(StatusCode::FORBIDDEN));
        assert_eq!(request("/", false).err(), Some(StatusCode::NOT_FOUND));
    }
}
