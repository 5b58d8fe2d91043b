//! HTTPS to providers, for what the OpenID library asks: one request a connection, whose address was looked at first.
//!
//! Promises: TLS with the provider's configured authorities or the system's, nothing else; redirects are answers, never
//! followed; only what [`Outbound`] permits is dialled, whatever a URL or a discovery document says; answers are bounded
//! in size and time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use openidconnect::{HttpRequest, HttpResponse};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity::outbound::{Outbound, OutboundError};

/// Longest answer: key sets of large providers have some 30 KiB.
const MAX_ANSWER: usize = 512 * 1024;
/// Resolving, connecting, handshake.
const CONNECT_TIME: Duration = Duration::from_secs(6);
/// From the request to the end of the answer.
const ANSWER_TIME: Duration = Duration::from_secs(8);

/// Why there is no answer. None of the texts holds anything secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Not `https`, or without a host.
    #[error("expected an https URL, got one of {0}")]
    Url(String),
    /// No connection, or none that is permitted.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// No TLS.
    #[error("the TLS handshake with {0} failed")]
    Connect(String, #[source] io::Error),
    /// Too slow.
    #[error("{0} does not answer in time")]
    Time(String),
    /// It broke off, or it was no HTTP.
    #[error("no HTTP")]
    Http(#[from] hyper::Error),
    /// Longer than [`MAX_ANSWER`], or it broke off.
    #[error("the answer is longer than {MAX_ANSWER} bytes or broke off")]
    Body,
    /// The library's request cannot be sent.
    #[error("the request cannot be sent")]
    Request(#[from] hyper::http::Error),
}

/// An answer in the making.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>>;

/// How a provider is asked.
#[derive(Clone)]
pub(super) struct Line {
    /// Who may be at the other end.
    pub(super) tls: Arc<ClientConfig>,
    /// Where it may be.
    pub(super) outbound: Outbound,
}

impl Line {
    /// What the library calls.
    pub(super) fn transport(&self) -> impl Fn(HttpRequest) -> Answering + Send + Sync + use<> {
        let line = self.clone();
        move |request| Box::pin(exchange(line.clone(), request))
    }
}

async fn exchange(line: Line, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let place = Place::of(&request)?;
    let connecting = timeout(CONNECT_TIME, connect(&place, line)).await;
    let stream = connecting.map_err(|_| HttpError::Time(place.host.clone()))??;
    let answering = timeout(ANSWER_TIME, send(stream, &place, request)).await;
    answering.map_err(|_| HttpError::Time(place.host))?
}

/// Where a request goes.
struct Place {
    host: String,
    port: u16,
}

impl Place {
    fn of(request: &HttpRequest) -> Result<Self, HttpError> {
        let uri = request.uri();
        let scheme = uri.scheme_str().unwrap_or("no scheme");
        match uri.host() {
            Some(host) if scheme == "https" => {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Ok(Self { host, port: uri.port_u16().unwrap_or(443) })
            }
            _ => Err(HttpError::Url(scheme.to_owned())),
        }
    }

    /// As it stands in a `Host` header.
    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }
}

async fn connect(place: &Place, line: Line) -> Result<TlsStream<TcpStream>, HttpError> {
    let stream = line.outbound.connect(&place.host, place.port).await?;
    let name = ServerName::try_from(place.host.clone()).map_err(|_| HttpError::Url("no DNS name".to_owned()))?;
    let failed = |error| HttpError::Connect(place.host.clone(), error);
    TlsConnector::from(line.tls).connect(name, stream).await.map_err(failed)
}

async fn send(stream: TlsStream<TcpStream>, place: &Place, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender, which this function owns.
    tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    head.uri = path.parse().map_err(hyper::http::Error::from)?;
    let host = HeaderValue::from_str(&place.authority()).map_err(hyper::http::Error::from)?;
    head.headers.insert(HOST, host);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = sender.send_request(hyper::Request::from_parts(head, Full::new(Bytes::from(body)))).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|_| HttpError::Body)?;
    Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_https_is_asked_and_never_this_machine() {
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let ask = Line { tls: Arc::new(tls), outbound: Outbound::default() }.transport();
        let get = |url: &str| HttpRequest::new(Vec::new()).map_uri(url);
        assert!(matches!(ask(get("http://192.0.2.1/")).await, Err(HttpError::Url(_))));
        assert!(matches!(ask(get("ftp://192.0.2.1/x")).await, Err(HttpError::Url(_))));
        assert!(matches!(
            ask(get("https://127.0.0.1:1/")).await,
            Err(HttpError::Outbound(OutboundError::Forbidden { .. }))
        ));
        assert!(matches!(
            ask(get("https://[::1]:1/")).await,
            Err(HttpError::Outbound(OutboundError::Forbidden { .. }))
        ));
    }

    trait MapUri {
        fn map_uri(self, url: &str) -> Self;
    }

    impl MapUri for HttpRequest {
        fn map_uri(mut self, url: &str) -> Self {
            *self.uri_mut() = url.parse().expect("a URI");
            self
        }
    }
}
