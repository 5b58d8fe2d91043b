//! One Site: which Gateway carries it, the session's websocket there, its tunnel, and what happens when one of them goes.
//!
//! Promises: a welcome is believed only as far as the signed entitlement token reaches; a tunnel that is lost is made
//! anew while the session lives; a websocket that is lost is resumed; a Gateway that is dead is replaced by the next
//! one with the tokens in hand, without asking a Controller; every `hello` has a higher number than all before it
//! (T12). Getting new tokens, asking the user and the kernel's routes are left to the daemon.

use std::sync::Arc;

use ringwall_protocol::authorize::EntitlementState;
use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::{DeviceId, PromptId, SessionId, SiteId};
use ringwall_protocol::interaction::Prompt;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken, Routes};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::ExpiryReason;
use ringwall_trust::identity::PrivateKey;
use ringwall_trust::tls::{Presented, Tls};
use tokio::sync::{mpsc, oneshot, watch};

use crate::held_token::HeldToken;
use crate::status::SiteState;
use crate::store::{ProfileStore, StoreError};
use crate::tunnel::{ClientTunnel, TunnelEvent};

mod attempt;
mod connection;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod pending_queries;
mod race;
mod run;
mod tunnel_dial;
mod websocket;

/// Tokens and certificate with which a Site's session is held.
#[derive(Clone)]
pub(crate) struct SiteCredentials {
    /// The claims token.
    pub(crate) claims: Arc<HeldToken<ClaimsToken>>,
    /// The Site's entitlement token.
    pub(crate) entitlement: Arc<HeldToken<EntitlementToken>>,
    /// The certificate.
    pub(crate) own: Arc<Presented>,
    /// Counts certificates: a higher one is to be shown.
    pub(crate) certificate_serial: u64,
}

/// What all links of a daemon share.
pub(crate) struct LinkContext {
    /// Makes TLS configurations.
    pub(crate) tls: Tls,
    /// This device.
    pub(crate) device: DeviceId,
    /// Which knock Gateways want.
    pub(crate) spa_mode: SpaMode,
    /// The tunnel of all Sites.
    pub(crate) tunnel: Arc<ClientTunnel>,
    /// Numbers every `hello`.
    pub(crate) sequence: ConnectSequence,
    /// Signs that number.
    pub(crate) key: Arc<PrivateKey>,
}

/// Gives every `hello` a number of its own.
pub(crate) struct ConnectSequence(tokio::sync::Mutex<ProfileStore>);

impl ConnectSequence {
    /// The sequence that is kept in a profile's store.
    #[must_use]
    pub(crate) fn new(store: ProfileStore) -> Self {
        Self(tokio::sync::Mutex::new(store))
    }

    async fn next(&self) -> Result<u64, StoreError> {
        self.0.lock().await.next_connect_seq()
    }
}

/// From the daemon to a link.
#[derive(Debug)]
pub(crate) enum LinkCommand {
    /// Something happened to the Site's tunnel.
    Tunnel(TunnelEvent),
    /// A reason that the user typed.
    Reason {
        /// For which prompt.
        prompt: PromptId,
        /// The text.
        text: String,
    },
    /// A DNS question to the Gateway; dropped if there is none now.
    Query(DnsQuery),
    /// Say goodbye and end.
    Stop,
}

/// A DNS question, and where its answer goes.
#[derive(Debug)]
pub(crate) struct DnsQuery {
    /// One DNS message.
    pub(crate) message: Vec<u8>,
    /// One DNS message.
    pub(crate) answer: oneshot::Sender<Vec<u8>>,
}

/// Asks the Gateway of a Site about names. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DnsQuerier(mpsc::UnboundedSender<LinkCommand>);

impl DnsQuerier {
    /// The answer to a question, both of them DNS messages; `None` if no Gateway answers. Whoever asks sets the limit to
    /// questions that wait, and to the time.
    pub(crate) async fn ask(&self, message: Vec<u8>) -> Option<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(LinkCommand::Query(DnsQuery { message, answer })).ok()?;
        answered.await.ok()
    }
}

/// From a link to the daemon.
#[derive(Debug)]
pub(crate) struct LinkReport {
    /// The Site.
    pub(crate) site: SiteId,
    /// The event.
    pub(crate) what: LinkEvent,
}

/// An event of a link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// Its state has changed.
    State(SiteState),
    /// A Gateway admitted the session.
    Welcomed(Box<Admission>),
    /// What may be reached now.
    Entitlements(Vec<EntitlementState>),
    /// The Gateway asks the user.
    Prompt(Prompt),
    /// A prompt needs no answer any more.
    PromptClosed(PromptId),
    /// Tokens end soon.
    TokensExpiring {
        /// Kinds of the tokens.
        kinds: Vec<TokenKind>,
        /// What makes them expire.
        reason: ExpiryReason,
    },
    /// The link waits for new tokens.
    TokensNeeded(ErrorCode),
    /// A token or a reason is not accepted; the session goes on.
    Refused(ErrorCode, String),
    /// The link has ended until the user signs in again.
    Stopped(ErrorCode),
    /// Something went wrong.
    Trouble {
        /// What failed.
        cause: String,
        /// What to do about it.
        next_step: &'static str,
    },
    /// The link works again.
    Recovered,
}

/// The part of a welcome that concerns the rest of the Client.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    /// Name of the Gateway.
    pub(crate) gateway: String,
    /// Its address.
    pub(crate) address: std::net::SocketAddr,
    /// The session.
    pub(crate) session: SessionId,
    /// The session of before goes on.
    pub(crate) resumed: bool,
    /// MTU inside the tunnel, in bytes.
    pub(crate) mtu: u16,
    /// Within those of the signed token.
    pub(crate) routes: Routes,
}

/// A running link.
pub(crate) struct SiteLink {
    orders: mpsc::UnboundedSender<LinkCommand>,
    credentials: watch::Sender<SiteCredentials>,
    task: tokio::task::JoinHandle<()>,
}

impl SiteLink {
    /// Starts to look for a Gateway.
    #[must_use]
    pub(crate) fn start(
        context: Arc<LinkContext>,
        credentials: SiteCredentials,
        device_claims: watch::Receiver<Arc<UntrustedClaims>>,
        reports: mpsc::UnboundedSender<LinkReport>,
    ) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (credentials, held) = watch::channel(credentials);
        let link = run::Link::new(context, held, device_claims, inbox, reports);
        Self { orders, credentials, task: tokio::spawn(link.run()) }
    }

    /// Goes on with newer tokens or another certificate.
    pub(crate) fn renew(&self, credentials: SiteCredentials) {
        self.credentials.send_replace(credentials);
    }

    /// Who asks this Site about names.
    #[must_use]
    pub(crate) fn querier(&self) -> DnsQuerier {
        DnsQuerier(self.orders.clone())
    }

    /// Gives an order; a link that has ended takes none.
    pub(crate) fn order(&self, order: LinkCommand) {
        let _ended = self.orders.send(order);
    }

    /// Says goodbye and waits for the end, two seconds at most.
    pub(crate) async fn stop(self) {
        self.order(LinkCommand::Stop);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(std::time::Duration::from_secs(2), self.task).await.is_err() {
            abort.abort();
        }
    }
}
