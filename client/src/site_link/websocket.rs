//! A session's websocket: one JSON object a text message, one DNS message a binary one, bounded, and a sign of life when
//! it is asked for.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use ringwall_protocol::wire::session::{FromClient, FromGateway, MAX_DNS_MESSAGE, MAX_TOKEN_MESSAGE};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A Gateway that takes nothing for this long is gone.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// Enough for one message; the library would allocate 128 KiB at once.
const READ_BUFFER: usize = 4 * 1024;

/// Why the websocket cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    #[error("websocket connection lost")]
    Broken(#[from] Box<Error>),
    #[error("the Gateway closed the websocket")]
    Closed,
    #[error("write to the Gateway timed out")]
    Stuck,
    #[error("malformed message from the Gateway at column {0}")]
    Unknown(usize),
    #[error("the Gateway sent a binary message that is not a DNS answer")]
    Binary,
}

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    Message(FromGateway),
    /// A DNS message.
    Answer(bytes::Bytes),
    /// Nothing but a sign of life.
    Alive,
}

pub(super) struct SessionSocket {
    stream: WebSocketStream<TlsStream<TcpStream>>,
    heard: Instant,
}

impl SessionSocket {
    /// The websocket handshake at `/session` on a fresh connection.
    pub(super) async fn open(stream: TlsStream<TcpStream>, authority: &str) -> Result<Self, SocketError> {
        let request = format!("ws://{authority}/session").into_client_request().map_err(Box::new)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_TOKEN_MESSAGE))
            .max_frame_size(Some(MAX_TOKEN_MESSAGE));
        let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        let (stream, _) = opened.map_err(Box::new)?;
        Ok(Self { stream, heard: Instant::now() })
    }

    pub(super) async fn say(&mut self, message: &FromClient) -> Result<(), SocketError> {
        let text = serde_json::to_string(message).expect("our own messages serialise");
        self.send(Message::text(text)).await
    }

    /// Asks about a name.
    pub(super) async fn ask(&mut self, question: Vec<u8>) -> Result<(), SocketError> {
        self.send(Message::binary(question)).await
    }

    /// Asks for a sign of life.
    pub(super) async fn ping(&mut self) -> Result<(), SocketError> {
        self.send(Message::Ping(bytes::Bytes::new())).await
    }

    /// The next thing that comes. Cancelling it loses nothing.
    pub(super) async fn receive(&mut self) -> Result<Received, SocketError> {
        let message = self.stream.next().await.ok_or(SocketError::Closed)?;
        let message = message.map_err(|error| match error {
            Error::ConnectionClosed | Error::AlreadyClosed => SocketError::Closed,
            error => SocketError::Broken(Box::new(error)),
        })?;
        self.heard = Instant::now();
        match message {
            Message::Text(text) => serde_json::from_str(text.as_str())
                .map(Received::Message)
                .map_err(|error| SocketError::Unknown(error.column())),
            Message::Binary(answer) if answer.len() <= MAX_DNS_MESSAGE => Ok(Received::Answer(answer)),
            Message::Binary(_) => Err(SocketError::Binary),
            Message::Close(_) => Err(SocketError::Closed),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(Received::Alive),
        }
    }

    /// When something last came.
    pub(super) const fn last_received(&self) -> Instant {
        self.heard
    }

    /// Says goodbye as far as it goes within a second.
    pub(super) async fn goodbye(mut self) {
        let farewell = async {
            self.say(&FromClient::Goodbye {}).await?;
            self.stream.close(None).await.map_err(Box::new)?;
            Ok::<(), SocketError>(())
        };
        // The Gateway notices the end of the connection otherwise.
        let _best_effort = timeout(Duration::from_secs(1), farewell).await;
    }

    async fn send(&mut self, message: Message) -> Result<(), SocketError> {
        let sent = timeout(WRITE_TIME, self.stream.send(message)).await.map_err(|_| SocketError::Stuck)?;
        Ok(sent.map_err(Box::new)?)
    }
}
