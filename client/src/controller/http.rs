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

/// From the first byte sent to the last received: whatever a Controller decides by itself, or asks a directory.
const EXCHANGE_TIME: Duration = Duration::from_secs(20);
/// The same for what a person may have to confirm on another device: a provider has at most 90 s for that
/// (`timeout` of RADIUS).
const PERSON_TIME: Duration = Duration::from_secs(100);
/// Requests for which a person may be asked elsewhere.
const ASKS_PEOPLE: [&str; 4] =
    ["/client/v1/sign-in", "/client/v1/sign-in/mfa", "/client/v1/step-up", "/client/v1/step-up/mfa"];
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
    /// Nothing came in the time that a person has to confirm it on another device.
    #[error(
        "no answer within {} s, in which it may have waited for a confirmation on another device",
        PERSON_TIME.as_secs()
    )]
    Unconfirmed,
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

    /// Whether a person may be asked for it, who must not be asked again while that is so.
    fn asks_people(&self) -> bool {
        ASKS_PEOPLE.contains(&self.path.as_str())
    }

    fn patience(&self) -> Duration {
        if self.asks_people() { PERSON_TIME } else { EXCHANGE_TIME }
    }

    fn late(&self) -> ExchangeError {
        if self.asks_people() { ExchangeError::Unconfirmed } else { ExchangeError::Time }
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
        let (status, body) = timeout(self.patience(), self.send(stream, body)).await.map_err(|_| self.late())??;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_confirm_elsewhere_has_longer_than_any_provider_waits() {
        let patience = |path: &str| Request::new("c.example", path, &()).patience();
        let longest =
            Duration::from_secs(u64::from(*ringwall_protocol::object::identity_provider::TIMEOUT_SECONDS.end()));
        for path in ASKS_PEOPLE {
            assert!(patience(path) > longest, "{path}");
        }
        for path in ["/client/v1/sign-in/begin", "/client/v1/renew", "/client/v1/certificate"] {
            assert_eq!(patience(path), EXCHANGE_TIME, "{path}");
        }
    }
}
