//! One request and its answer on one fresh connection.

use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use ringwall_protocol::wire::client::SIGN_IN_EXPORTER;
use ringwall_protocol::wire::error::{ErrorBody, ErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

/// From the first byte sent to the last received: a sign-in that waits for a directory, and more.
const EXCHANGE_TIME: Duration = Duration::from_secs(20);
/// Longest answer: entitlement tokens of 16 Sites, each of the largest size.
const MAX_ANSWER: usize = 8 << 20;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The connection broke, or it was no HTTP.
    #[error("connection lost")]
    Http(#[from] hyper::Error),
    /// The user's key did not sign: a defect.
    #[error("cannot sign the key-possession proof for this connection")]
    Proof(#[source] rustls::Error),
    /// Nothing came in time.
    #[error("no answer within {} s", EXCHANGE_TIME.as_secs())]
    Time,
    /// More than `MAX_ANSWER`.
    #[error("expected an answer of at most {MAX_ANSWER} bytes")]
    TooLarge,
    /// The body broke off.
    #[error("the response body was cut off")]
    Body,
    /// Not the JSON that was expected.
    #[error("malformed response (HTTP {status}) at column {column}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// Column of the first unexpected character.
        column: usize,
    },
}

/// A request, ready to be sent to one Controller after the other.
pub(super) struct Request<'a> {
    host: String,
    path: String,
    body: Body<'a>,
    /// Names the wish, not the attempt, so that a repeated one is not carried out twice.
    idempotency_key: String,
}

/// What is said.
enum Body<'a> {
    /// The same on every connection.
    Same(Zeroizing<Vec<u8>>),
    /// Made from the connection's exporter, and good on no other one.
    Bound(&'a dyn BodyOfConnection),
}

/// Makes what is said on one connection from that connection's exporter.
pub(super) trait BodyOfConnection: Send + Sync {
    /// # Errors
    /// The user's key did not sign.
    fn make(&self, exporter: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, rustls::Error>;
}

impl<F> BodyOfConnection for F
where
    F: Fn(&[u8; 32]) -> Result<Zeroizing<Vec<u8>>, rustls::Error> + Send + Sync,
{
    fn make(&self, exporter: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, rustls::Error> {
        self(exporter)
    }
}

impl<'a> Request<'a> {
    pub(super) fn new<Q: Serialize>(host: &str, path: &str, question: &Q) -> Self {
        Self::with(host, path, Body::Same(encoded(question)))
    }

    /// With a body that [`encoded`] made for the connection.
    pub(super) fn bound(host: &str, path: &str, make: &'a dyn BodyOfConnection) -> Self {
        Self::with(host, path, Body::Bound(make))
    }

    fn with(host: &str, path: &str, body: Body<'a>) -> Self {
        let idempotency_key = uuid::Uuid::new_v4().to_string();
        Self { host: host.to_owned(), path: path.to_owned(), body, idempotency_key }
    }

    /// The answer, or the refusal, of whoever is at the other end.
    pub(super) async fn exchange<A: DeserializeOwned>(
        &self,
        stream: TlsStream<TcpStream>,
    ) -> Result<Result<A, ErrorBody>, ExchangeError> {
        let body = match &self.body {
            Body::Same(body) => body.clone(),
            Body::Bound(make) => {
                let connection = stream.get_ref().1;
                let exporter = connection.export_keying_material([0; 32], SIGN_IN_EXPORTER, None);
                exporter.and_then(|exporter| make.make(&exporter)).map_err(ExchangeError::Proof)?
            }
        };
        let (status, body) =
            timeout(EXCHANGE_TIME, self.send(stream, body)).await.map_err(|_| ExchangeError::Time)??;
        if status.is_success() {
            return read(status, &body).map(Ok);
        }
        match read::<ErrorBody>(status, &body) {
            Ok(refusal) => Ok(Err(refusal)),
            Err(_) if status.is_server_error() => Ok(Err(retryable(status))),
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        stream: TlsStream<TcpStream>,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), ExchangeError> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender, which this function owns.
        tokio::spawn(connection);
        let request = hyper::Request::post(&self.path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header("idempotency-key", &self.idempotency_key)
            .body(Full::new(Bytes::from(body.to_vec())))
            .expect("paths and hosts were checked");
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { ExchangeError::TooLarge } else { ExchangeError::Body }
        })?;
        Ok((status, Zeroizing::new(body.to_bytes().to_vec())))
    }
}

/// A question as it is sent.
pub(super) fn encoded<Q: Serialize>(question: &Q) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(question).expect("our own messages serialise"))
}

fn read<A: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<A, ExchangeError> {
    // `POST …/sign-out` may answer 204.
    let body = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| ExchangeError::Answer { status: status.as_u16(), column: error.column() })
}

/// A Controller that fails without saying how is passed over like one that is busy.
fn retryable(status: StatusCode) -> ErrorBody {
    let mut body = ErrorBody::new(ErrorCode::Internal, format!("HTTP {}", status.as_u16()));
    body.retryable = true;
    body
}
