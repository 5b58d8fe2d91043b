//! The pure part of a session: its phases, its current tokens and claims, and what follows from each input.
//!
//! ```text
//! Admitting ─installed→ Live ⇄ Detached (websocket lost, ≤ 30 s)      Live ─tokens' end→ Expired (≤ 10 min) ─new tokens→ Live
//!     └ refused → Ended                                                any ─goodbye, violation, time→ Ended (asked of the registry)
//! ```

mod claims;
mod connection;
mod credentials;
mod evaluate;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod interact;
mod reasons;
mod refused_names;
mod rule_state;
mod summary;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::authorize::PrepareError;
use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::feed::RefusedName;
use ringwall_protocol::id::{ApplianceId, LogIndex, SessionId};
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{ExpiryReason, FromGateway};

pub use exchange::TunnelNews;
pub(crate) use exchange::{Effect, Input, NewTokens};

use self::claims::DeviceClaims;
use self::connection::Connection;
use self::credentials::Credentials;
use self::reasons::Reasons;
use self::refused_names::RefusedNames;
use self::rule_state::RuleState;
use super::prompts::Prompts;
use crate::ports::SessionAddresses;
use crate::registry::admission::Admission;
use crate::support::budget::Budget;
use crate::support::clock::Moment;
use crate::support::entropy::Entropy;
use crate::support::timers::Timers;

/// How long a session is kept without its websocket.
pub(crate) const DETACHED: Duration = Duration::from_secs(30);
/// How long a session waits for new tokens after the end of its own.
pub(crate) const EXPIRED: Duration = Duration::from_secs(600);
/// Watched flows that are audited; the kernel passes on 20 a second at most.
const ALERTS: (usize, Duration) = (60, Duration::from_secs(60));
/// A changed session is reported at most this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What never changes in a session, and what the Gateway is like.
#[derive(Debug, Clone)]
pub(crate) struct SessionSettings {
    /// Its id.
    pub session: SessionId,
    /// This Gateway.
    pub gateway: ApplianceId,
    /// Its tunnel addresses.
    pub addresses: SessionAddresses,
    /// MTU inside the tunnel, bytes.
    pub mtu: u16,
    /// Idle seconds until a Client sends a keep-alive.
    pub keep_alive_seconds: u16,
}

/// Names one websocket of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Named timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Expiry,
    ExpiredEnd,
    Evaluate,
    DeviceStale,
    ClaimsFirst,
    ClaimsLast,
    EntitlementFirst,
    EntitlementLast,
    Detached,
    Apply,
    DeviceClaims,
    Report,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Rules are not in force yet, for the first time.
    Admitting,
    Live,
    Expired,
    Ended,
}

/// One session.
#[derive(Debug)]
pub(crate) struct SessionCore {
    settings: SessionSettings,
    phase: Phase,
    credentials: Credentials,
    origin: Origin,
    evidence: Evidence,
    rules: RuleState,
    refused_names: RefusedNames,
    prompts: Prompts,
    connection: Connection,
    alerts: Budget,
    timers: Timers<Timer>,
}

/// Whence and since when the Client is here.
#[derive(Debug)]
struct Origin {
    peer: SocketAddr,
    /// Of the peer's address, if a database says.
    country: Option<String>,
    since: UnixMillis,
}

/// What conditions read beside the tokens.
#[derive(Debug)]
struct Evidence {
    system: ClaimMap,
    device: DeviceClaims,
    reasons: Reasons,
}

impl SessionCore {
    /// A session that the registry has registered, its first websocket being `socket`.
    ///
    /// # Errors
    /// If the entitlement token cannot be evaluated.
    pub(crate) fn new(
        settings: SessionSettings,
        socket: SocketId,
        admission: Admission,
        checked_at: LogIndex,
        now: Moment,
    ) -> Result<Self, PrepareError> {
        let (peer, country) = (admission.peer, admission.country.clone());
        let (admitted, device) = credentials::of_admission(admission, checked_at);
        let (alerts, alerts_window) = ALERTS;
        let mut core = Self {
            settings,
            phase: Phase::Admitting,
            credentials: Credentials::new(admitted)?,
            origin: Origin { peer, country, since: now.time },
            evidence: Evidence {
                system: ClaimMap::default(),
                device: DeviceClaims::new(device, now.instant),
                reasons: Reasons::default(),
            },
            rules: RuleState::default(),
            refused_names: RefusedNames::default(),
            prompts: Prompts::default(),
            connection: Connection::new(socket),
            alerts: Budget::new(alerts, alerts_window),
            timers: Timers::default(),
        };
        core.note_device();
        Ok(core)
    }

    /// Its id.
    #[must_use]
    pub(crate) const fn id(&self) -> SessionId {
        self.settings.session
    }

