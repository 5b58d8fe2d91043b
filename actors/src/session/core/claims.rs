//! Claims of the device and of the system: taken over, compared, and evaluated only if a condition read what changed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringwall_protocol::claims::{ClaimMap, DEVICE_CLAIM_MAX_AGE, UntrustedClaims};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::FromGateway;
use serde_json::{Value, json};

use super::{Effect, SessionCore, Timer};
use crate::support::budget::Budget;
use crate::support::clock::Moment;

/// Device claims that are looked at (T32).
const DEVICE_CLAIMS: (usize, Duration) = (1, Duration::from_secs(1));

/// What the device last said of itself.
#[derive(Debug)]
pub(super) struct DeviceClaims {
    pub(super) claims: UntrustedClaims,
    heard: Instant,
    /// Came too early; takes effect when the budget allows.
    waiting: Option<UntrustedClaims>,
    budget: Budget,
}

/// What newly heard claims change.
#[derive(Debug, PartialEq, Eq)]
struct DeviceChange {
    /// Paths of the claims that differ from the former ones.
    paths: Vec<String>,
    /// The former ones no longer counted.
    was_stale: bool,
}

impl DeviceClaims {
    pub(super) const fn new(claims: UntrustedClaims, heard: Instant) -> Self {
        let (limit, window) = DEVICE_CLAIMS;
        Self { claims, heard, waiting: None, budget: Budget::new(limit, window) }
    }

    /// Takes over what an admission brought; the budget goes on.
    pub(super) fn resume(&mut self, claims: UntrustedClaims, heard: Instant) {
        self.claims = claims;
        self.heard = heard;
        self.waiting = None;
    }

    /// Claims that still count: those that are not heard again in time count as absent.
    pub(super) fn current(&self, now: Instant) -> Option<&UntrustedClaims> {
        (!self.is_stale(now)).then_some(&self.claims)
    }

    /// When they stop to count.
    pub(super) fn stale_at(&self) -> Instant {
        self.heard + DEVICE_CLAIM_MAX_AGE
    }

    fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= DEVICE_CLAIM_MAX_AGE
    }

    /// True if claims may be taken over now. If not they wait until the returned time, and only the newest count: what
    /// came between is never looked at.
    fn admit(&mut self, claims: UntrustedClaims, now: Instant) -> Result<UntrustedClaims, Instant> {
        if self.budget.spend(now) {
            return Ok(claims);
        }
        self.waiting = Some(claims);
        Err(self.budget.next(now))
    }

    fn take(&mut self, claims: UntrustedClaims, now: Instant) -> DeviceChange {
        let change = DeviceChange { paths: changed_paths(&self.claims.0, &claims.0), was_stale: self.is_stale(now) };
        self.resume(claims, now);
        change
    }
}

impl SessionCore {
    pub(super) fn on_device_claims(&mut self, claims: UntrustedClaims, now: Moment, effects: &mut Vec<Effect>) {
        if let Err(error) = claims.0.check() {
            let message = error.to_string();
            return effects.push(Effect::Send(FromGateway::Refused { code: ErrorCode::Invalid, message }));
        }
        match self.evidence.device.admit(claims, now.instant) {
            Ok(claims) => self.take_device_claims(claims, now, effects),
            Err(later) => self.timers.set(Timer::DeviceClaims, later),
        }
    }

    pub(super) fn take_waiting_device_claims(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if let Some(claims) = self.evidence.device.waiting.take() {
            self.on_device_claims(claims, now, effects);
        }
    }

    fn take_device_claims(&mut self, claims: UntrustedClaims, now: Moment, effects: &mut Vec<Effect>) {
        let change = self.evidence.device.take(claims, now.instant);
        self.note_device();
        if !change.paths.is_empty() {
            self.prompts.device_changed();
            self.report_soon(now);
        }
        let read = |path: &str| self.rules.depends_on(path);
        if change.paths.iter().any(|path| read(path)) || (change.was_stale && read("device")) {
            self.evaluate(now, effects);
        }
    }

    /// Device claims that are not heard again in time count as absent.
    pub(super) fn note_device(&mut self) {
        self.timers.set(Timer::DeviceStale, self.evidence.device.stale_at());
    }

    /// System claims: the Controllers', and over them what only this Gateway can say.
    pub(super) fn system_claims(&self) -> ClaimMap {
        let mut system = self.credentials.claims.system.clone();
        let mut say = |name: &str, value: Value| system.0.insert(name.to_owned(), value);
        say("clientSrcIP", json!(self.origin.peer.ip()));
        say("tunIPv4", json!(self.settings.addresses.v4));
        say("tunIPv6", json!(self.settings.addresses.v6));
        say("connectTime", json!(self.origin.since));
        say("gatewayId", json!(self.settings.gateway));
        say("siteId", json!(self.credentials.prepared.token().head.aud));
        match &self.origin.country {
            Some(country) => say("country", json!(country)),
            // Only this Gateway knows where the Client is now.
            None => system.0.remove("country"),
        };
        system
    }
}

/// Paths of the claims that differ.
fn changed_paths(former: &ClaimMap, now: &ClaimMap) -> Vec<String> {
    let names: BTreeSet<&String> = former.0.keys().chain(now.0.keys()).collect();
    let differing = names.into_iter().filter(|name| former.0.get(*name) != now.0.get(*name));
    differing.map(|name| format!("device.{name}")).collect()
}
