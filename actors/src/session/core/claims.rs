//! Claims of the device and of the system: taken over, compared, and evaluated only if a condition read what changed.

use std::time::Instant;

use ringwall_protocol::claims::{ClaimMap, DEVICE_CLAIM_MAX_AGE, UntrustedClaims};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::FromGateway;
use serde_json::{Value, json};

use super::{Effect, SessionCore, Timer};
use crate::support::clock::Moment;

impl SessionCore {
    pub(super) fn on_device_claims(&mut self, claims: UntrustedClaims, now: Moment, effects: &mut Vec<Effect>) {
        if let Err(error) = claims.0.check() {
            let message = error.to_string();
            return effects.push(Effect::Send(FromGateway::Refused { code: ErrorCode::Invalid, message }));
        }
        if self.budgets.device.spend(now.instant) {
            self.take_device_claims(claims, now, effects);
        } else {
            // Only the newest counts: what came between is never looked at.
            self.device.waiting = Some(claims);
            self.timers.set(Timer::DeviceClaims, self.budgets.device.next(now.instant));
        }
    }

    pub(super) fn take_waiting_device_claims(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if let Some(claims) = self.device.waiting.take() {
            self.on_device_claims(claims, now, effects);
        }
    }

    fn take_device_claims(&mut self, claims: UntrustedClaims, now: Moment, effects: &mut Vec<Effect>) {
        let was_stale = now.instant.saturating_duration_since(self.device.heard) >= DEVICE_CLAIM_MAX_AGE;
        let changed = changed_paths(&self.device.claims.0, &claims.0);
        self.device.claims = claims;
        self.device.waiting = None;
        self.device.heard = now.instant;
        self.note_device(now.instant);
        if !changed.is_empty() {
            self.prompts.device_changed();
            self.report_soon(now);
        }
        let read = |path: &str| self.authorization.as_ref().is_none_or(|current| current.depends_on(path));
        if changed.iter().any(|path| read(path)) || (was_stale && read("device")) {
            self.evaluate(now, effects);
        }
    }

    /// Device claims that are not heard again in time count as absent.
    pub(super) fn note_device(&mut self, heard: Instant) {
        self.timers.set(Timer::DeviceStale, heard + DEVICE_CLAIM_MAX_AGE);
    }

    /// System claims: the Controllers', and over them what only this Gateway can say.
    pub(super) fn compose_system(&mut self) {
        let mut system = self.claims.system.clone();
        let mut say = |name: &str, value: Value| system.0.insert(name.to_owned(), value);
        say("clientSrcIP", json!(self.peer.ip()));
        say("tunIPv4", json!(self.settings.addresses.v4));
        say("tunIPv6", json!(self.settings.addresses.v6));
        say("connectTime", json!(self.since));
        say("gatewayId", json!(self.settings.gateway));
        say("siteId", json!(self.prepared.token().head.aud));
        match &self.country {
            Some(country) => say("country", json!(country)),
            // Only this Gateway knows where the Client is now.
            None => system.0.remove("country"),
        };
        self.system = system;
    }
}

/// Paths of the claims that differ.
fn changed_paths(former: &ClaimMap, now: &ClaimMap) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = former.0.keys().chain(now.0.keys()).collect();
    let differing = names.into_iter().filter(|name| former.0.get(*name) != now.0.get(*name));
    differing.map(|name| format!("device.{name}")).collect()
}
