//! The pure part of a session: its phases, its current tokens and claims, and what follows from each input.
//!
//! ```text
//! Admitting ─installed→ Live ⇄ Detached (websocket lost, ≤ 30 s)      Live ─tokens' end→ Expired (≤ 10 min) ─new tokens→ Live
//!     └ refused → Ended                                                any ─goodbye, violation, time→ Ended (asked of the registry)
//! ```

mod claims;
mod connection;
mod evaluate;
mod exchange;
mod interact;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::authorize::{Authorization, PrepareError, Prepared};
use ringwall_protocol::claims::{ClaimMap, Reason, UntrustedClaims};
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::{ApplianceId, EntitlementId, LogIndex, SessionId};
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{ExpiryReason, FromGateway};

pub use exchange::{Effect, Input, NewTokens, TunnelNews};

use super::notice::Notices;
use super::prompts::Prompts;
use crate::ports::SessionAddresses;
use crate::registry::admission::Admission;
use crate::support::budget::Budget;
use crate::support::clock::Moment;
use crate::support::entropy::Entropy;
use crate::support::timers::Timers;

/// How long a session lives without its websocket.
pub const DETACHED: Duration = Duration::from_secs(30);
/// How long a session waits for new tokens after the end of its own.
pub const EXPIRED: Duration = Duration::from_secs(600);
/// Bounds of T32: changes of the rules, device claims, answers, requests for attach tokens.
const RULE_CHANGES: (usize, Duration) = (2, Duration::from_secs(1));
const DEVICE_CLAIMS: (usize, Duration) = (1, Duration::from_secs(1));
const REASONS: (usize, Duration) = (6, Duration::from_secs(60));
const ATTACHES: (usize, Duration) = (20, Duration::from_secs(10));
/// Watched flows that are audited; the kernel passes on 20 a second at most.
const ALERTS: (usize, Duration) = (60, Duration::from_secs(60));
/// Suffixes under which a session keeps reasons: more than a token can ask for sensibly.
const MAX_REASONS: usize = 64;
/// A changed session is reported at most this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What never changes in a session, and what the Gateway is like.
#[derive(Debug, Clone)]
pub struct SessionSettings {
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
pub struct SessionCore {
    settings: SessionSettings,
    phase: Phase,
    claims: ClaimsToken,
    prepared: Prepared,
    certificate_until: UnixMillis,
    checked_at: LogIndex,
    connect_seq: u64,
    since: UnixMillis,
    peer: SocketAddr,
    /// Of the peer's address, if a database says.
    country: Option<String>,
    system: ClaimMap,
    device: Device,
    reasons: BTreeMap<String, Reason>,
    /// Names that were last said to be wanted.
    names: BTreeSet<Host>,
    authorization: Option<Authorization>,
    wanted: Wanted,
    prompts: Prompts,
    socket: Option<SocketId>,
    tunnel: Option<SocketAddr>,
    timers: Timers<Timer>,
    budgets: Budgets,
    opened: bool,
}

#[derive(Debug)]
struct Device {
    claims: UntrustedClaims,
    heard: Instant,
    /// Came too early; takes effect when the budget allows.
    waiting: Option<UntrustedClaims>,
}

/// What was handed to the enforcer last.
#[derive(Debug, Default)]
struct Wanted {
    generation: u64,
    rules: Option<(ringwall_protocol::rules::RuleSetHash, UnixMillis)>,
    /// Entitlements whose rules these are.
    open: BTreeSet<EntitlementId>,
    /// The Client is told `welcome` when this generation is in force; `true`: it resumes.
    welcome: Option<(u64, bool)>,
    /// The Client is told its entitlements when this generation is in force.
    announce: Option<u64>,
}

#[derive(Debug)]
struct Budgets {
    rules: Budget,
    device: Budget,
    reasons: Budget,
    attaches: Budget,
    alerts: Budget,
}

impl SessionCore {
    /// A session that the registry has registered, its first websocket being `socket`.
    ///
    /// # Errors
    /// If the entitlement token cannot be evaluated.
    pub fn new(
        settings: SessionSettings,
        socket: SocketId,
        admission: Admission,
        checked_at: LogIndex,
        now: Moment,
    ) -> Result<Self, PrepareError> {
        let budget = |(limit, window)| Budget::new(limit, window);
        let mut core = Self {
            settings,
            phase: Phase::Admitting,
            claims: admission.claims.into_inner(),
            prepared: Prepared::new(admission.entitlement.into_inner())?,
            certificate_until: admission.certificate_until,
            checked_at,
            connect_seq: admission.connect_seq,
            since: now.time,
            peer: admission.peer,
            country: admission.country,
            system: ClaimMap::default(),
            device: Device { claims: admission.device, heard: now.instant, waiting: None },
            reasons: BTreeMap::new(),
            names: BTreeSet::new(),
            authorization: None,
            wanted: Wanted::default(),
            prompts: Prompts::default(),
            socket: Some(socket),
            tunnel: None,
            timers: Timers::default(),
            budgets: Budgets {
                rules: budget(RULE_CHANGES),
                device: budget(DEVICE_CLAIMS),
                reasons: budget(REASONS),
                attaches: budget(ATTACHES),
                alerts: budget(ALERTS),
            },
            opened: false,
        };
        core.note_device(now.instant);
        Ok(core)
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.settings.session
    }

