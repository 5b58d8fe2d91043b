//! The connection to the admin API: TLS 1.3 with the Collective's root pinned by fingerprint, HTTP/1.1, JSON. Every request
//! carries a proof of the key in the session file (DPoP, RFC 9449).
//!
//! Controllers are tried in turn; a request that may have been carried out is not sent to another one.

use std::io;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::{AdminError, VERSION};
use ringwall_trust::dpop::{ProofKey, ProofKeyError, ProofOf};
use ringwall_trust::identity::Fingerprint;
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::spa::{Approach, KnockSecret};
use ringwall_trust::tls::{Alpn, ControllerTrust, Refused, Tls};
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::session::Session;

/// Time for knock, TCP and TLS to one Controller; lost knocks are repeated.
const CONNECT_TIME: Duration = Duration::from_secs(8);
/// Time for an answer; `--wait enforced` may take as long as a lease.
const ANSWER_TIME: Duration = Duration::from_secs(100);
/// Longest answer, in bytes: 10,000 devices fit.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No Controller could be reached.
    #[error("no Controller answers:\n{tried}")]
    Unreachable {
        /// Address by address.
        tried: String,
    },
    /// Nobody is signed in.
    #[error("not signed in; use `ringctl sign-in`")]
    NotSignedIn,
    /// What came back is no answer of an admin API.
    #[error("the answer is not understood: {0}")]
    Protocol(String),
    /// Nothing is done yet: another administrator must approve it.
    #[error("{0}")]
    ApprovalWanted(String),
    /// The Controller refused.
    #[error("{}", refusal(*.status, .body))]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        body: Box<AdminError>,
    },
}

impl ApiError {
    /// The same, with the texts and fields of a refusal put in other words.
    pub(crate) fn reworded(self, word: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Refused { status, mut body } => {
                body.message = word(&body.message);
                for error in &mut body.errors {
                    error.field = word(&error.field);
                }
                Self::Refused { status, body }
            }
            other => other,
        }
    }

    /// What is looked for is not in a list that the Controller gave.
    pub(crate) fn not_found(message: String) -> Self {
        Self::Refused {
            status: 404,
            body: Box::new(AdminError { id: "notFound".to_owned(), message, ..Default::default() }),
        }
    }
}

fn refusal(status: u16, body: &AdminError) -> String {
    let fields: String = body.errors.iter().map(|error| format!("\n  {}: {}", error.field, error.message)).collect();
    let hint = if status == 401 { "\nsign in again with `ringctl sign-in`" } else { "" };
    format!("{} ({status} {}){fields}{hint}", body.message, body.id)
}

/// An admin API that is reachable and, if a token is held, spoken to with it.
pub(crate) struct Connection {
    controllers: Vec<String>,
    tls: TlsConnector,
    key: ProofKey,
    token: Option<String>,
    /// How to come to a port that wants knocks; one that wants none disregards it.
    approach: Option<Approach>,
}

impl Connection {
    /// A connection with what the session knows.
    ///
    /// # Errors
    /// If its fingerprint, its key, or its key for knocking is malformed.
    pub(crate) fn new(session: &Session) -> anyhow::Result<Self> {
        let root: Fingerprint = session.ca_fingerprint.parse()?;
        let knock = session.knock_key.as_ref().map(|key| key.expose().parse::<KnockSecret>()).transpose();
        let knock = knock.context("the key for knocking is malformed; expected 128 characters of base64url")?;
        let config = Tls::new().controller_client(ControllerTrust { roots: vec![root], members: None }, None);
        Ok(Self {
            controllers: session.controllers.clone(),
            tls: TlsConnector::from(config),
            key: ProofKey::from_text(session.key.as_deref().ok_or(ApiError::NotSignedIn)?)?,
            token: session.token.clone(),
            approach: knock.map(|key| Approach { key, service: Service::Admin, packet: true }),
        })
    }