    /// When [`Input::Tick`] is wanted.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What follows from an input.
    pub(crate) fn handle(&mut self, input: Input, now: Moment, entropy: &mut dyn Entropy) -> Vec<Effect> {
        let mut effects = vec![];
        if self.phase == Phase::Ended {
            return effects;
        }
        match input {
            Input::Started => self.on_started(now, &mut effects),
            Input::Client(socket, message) if self.connection.is_on(socket) => {
                self.on_client(message, now, entropy, &mut effects);
            }
            Input::SocketLost(socket) if self.connection.is_on(socket) => self.on_socket_lost(now, &mut effects),
            Input::Client(..) | Input::SocketLost(_) => {}
            Input::Resumed(socket, admission, checked_at) => {
                self.on_resumed(socket, *admission, checked_at, now, &mut effects);
            }
            Input::Tokens(tokens) => self.on_tokens(*tokens, now, &mut effects),
            Input::Installed(generation, outcome) => self.on_installed(generation, outcome, now, entropy, &mut effects),
            Input::Blocked(flow, names) => self.on_blocked(&flow, &names, now, entropy, &mut effects),
            Input::NameRefused(refused) => self.on_name_refused(refused, now),
            Input::Alerted(flow) => self.on_alerted(&flow, now, &mut effects),
            Input::Tunnel(news) => self.on_tunnel(news, now, &mut effects),
            Input::Renew(kinds, reason) => self.on_renew(kinds, reason, now, &mut effects),
            Input::Reevaluate => self.evaluate(now, &mut effects),
            Input::Tick => {
                while let Some(timer) = self.timers.due(now.instant) {
                    self.on_timer(timer, now, &mut effects);
                }
            }
        }
        effects
    }

    /// For operators who ask why a host is not reached (T79).
    fn on_name_refused(&mut self, refused: RefusedName, now: Moment) {
        if self.refused_names.add(refused) {
            self.report_soon(now);
        }
    }

    fn on_started(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.settle_tokens(now);
        self.rules.welcome_with_next(false);
        self.want_names(effects);
        self.evaluate(now, effects);
    }

    fn want_names(&mut self, effects: &mut Vec<Effect>) {
        if let Some(hosts) = self.credentials.changed_names() {
            effects.push(Effect::Names(self.credentials.claims.head.sub.user.clone(), hosts));
        }
    }

    fn on_timer(&mut self, timer: Timer, now: Moment, effects: &mut Vec<Effect>) {
        match timer {
            Timer::Expiry => self.on_expiry(now, effects),
            Timer::ExpiredEnd => self.end(ErrorCode::TokenExpired, "the tokens were not renewed", effects),
            Timer::Evaluate | Timer::DeviceStale => self.evaluate(now, effects),
            Timer::ClaimsFirst | Timer::ClaimsLast => {
                self.notify(vec![TokenKind::Claims], ExpiryReason::Expiry, effects);
            }
            Timer::EntitlementFirst | Timer::EntitlementLast => {
                self.notify(vec![TokenKind::Entitlement], ExpiryReason::Expiry, effects);
            }
            Timer::Detached => self.end(ErrorCode::ConnectionLost, "the connection did not come back", effects),
            Timer::Apply => self.apply(now, effects),
            Timer::DeviceClaims => self.take_waiting_device_claims(now, effects),
            Timer::Report => effects.push(Effect::Updated(self.summary())),
        }
    }

    /// Sets the timers that follow from the tokens.
    fn settle_tokens(&mut self, now: Moment) {
        for (timer, at) in self.credentials.timers() {
            self.timers.set(timer, now.instant_of(at));
        }
        self.timers.stop(Timer::ExpiredEnd);
        if self.phase == Phase::Expired && self.credentials.expires() > now.time {
            self.phase = Phase::Live;
        }
    }

    fn on_expiry(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let expires = self.credentials.expires();
        if now.time < expires {
            // Timers reach a day ahead at most.
            self.timers.set(Timer::Expiry, now.instant_of(expires));
            return;
        }
        if self.phase != Phase::Expired {
            self.phase = Phase::Expired;
            self.timers.set(Timer::ExpiredEnd, now.instant + EXPIRED);
            self.notify(vec![TokenKind::Claims, TokenKind::Entitlement], ExpiryReason::Expiry, effects);
            self.report_soon(now);
        }
    }

    fn on_tokens(&mut self, tokens: NewTokens, now: Moment, effects: &mut Vec<Effect>) {
        if let Some(claims) = tokens.claims {
            self.close_verified(&claims, effects);
            self.credentials.claims = claims;
        }
        if let Some(entitlement) = tokens.entitlement
            && let Err(error) = self.credentials.replace_entitlement(entitlement)
        {
            return self.end(ErrorCode::TokenInvalid, &error.to_string(), effects);
        }
        self.credentials.checked(tokens.checked_at);
        self.settle_tokens(now);
        self.want_names(effects);
        self.evaluate(now, effects);
    }

    fn on_renew(&mut self, kinds: Vec<TokenKind>, reason: ExpiryReason, now: Moment, effects: &mut Vec<Effect>) {
        self.notify(kinds, reason, effects);
        self.report_soon(now);
    }

    fn notify(&self, kinds: Vec<TokenKind>, reason: ExpiryReason, effects: &mut Vec<Effect>) {
        let not_after = self.credentials.not_after(&kinds);
        effects.push(Effect::Send(FromGateway::TokensExpiring { kinds, not_after, reason }));
    }

    fn end(&mut self, code: ErrorCode, message: &str, effects: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        effects.push(Effect::End(code, message.to_owned()));
    }

    fn report_soon(&mut self, now: Moment) {
        if self.connection.is_opened() && !self.timers.is_set(Timer::Report) {
            self.timers.set(Timer::Report, now.instant + REPORT_EVERY);
        }
    }
}

#[cfg(test)]
mod tests;
