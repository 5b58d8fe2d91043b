//! Where a browser comes back to: a small HTTP server on the loopback, for one step.
//!
//! It answers three addresses: the one where providers send browsers back to, the security key's page, and that page's
//! answer, both under a name that nobody can guess. Requests for other hosts (a name that resolves to the loopback) and
//! answers of other pages are refused.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ringwall_protocol::wire::client::MAX_FACTOR_ANSWER;
use ringwall_trust::secret::{SecretKey, SystemRandom};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::key_page::{self, KeyCeremony};
use super::query::{Returned, returned_with};

/// Connections at once; a browser opens six.
const MAX_CONNECTIONS: usize = 16;
/// A request's head must be complete within this.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Time for the user to sign in on the page.
const RETRY_TIME: Duration = Duration::from_secs(600);
/// Where providers send browsers back to; Controllers permit no other path.
const RETURN_PATH: &str = "/signed-in";

/// Why a browser step came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrowserError {
    /// No port on the loopback.
    #[error("cannot listen on the loopback")]
    Listen(#[source] io::Error),
    /// The user or the provider said no.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// Nobody came back.
    #[error("the browser did not return within {} minutes", RETRY_TIME.as_secs() / 60)]
    Time,
    /// The Controller names a page that no browser should be sent to.
    #[error("the Controller's redirect is not an https URL")]
    Page,
    /// What was pasted does not belong to the page.
    #[error("the address does not belong to this sign-in page")]
    Pasted,
    /// The Controller's options for the key are none.
    #[error("the Controller's WebAuthn request is malformed")]
    Options,
}

/// A place on this machine's loopback for one step.
#[derive(Debug)]
pub(crate) struct Loopback {
    v4: TcpListener,
    /// The same port, so that nobody else on this machine takes it for the same name.
    v6: Option<TcpListener>,
    port: u16,
    /// Name of the security key's page.
    name: String,
}

/// What one step waits for.
enum Wanted {
    /// A browser with this `state`.
    Return(String),
    /// The answer of a security key.
    Key(KeyCeremony),
}

/// What the connections of a step share.
struct Step {
    wanted: Wanted,
    port: u16,
    page: String,
    came: mpsc::Sender<Came>,
}

enum Came {
    Returned(Returned),
    Key(String),
}

impl Loopback {
    /// Takes a free port on the loopback of both families, where there are both.
    ///
    /// # Errors
    /// [`BrowserError::Listen`].
    pub(crate) async fn bind() -> Result<Self, BrowserError> {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(BrowserError::Listen)?;
        let port = v4.local_addr().map_err(BrowserError::Listen)?.port();
        let v6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(listener) => Some(listener),
            // A machine without the family has no other program on it either.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => None,
            Err(error) => return Err(BrowserError::Listen(error)),
        };
        let name = SecretKey::generate(&SystemRandom).expose_text().to_string();
        Ok(Self { v4, v6, port, name })
    }

    /// Where a provider is to send the browser back to.
    #[must_use]
    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}{RETURN_PATH}", self.port)
    }

    /// The security key's page. `localhost`, because WebAuthn knows names only.
    #[must_use]
    pub(crate) fn key_page(&self) -> String {
        format!("http://localhost:{}/{}", self.port, self.name)
    }

    /// Waits until the browser comes back with this `state`.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub(crate) async fn returned(
        self,
        state: &str,
    ) -> Result<ringwall_protocol::wire::client::BrowserAnswer, BrowserError> {
        match self.serve(Wanted::Return(state.to_owned())).await? {
            Came::Returned(Returned::Answer(answer)) => Ok(answer),
            Came::Returned(Returned::Refused(why)) => Err(BrowserError::Refused(why)),
            Came::Key(_) => Err(BrowserError::Options),
        }
    }

    /// Shows the security key's page and waits for what the key says, JSON.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub(crate) async fn key(self, ceremony: KeyCeremony) -> Result<String, BrowserError> {
        if !ceremony.is_sound() {
            return Err(BrowserError::Options);
        }
        match self.serve(Wanted::Key(ceremony)).await? {
            Came::Key(answer) => Ok(answer),
            Came::Returned(_) => Err(BrowserError::Options),
        }
    }

    async fn serve(self, wanted: Wanted) -> Result<Came, BrowserError> {
        let (came, mut coming) = mpsc::channel(1);
        let step = Arc::new(Step { wanted, port: self.port, page: format!("/{}", self.name), came });
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let deadline = tokio::time::sleep(RETRY_TIME);
        tokio::pin!(deadline);
        let answer = loop {
            tokio::select! {
                Some(answer) = coming.recv() => break answer,
                () = &mut deadline => return Err(BrowserError::Time),
                accepted = accept(&self.v4, self.v6.as_ref()) => {
                    // One that cannot be taken is the browser's to try again; places are given back when it ends.
                    if let (Ok(stream), Ok(place)) = (accepted, Arc::clone(&places).try_acquire_owned()) {
                        let step = Arc::clone(&step);
                        connections.spawn(async move {
                            serve_connection(stream, step).await;
                            drop(place);
                        });
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        };
        // The page that says so is still on its way; browsers keep connections open, so that only for a moment.
        let done = async { while connections.join_next().await.is_some() {} };
        let _open = tokio::time::timeout(Duration::from_millis(500), done).await;
        Ok(answer)
    }
}

async fn accept(v4: &TcpListener, v6: Option<&TcpListener>) -> io::Result<TcpStream> {
    let other = async {
        match v6 {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        accepted = v4.accept() => accepted,
        accepted = other => accepted,
    }
    .map(|(stream, _)| stream)
}

async fn serve_connection(stream: TcpStream, step: Arc<Step>) {
    let service = service_fn(move |request| {
        let step = Arc::clone(&step);
        async move { Ok::<_, Infallible>(step.answer(request).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .keep_alive(false)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = serving.await {
        tracing::debug!(%error, "browser connection lost");
    }
}

impl Step {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !self.is_for_us(&request) {
            return told(StatusCode::MISDIRECTED_REQUEST, "This is the Ringwall Client of another name.");
        }
        match (&self.wanted, request.method(), request.uri().path()) {
            (Wanted::Return(state), &Method::GET, RETURN_PATH) => {
                let address = request.uri().to_string();
                match returned_with(state, &address) {
                    Some(Returned::Refused(why)) => {
                        let text = format!("You are not signed in: {why}. You can close this window.");
                        self.tell(Came::Returned(Returned::Refused(why))).await;
                        told(StatusCode::OK, &text)
                    }
                    Some(returned) => {
                        self.tell(Came::Returned(returned)).await;
                        told(StatusCode::OK, "The Ringwall Client goes on. You can close this window.")
                    }
                    None => told(StatusCode::BAD_REQUEST, "The Ringwall Client does not wait for this."),
                }
            }
            (Wanted::Key(ceremony), &Method::GET, path) if path == self.page => page(&ceremony.document()),
            (Wanted::Key(_), &Method::POST, path) if path == self.page => self.key_answer(request).await,
            _ => told(StatusCode::NOT_FOUND, "There is nothing here."),
        }
    }

    /// A page of another name that resolves to the loopback is no page of ours, nor is a script of another page.
    fn is_for_us(&self, request: &Request<Incoming>) -> bool {
        let names = ["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{}", self.port));
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).is_some_and(|host| names.iter().any(|name| name == host));
        let origin = text(header::ORIGIN).is_none_or(|origin| {
            origin.strip_prefix("http://").is_some_and(|origin| names.iter().any(|name| name == origin))
        });
        host && (request.method() == Method::GET || (origin && text(header::ORIGIN).is_some()))
    }

    async fn key_answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = Limited::new(request.into_body(), MAX_FACTOR_ANSWER).collect().await;
        let text = body.ok().and_then(|body| String::from_utf8(body.to_bytes().to_vec()).ok());
        match text.filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object())) {
            Some(text) => {
                self.tell(Came::Key(text)).await;
                told(StatusCode::OK, "Done.")
            }
            None => told(StatusCode::BAD_REQUEST, "This is no answer of a security key."),
        }
    }

    /// The first answer counts; nobody waits for a second one.
    async fn tell(&self, came: Came) {
        let _over = self.came.send(came).await;
    }
}

fn told(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", "default-src 'none'; frame-ancestors 'none'", text)
}

fn page(html: &str) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "text/html; charset=utf-8", &key_page::policy(), html)
}