    /// `GET` below `/admin`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(&Method::GET, path, None).await
    }

    /// `POST` below `/admin`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        self.call(&Method::POST, path, Some(encode(body)?)).await
    }

    /// `PUT` below `/admin`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        self.call(&Method::PUT, path, Some(encode(body)?)).await
    }

    /// `DELETE` below `/admin`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(crate) async fn delete(&self, path: &str) -> Result<(), ApiError> {
        self.call::<Value>(&Method::DELETE, path, None).await.map(drop)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, ApiError> {
        let mut tried = String::new();
        for controller in &self.controllers {
            let stream = match self.reach(controller).await {
                Ok(stream) => stream,
                Err(why) => {
                    tried.push_str(&format!("  {controller}: {why}\n"));
                    continue;
                }
            };
            let (status, bytes) = self.exchange(stream, controller, method, path, body.clone()).await?;
            let elsewhere = status == StatusCode::SERVICE_UNAVAILABLE
                && controller != self.controllers.last().unwrap_or(controller);
            if elsewhere {
                tried.push_str(&format!("  {controller}: {}\n", describe(&bytes)));
                continue;
            }
            return decode(status, &bytes);
        }
        Err(ApiError::Unreachable { tried: tried.trim_end().to_owned() })
    }

    async fn reach(&self, controller: &str) -> Result<TlsStream<TcpStream>, String> {
        let connect = async {
            let (stream, entries) = self.approach(controller).await.map_err(|error| error.to_string())?;
            // The name is not compared: a Controller is known by the pinned root and the role in its certificate.
            let name = ServerName::try_from("ringwall.invalid").expect("a valid DNS name");
            self.tls.with_alpn(entries).connect(name, stream).await.map_err(|error| match Refused::of(&error) {
                Some(refused) if refused.is_about_time() => {
                    format!("{refused}: it is not in force now; check this machine's clock")
                }
                Some(refused) => refused.to_string(),
                None => format!("TLS: {error}"),
            })
        };
        timeout(CONNECT_TIME, connect).await.map_err(|_| {
            let knocked = if self.approach.is_some() {
                "; a knock that is refused gets no answer: check this machine's clock, and whether the key was replaced"
            } else {
                "; a dark port wants a key: --knock-key-file"
            };
            format!("no answer within {} s{knocked}", CONNECT_TIME.as_secs())
        })?
    }

    /// A TCP connection to the first address that answers, and the ALPN entries for it: a proof first where a key is held.
    async fn approach(&self, controller: &str) -> io::Result<(TcpStream, Vec<Vec<u8>>)> {
        let http = Alpn::Http.entry();
        let Some(approach) = &self.approach else {
            let stream = TcpStream::connect(controller).await?;
            stream.set_nodelay(true)?;
            return Ok((stream, vec![http]));
        };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for target in lookup_host(controller).await? {
            match approach.connect(target, now, |_| Ok(())).await {
                Ok(stream) => return Ok((stream, vec![approach.proof(target, now()), http])),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn exchange(
        &self,
        stream: TlsStream<TcpStream>,
        controller: &str,
        method: &Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), ApiError> {
        let broken = |error: &dyn std::fmt::Display| ApiError::Protocol(format!("{controller}: {error}"));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/admin{path}"))
            .header("host", controller)
            .header("accept", format!("application/vnd.appgate.peer-v{VERSION}+json"))
            .header("dpop", self.proof(controller, method, path).map_err(|error| broken(&error))?);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("DPoP {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default()))).map_err(|error| broken(&error))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
            let status = response.status();
            let body =
                Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| broken(&error))?;
            Ok((status, body.to_bytes()))
        };
        let answer = timeout(ANSWER_TIME, answer)
            .await
            .map_err(|_| broken(&"no answer in time; whether the order was carried out is not known"))?;
        driver.abort();
        answer
    }

    /// A proof for one request. The URL is without query (RFC 9449 §4.2).
    fn proof(&self, controller: &str, method: &Method, path: &str) -> Result<String, ProofKeyError> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let url = format!("https://{controller}/admin{path}");
        let of = ProofOf { method: method.as_str(), url: &url, token: self.token.as_deref() };
        self.key.prove(of, now(), &SystemRandom)
    }
}

/// Wall-clock time.
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn encode(body: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(body).map_err(|error| ApiError::Protocol(error.to_string()))
}

fn describe(bytes: &[u8]) -> String {
    serde_json::from_slice::<AdminError>(bytes).map_or_else(|_| "unavailable".to_owned(), |error| error.message)
}

pub(crate) fn decode<T: DeserializeOwned>(status: StatusCode, bytes: &[u8]) -> Result<T, ApiError> {
    if status == StatusCode::ACCEPTED {
        return Err(ApiError::ApprovalWanted(describe(bytes)));
    }
    if status.is_success() {
        let bytes = if bytes.is_empty() { b"null" } else { bytes };
        return serde_json::from_slice(bytes).map_err(|error| ApiError::Protocol(error.to_string()));
    }
    let body = serde_json::from_slice::<AdminError>(bytes).unwrap_or_else(|_| AdminError {
        id: "unknown".to_owned(),
        message: String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned(),
        ..AdminError::default()
    });
    if status == StatusCode::UNAUTHORIZED && body.id.is_empty() {
        return Err(ApiError::NotSignedIn);
    }
    Err(ApiError::Refused { status: status.as_u16(), body: Box::new(body) })
}

/// Escapes a text for use as one segment or value of a path (RFC 3986 §2.1).
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::ExitCode;

    #[test]
    fn names_are_escaped_for_paths() {
        assert_eq!(escape("CN=a b,OU=local"), "CN%3Da%20b%2COU%3Dlocal");
    }

    #[test]
    fn what_waits_for_approval_is_not_taken_for_done() {
        let body = br#"{"id":"approvalWanted","message":"another administrator must approve this"}"#;
        let error = decode::<Value>(StatusCode::ACCEPTED, body).expect_err("not done");
        assert_eq!(error.to_string(), "another administrator must approve this");
        assert_eq!(ExitCode::of(&error.into()), ExitCode::ApprovalWanted);
    }

    #[test]
    fn a_refusal_can_be_reworded_and_stays_what_it_is() {
        let body =
            br#"{"id":"contradiction","message":"1 field","errors":[{"field":"objects[0].site","message":"none"}]}"#;
        let error = decode::<Value>(StatusCode::CONFLICT, body).expect_err("refused");
        let error = error.reworded(|text| text.replace("objects[0]", "s.yaml:1"));
        assert_eq!(error.to_string(), "1 field (409 contradiction)\n  s.yaml:1.site: none");
        assert_eq!(ExitCode::of(&error.into()), ExitCode::Conflict);
    }

    #[test]
    fn refusals_name_their_fields_and_the_next_step() {
        let body =
            br#"{"id":"validation","message":"the object is invalid","errors":[{"field":"name","message":"missing"}]}"#;
        let error = decode::<Value>(StatusCode::UNPROCESSABLE_ENTITY, body).expect_err("refused");
        assert_eq!(error.to_string(), "the object is invalid (422 validation)\n  name: missing");
        let error = decode::<Value>(StatusCode::UNAUTHORIZED, br#"{"id":"tokenExpired","message":"expired"}"#);
        assert!(error.expect_err("refused").to_string().contains("ringctl sign-in"));
    }
}