    /// When [`Input::Tick`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What follows from an input.
    pub fn handle(&mut self, input: Input, now: Moment, entropy: &mut dyn Entropy) -> Vec<Effect> {
        let mut effects = vec![];
        if self.phase == Phase::Ended {
            return effects;
        }
        match input {
            Input::Started => self.on_started(now, &mut effects),
            Input::Client(socket, message) if self.socket == Some(socket) => {
                self.on_client(message, now, entropy, &mut effects);
            }
            Input::SocketLost(socket) if self.socket == Some(socket) => self.on_socket_lost(now, &mut effects),
            Input::Client(..) | Input::SocketLost(_) => {}
            Input::Resumed(socket, admission, checked_at) => {
                self.on_resumed(socket, *admission, checked_at, now, &mut effects);
            }
            Input::Tokens(tokens) => self.on_tokens(*tokens, now, &mut effects),
            Input::Installed(generation, outcome) => self.on_installed(generation, outcome, now, entropy, &mut effects),
            Input::Blocked(flow, names) => self.on_blocked(&flow, &names, now, entropy, &mut effects),
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

    fn on_started(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.settle_tokens(now);
        self.welcome_after_install(false);
        self.want_names(effects);
        self.evaluate(now, effects);
    }

    /// Of every entitlement, open or not: what is blocked is told apart by name as well.
    fn want_names(&mut self, effects: &mut Vec<Effect>) {
        let names = self.prepared.names();
        if names != self.names {
            self.names.clone_from(&names);
            effects.push(Effect::Names(names));
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
        let claims = Notices::of(&self.claims.head);
        let entitlement = Notices::of(&self.prepared.token().head);
        let timers = [
            (Timer::ClaimsFirst, claims.first),
            (Timer::ClaimsLast, claims.last),
            (Timer::EntitlementFirst, entitlement.first),
            (Timer::EntitlementLast, entitlement.last),
            (Timer::Expiry, self.expires()),
        ];
        for (timer, at) in timers {
            self.timers.set(timer, now.instant_of(at));
        }
        self.timers.stop(Timer::ExpiredEnd);
        if self.phase == Phase::Expired && self.expires() > now.time {
            self.phase = Phase::Live;
        }
    }

    /// The end of what holds the session: tokens, certificate, sign-in.
    fn expires(&self) -> UnixMillis {
        let seconds = [self.claims.head.exp, self.prepared.token().head.exp, self.claims.sign_in_until];
        seconds.into_iter().map(UnixMillis::from_seconds).fold(self.certificate_until, UnixMillis::min)
    }

    fn on_expiry(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if now.time < self.expires() {
            // Timers reach a day ahead at most.
            self.timers.set(Timer::Expiry, now.instant_of(self.expires()));
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
            self.claims = claims;
        }
        if let Some(entitlement) = tokens.entitlement {
            match Prepared::new(entitlement) {
                Ok(prepared) => self.prepared = prepared,
                Err(error) => return self.end(ErrorCode::TokenInvalid, &error.to_string(), effects),
            }
        }
        self.checked_at = self.checked_at.max(tokens.checked_at);
        self.settle_tokens(now);
        self.want_names(effects);
        self.evaluate(now, effects);
    }

    fn on_renew(&mut self, kinds: Vec<TokenKind>, reason: ExpiryReason, now: Moment, effects: &mut Vec<Effect>) {
        self.notify(kinds, reason, effects);
        self.report_soon(now);
    }

    fn notify(&self, kinds: Vec<TokenKind>, reason: ExpiryReason, effects: &mut Vec<Effect>) {
        let ends = |kind: &TokenKind| match kind {
            TokenKind::Entitlement | TokenKind::Administration => self.prepared.token().head.exp,
            TokenKind::Claims | TokenKind::AdminClaims => self.claims.head.exp,
        };
        let not_after = kinds.iter().map(ends).min().map_or(UnixMillis(0), UnixMillis::from_seconds);
        effects.push(Effect::Send(FromGateway::TokensExpiring { kinds, not_after, reason }));
    }

    fn end(&mut self, code: ErrorCode, message: &str, effects: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        effects.push(Effect::End(code, message.to_owned()));
    }

    fn report_soon(&mut self, now: Moment) {
        if self.opened && !self.timers.is_set(Timer::Report) {
            self.timers.set(Timer::Report, now.instant + REPORT_EVERY);
        }
    }
}

#[cfg(test)]
mod tests;