fn respond(status: StatusCode, kind: &'static str, policy: &str, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_owned())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(port: u16, request: String) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    fn get(port: u16, path: &str, host: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n")
    }

    #[tokio::test]
    async fn a_browser_comes_back_once_with_the_right_state_and_to_the_right_name() {
        let place = Loopback::bind().await.expect("bound");
        let port = place.port;
        assert_eq!(place.redirect_uri(), format!("http://127.0.0.1:{port}/signed-in"));
        let waiting = tokio::spawn(place.returned_owned("s1".to_owned()));
        let right = "/signed-in?code=c&state=s1";
        assert!(ask(port, get(port, right, "evil.example")).await.starts_with("HTTP/1.1 421"));
        assert!(ask(port, get(port, "/signed-in?code=c&state=s2", "127.0.0.1")).await.starts_with("HTTP/1.1 400"));
        assert!(ask(port, get(port, "/", "127.0.0.1")).await.starts_with("HTTP/1.1 404"));
        assert!(!waiting.is_finished());
        assert!(ask(port, get(port, right, "127.0.0.1")).await.starts_with("HTTP/1.1 200"));
        assert_eq!(waiting.await.expect("no panic").expect("an answer").code, "c");
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err(), "the place is gone with its step");
    }

    #[tokio::test]
    async fn a_keys_answer_comes_from_the_own_page_alone() {
        let place = Loopback::bind().await.expect("bound");
        let (port, page) = (place.port, format!("/{}", place.name));
        let ceremony = KeyCeremony { create: false, options: "{}".to_owned() };
        let waiting = tokio::spawn(place.key(ceremony));
        let shown = ask(port, get(port, &page, "localhost")).await;
        assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("content-security-policy: default-src 'none'"));
        let post = |path: &str, origin: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: localhost:{port}\r\norigin: {origin}\r\ncontent-length: 8\r\n\r\n{{\"id\":1}}"
            )
        };
        assert!(ask(port, post(&page, "https://evil.example")).await.starts_with("HTTP/1.1 421"));
        assert!(ask(port, post("/guessed", &format!("http://localhost:{port}"))).await.starts_with("HTTP/1.1 404"));
        let without = format!("POST {page} HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: 2\r\n\r\n{{}}");
        assert!(ask(port, without).await.starts_with("HTTP/1.1 421"), "a browser always says whose page asks");
        assert!(!waiting.is_finished());
        assert!(ask(port, post(&page, &format!("http://localhost:{port}"))).await.starts_with("HTTP/1.1 200"));
        assert_eq!(waiting.await.expect("no panic").expect("an answer"), r#"{"id":1}"#);
    }

    impl Loopback {
        async fn returned_owned(
            self,
            state: String,
        ) -> Result<ringwall_protocol::wire::client::BrowserAnswer, BrowserError> {
            self.returned(&state).await
        }
    }
}
