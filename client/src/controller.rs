//! Calls to Controllers: JSON over HTTP/1.1 over TLS, one connection a call, one Controller after the other with a head
//! start for the earlier.
//!
//! Promises: a call goes to Controllers that the profile's root vouches for and, after the first sign-in, whose keys
//! were named then; nothing is sent before that is known. What is retryable is tried at the next Controller; what is
//! refused is refused. Waiting between rounds is left to the caller.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::spa::Service;
use ringwall_protocol::wire::client::ControllerAddress;
use ringwall_protocol::wire::error::ErrorBody;
use ringwall_trust::secret::SecretKey;
use ringwall_trust::tls::{Alpn, ControllerTrust, Presented, Refused, Tls, peer_leaf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::advice;
use crate::dial::{DialError, Knock, Line, MAX_ADDRESSES, resolve};
use crate::failure::{Exit, Failure};
use crate::profile::{Profile, ProfileHost};
use crate::race::Race;

mod http;

pub use http::ExchangeError;

/// A knock, a connection and a handshake over a good network take less; RFC 8305 recommends this delay.
const HEAD_START: Duration = Duration::from_millis(250);

/// Which half of the client API (T14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Without a client certificate.
    SignIn,
    /// With one.
    Client,
}

/// Why one Controller gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// Its name has no address.
    #[error("cannot resolve the name")]
    Resolve(#[source] std::io::Error),
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// A Controller that was not named at the last sign-in.
    #[error("the Controller's key is none of those named at the last sign-in")]
    UnknownKey,
    /// It broke off, or answered something else.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// It cannot answer now.
    #[error("{}: {}", code(.0), .0.message)]
    NotNow(ErrorBody),
}

