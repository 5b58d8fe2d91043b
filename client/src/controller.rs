//! Calls to Controllers: JSON over HTTP/1.1 over TLS, one connection a call, one Controller after the other with a head
//! start for the earlier.
//!
//! Promises: a call goes to Controllers that the profile's root vouches for and, after the first sign-in, whose keys
//! were named then; nothing is sent before that is known. What is retryable is tried at the next Controller; what is
//! refused is refused. Waiting between rounds is left to the caller.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::ControllerAddress;
use ringwall_trust::secret::SecretKey;
use ringwall_trust::tls::{Alpn, ControllerTrust, Presented, Tls, peer_leaf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::clock;
use crate::dial::{Knock, Line, MAX_ADDRESSES, resolve};
use crate::profile::{Profile, ProfileHost};
use crate::race::Race;

mod error;
mod http;

pub(crate) use error::{CallError, chain};

use self::error::ContactError;
use self::http::ExchangeError;

/// A knock, a connection and a handshake over a good network take less; RFC 8305 recommends this delay.
const HEAD_START: Duration = Duration::from_millis(250);

/// Which half of the client API (T14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plane {
    /// Without a client certificate.
    SignIn,
    /// With one.
    Client,
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
pub(crate) struct Controllers {
    tls: Tls,
    profile: Arc<Profile>,
    known: Vec<ControllerAddress>,
    /// When the Collective issued what this device holds, by the Collective's clock.
    issued: Option<UnixMillis>,
    own: Option<Arc<Presented>>,
    device_key: Option<SecretKey>,
    /// The device's key opened nothing where the profile's did. Clones know it too.
    own_key_is_void: Arc<AtomicBool>,
    last_good: Arc<AtomicUsize>,
}

impl Controllers {
    /// Those of a profile, before anything else is known.
    #[must_use]
    pub(crate) fn of(profile: Arc<Profile>) -> Self {
        let (own_key_is_void, last_good) = Default::default();
        let (tls, known, issued, own, device_key) = (Tls::new(), vec![], None, None, None);
        Self { tls, profile, known, issued, own, device_key, own_key_is_void, last_good }
    }

    /// Those named at the last sign-in, and their keys.
    #[must_use]
    pub(crate) fn known(mut self, known: Vec<ControllerAddress>) -> Self {
        self.known = known;
        self
    }

    /// When the Collective issued this device's tokens: by a clock that is right it is not earlier now.
    #[must_use]
    pub(crate) fn issued(mut self, issued: Option<UnixMillis>) -> Self {
        self.issued = issued;
        self
    }

    /// This device's certificate, which [`Plane::Client`] needs.
    #[must_use]
    pub(crate) fn with_certificate(mut self, own: Arc<Presented>) -> Self {
        self.own = Some(own);
        self
    }

    /// This device's own SPA key, which takes the place of the profile's.
    #[must_use]
    pub(crate) fn with_device_key(mut self, key: Option<SecretKey>) -> Self {
        self.device_key = key;
        self.own_key_is_void = Arc::default();
        self
    }

    /// One round: every Controller is asked until one answers.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn post<Q, A>(&self, plane: Plane, path: &str, question: &Q) -> Result<A, CallError>
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
    pub(crate) async fn post_bound<Q, A, M>(&self, plane: Plane, path: &str, make: &M) -> Result<A, CallError>
    where
        Q: Serialize,
        A: DeserializeOwned,
        M: Fn(&[u8; 32]) -> Result<Q, rustls::Error> + Send + Sync,
    {
        let body = |exporter: &[u8; 32]| make(exporter).map(|question| http::encoded(&question));
        self.call(plane, &http::Request::bound(&self.profile.host.authority(), path, &body)).await
    }

    async fn call<A: DeserializeOwned>(&self, plane: Plane, request: &http::Request<'_>) -> Result<A, CallError> {
        let answer = self.call_with_either_key(plane, request).await;
        answer.map_err(|error| error.at(clock::now(), self.issued))
    }

    async fn call_with_either_key<A: DeserializeOwned>(
        &self,
        plane: Plane,
        request: &http::Request<'_>,
    ) -> Result<A, CallError> {
        let answer = self.round(&self.line(plane, self.knock()), request).await;
        let silent = answer.as_ref().is_err_and(|error| error.retryable() && !error.is_pending());
        if !silent || self.device_key.is_none() || self.profile.spa.is_none() {
            return answer;
        }
        if self.own_key_is_void.swap(false, Ordering::Relaxed) {
            // With the profile's key there is silence as well: the next call begins with the device's own again.
            return answer;
        }
        // A key that was revoked meets the same silence as a network that is down; with the profile's a Controller says more.
        let answer = self.round(&self.line(plane, self.knock_of_the_profile()), request).await;
        if !matches!(answer, Err(CallError::Unreachable(_))) {
            self.own_key_is_void.store(true, Ordering::Relaxed);
        }
        answer
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
                    Ok(Err(body)) if body.retryable => ContactError::Unavailable(body),
                    Ok(answer) => {
                        self.last_good.store(place.index, Ordering::Relaxed);
                        return answer.map_err(CallError::Refused);
                    }
                    Err(error) => error.into(),
                },
                Err(error) => error,
            };
            // Somebody may still be about to confirm it: the next Controller would ask that person again.
            let pending = matches!(error, ContactError::Exchange(ExchangeError::Unconfirmed));
            failed.push((place.authority.to_owned(), error));
            if pending {
                break;
            }
        }
        Err(CallError::Unreachable(failed))
    }

    /// One step towards a place: its addresses, or a connection to a Controller that is one of the known.
    async fn reach<'a>(&self, line: &Line, place: Place<'a>) -> (Place<'a>, Result<Reached, ContactError>) {
        let reached = match place.address {
            None => resolve(place.authority).await.map(Reached::Name).map_err(ContactError::Resolve),
            Some(address) => self.connect(line, address).await.map(|stream| Reached::Controller(Box::new(stream))),
        };
        (place, reached)
    }

    async fn connect(&self, line: &Line, address: SocketAddr) -> Result<TlsStream<TcpStream>, ContactError> {
        let stream = line.dial(address).await?;
        let pins = self.pins();
        if !pins.is_empty() {
            let leaf = peer_leaf(stream.get_ref().1).ok().flatten().ok_or(ContactError::UnknownKey)?;
            if !pins.contains(&leaf.thumbprint) {
                return Err(ContactError::UnknownKey);
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
        let key = self.own_key().or_else(|| profile.map(|spa| &spa.key))?;
        Some(Knock { key: key.clone().into(), service: Service::Client, mode })
    }

    fn own_key(&self) -> Option<&SecretKey> {
        self.device_key.as_ref().filter(|_| !self.own_key_is_void.load(Ordering::Relaxed))
    }

    fn knock_of_the_profile(&self) -> Option<Knock> {
        let spa = self.profile.spa.as_ref()?;
        Some(Knock { key: spa.key.clone().into(), service: Service::Client, mode: spa.mode })
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