/// Why a call failed.
#[derive(Debug)]
pub enum CallError {
    /// A Controller said no.
    Refused(ErrorBody),
    /// None gave an answer; why, one by one.
    Unreachable(Vec<(String, AttemptError)>),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(body) => write!(f, "the Controller refused ({}): {}", code(body), body.message),
            Self::Unreachable(attempts) => {
                f.write_str("no Controller answered")?;
                for (controller, error) in attempts {
                    write!(f, "; {controller}: {}", chain(error))?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for CallError {}

impl CallError {
    /// How long the Controllers want to be left alone, if one of them said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let of = |body: &ErrorBody| body.retry_after_ms.map(Duration::from_millis);
        match self {
            Self::Refused(body) => of(body),
            Self::Unreachable(attempts) => attempts.iter().find_map(|(_, error)| match error {
                AttemptError::NotNow(body) => of(body),
                _ => None,
            }),
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether asking again in a moment can help: not if only strangers answered.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        let stranger = |error: &AttemptError| {
            matches!(
                error,
                AttemptError::UnknownKey | AttemptError::Dial(DialError::Refused(_) | DialError::Protocol(_))
            )
        };
        match self {
            Self::Refused(_) => false,
            Self::Unreachable(attempts) => !attempts.iter().all(|(_, error)| stranger(error)),
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        let attempts = match self {
            Self::Refused(body) => return advice::next_step(body.code),
            Self::Unreachable(attempts) => attempts,
        };
        let any = |wanted: fn(&AttemptError) -> bool| attempts.iter().any(|(_, error)| wanted(error));
        if any(|error| matches!(error, AttemptError::Dial(DialError::Refused(Refused::Root)))) {
            return "ask an administrator for the present profile link, compare its fingerprint, then: \
                    ringwall profile add --replace-ca <link>";
        }
        if any(|error| matches!(error, AttemptError::UnknownKey)) {
            return "if an administrator confirms that all Controllers were replaced: ringwall sign-in --forget-controllers";
        }
        if any(|error| matches!(error, AttemptError::Resolve(_))) {
            return "check the network, and the host of the profile: ringwall profile list";
        }
        "check the network; if others are connected, ask an administrator"
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = if error.retryable() { Exit::Unreachable } else { Exit::Refused };
        let next_step = error.next_step();
        Self::new(exit, error, next_step)
    }
}

/// Where a Controller may be.
#[derive(Clone, Copy)]
struct Place<'a> {
    index: usize,
    authority: &'a str,
    /// None until the name is resolved.
    address: Option<SocketAddr>,
}

/// One step nearer to an answer.
enum Reached {
    /// The addresses of a name.
    Name(Vec<SocketAddr>),
    /// A connection, as far as a pin allows it.
    Controller(Box<TlsStream<TcpStream>>),
}

/// The Controllers of one Collective.
#[derive(Clone)]
pub struct Controllers {
    tls: Tls,
    profile: Arc<Profile>,
    known: Vec<ControllerAddress>,
    own: Option<Arc<Presented>>,
    device_key: Option<SecretKey>,
    last_good: Arc<AtomicUsize>,
}

impl Controllers {
    /// Those of a profile, before anything else is known.
    #[must_use]
    pub fn of(profile: Arc<Profile>) -> Self {
        Self { tls: Tls::new(), profile, known: vec![], own: None, device_key: None, last_good: Arc::default() }
    }

    /// Those named at the last sign-in, and their keys.
    #[must_use]
    pub fn known(mut self, known: Vec<ControllerAddress>) -> Self {
        self.known = known;
        self
    }

    /// This device's certificate, which [`Plane::Client`] needs.
    #[must_use]
    pub fn with_certificate(mut self, own: Arc<Presented>) -> Self {
        self.own = Some(own);
        self
    }

    /// This device's own SPA key, which takes the place of the profile's.
    #[must_use]
    pub fn with_device_key(mut self, key: Option<SecretKey>) -> Self {
        self.device_key = key;
        self
    }

    /// One round: every Controller is asked until one answers.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn post<Q, A>(&self, plane: Plane, path: &str, question: &Q) -> Result<A, CallError>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        self.call(plane, &http::Request::new(&self.profile.host.authority(), path, question)).await
    }

    /// The same with a question that `make` makes for each connection, from its exporter.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn post_bound<Q, A, M>(&self, plane: Plane, path: &str, make: &M) -> Result<A, CallError>
    where
        Q: Serialize,
        A: DeserializeOwned,
        M: Fn(&[u8; 32]) -> Result<Q, rustls::Error> + Send + Sync,
    {
        let body = |exporter: &[u8; 32]| make(exporter).map(|question| http::encoded(&question));
        self.call(plane, &http::Request::bound(&self.profile.host.authority(), path, &body)).await
    }

    async fn call<A: DeserializeOwned>(&self, plane: Plane, request: &http::Request<'_>) -> Result<A, CallError> {
        let answer = self.round(&self.line(plane, self.knock()), request).await;
        match (answer, plane) {
            // The device's own key may have been revoked alone; then the profile's serves first contact again.
            (Err(CallError::Unreachable(_)), Plane::SignIn)
                if self.device_key.is_some() && self.profile.spa.is_some() =>
            {
                self.round(&self.line(plane, self.knock_of_the_profile()), request).await
            }
            (answer, _) => answer,
        }
    }

    /// Where one is slow to answer at all, the next is dialled beside it; only one of them is ever asked.
    async fn round<A: DeserializeOwned>(&self, line: &Line, request: &http::Request<'_>) -> Result<A, CallError> {
        let authorities = self.authorities();
        let first = self.last_good.load(Ordering::Relaxed) % authorities.len().max(1);
        let mut race = Race::new(HEAD_START);
        for index in (0..authorities.len()).map(|step| (first + step) % authorities.len()) {
            race.append(self.reach(line, Place { index, authority: &authorities[index], address: None }));
        }
        let mut failed = Vec::new();
        while let Some((place, reached)) = race.next().await {
            let error = match reached {
                Ok(Reached::Name(addresses)) => {
                    let places = addresses.into_iter().map(|address| Place { address: Some(address), ..place });
                    race.prepend(places.map(|place| self.reach(line, place)));
                    continue;
                }
                Ok(Reached::Controller(stream)) => match request.exchange(*stream).await {
                    Ok(Err(body)) if body.retryable => AttemptError::NotNow(body),
                    Ok(answer) => {
                        self.last_good.store(place.index, Ordering::Relaxed);
                        return answer.map_err(CallError::Refused);
                    }
                    Err(error) => error.into(),
                },
                Err(error) => error,
            };
            failed.push((place.authority.to_owned(), error));
        }
        Err(CallError::Unreachable(failed))
    }

    /// One step towards a place: its addresses, or a connection to a Controller that is one of the known.
    async fn reach<'a>(&self, line: &Line, place: Place<'a>) -> (Place<'a>, Result<Reached, AttemptError>) {
        let reached = match place.address {
            None => resolve(place.authority).await.map(Reached::Name).map_err(AttemptError::Resolve),
            Some(address) => self.connect(line, address).await.map(|stream| Reached::Controller(Box::new(stream))),
        };
        (place, reached)
    }

    async fn connect(&self, line: &Line, address: SocketAddr) -> Result<TlsStream<TcpStream>, AttemptError> {
        let stream = line.dial(address).await?;
        let pins = self.pins();
        if !pins.is_empty() {
            let leaf = peer_leaf(stream.get_ref().1).ok().flatten().ok_or(AttemptError::UnknownKey)?;
            if !pins.contains(&leaf.thumbprint) {
                return Err(AttemptError::UnknownKey);
            }
        }
        Ok(stream)
    }

    fn line(&self, plane: Plane, knock: Option<Knock>) -> Line {
        let trust = ControllerTrust { roots: self.profile.pins(), members: None };
        let (alpn, own) = match plane {
            Plane::SignIn => (Alpn::SignIn, None),
            Plane::Client => (Alpn::Client, self.own.as_ref()),
        };
        Line { config: self.tls.controller_client(trust, own), alpn, knock }
    }

    fn knock(&self) -> Option<Knock> {
        let profile = self.profile.spa.as_ref();
        let mode = profile.map_or(SpaMode::Tcp, |spa| spa.mode);
        let key = self.device_key.clone().or_else(|| profile.map(|spa| spa.key.clone()))?;
        Some(Knock { key, service: Service::Client, mode })
    }

    fn knock_of_the_profile(&self) -> Option<Knock> {
        self.profile.spa.as_ref().map(|spa| Knock { key: spa.key.clone(), service: Service::Client, mode: spa.mode })
    }

    fn pins(&self) -> Vec<Thumbprint> {
        self.known.iter().flat_map(|controller| controller.spki_sha256.iter().copied()).collect()
    }

    /// Where to ask, each place once: known Controllers, then what the profile names.
    fn authorities(&self) -> Vec<String> {
        let mut list: Vec<String> = Vec::new();
        let known = self.known.iter().flat_map(|controller| controller.addresses.iter().cloned());
        let named = std::iter::once(&self.profile.host).chain(&self.profile.controllers).map(ProfileHost::authority);
        for authority in known.chain(named).take(MAX_ADDRESSES) {
            if !list.contains(&authority) {
                list.push(authority);
            }
        }
        list
    }
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

/// The code as it stands on the wire.
pub(crate) fn code(body: &ErrorBody) -> String {
    let text = serde_json::to_string(&body.code).expect("a code serialises");
    text.trim_matches('"').to_owned()
}
