//! From claims to rules: the one pure function, and when its result goes to the enforcer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringwall_protocol::authorize::{Authorization, EntitlementState};
use ringwall_protocol::claims::Facts;
use ringwall_protocol::rules::RuleSet;
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::FromGateway;
use serde_json::json;

use super::rule_state::Next;
use super::{Effect, Phase, SessionCore, Timer};
use crate::feed::audit::AuditRecord;
use crate::ports::{Install, InstallError};
use crate::support::clock::Moment;
use crate::support::entropy::Entropy;

impl SessionCore {
    /// Evaluates everything and hands over what follows.
    pub(super) fn evaluate(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.evidence.system = self.system_claims();
        let outcome = self.credentials.prepared.authorize(&self.facts(now), &ResolvedNames::default());
        let authorization = match outcome {
            Ok(authorization) => authorization,
            Err(too_many) if self.phase == Phase::Admitting => {
                return self.end(ErrorCode::PolicyTooLarge, &too_many.to_string(), effects);
            }
            Err(too_many) => self.nothing(&too_many.to_string(), now, effects),
        };
        match authorization.valid_until {
            Some(at) => self.timers.set(Timer::Evaluate, now.instant_of(at)),
            None => self.timers.stop(Timer::Evaluate),
        }
        let failing: BTreeSet<_> =
            authorization.states.iter().flat_map(|state| state.failed_conditions.iter().copied()).collect();
        for prompt_id in self.prompts.close(&failing) {
            effects.push(Effect::Send(FromGateway::InteractionClosed { prompt_id }));
        }
        let change = self.rules.authorize(authorization, now.instant);
        if change.states {
            self.report_soon(now);
        }
        match change.next {
            Next::Whole => self.apply(now, effects),
            Next::StricterUntil(later) => {
                self.apply_stricter(now, effects);
                self.timers.set(Timer::Apply, later);
            }
            Next::WaitUntil(later) => self.timers.set(Timer::Apply, later),
        }
    }

    /// What the session's conditions see.
    pub(super) fn facts(&self, now: Moment) -> Facts<'_> {
        Facts {
            user: &self.credentials.claims.user,
            device: self.evidence.device.current(now.instant),
            system: &self.evidence.system,
            step_ups: &self.credentials.claims.step_ups,
            reasons: &self.evidence.reasons.given,
            now: now.time,
        }
    }

    /// Hands the wanted rules to the enforcer if they, or their end, are not what it has.
    pub(super) fn apply(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.timers.stop(Timer::Apply);
        if self.rules.authorization().is_none() {
            return;
        }
        let expires = self.credentials.expires();
        if now.time.until(expires).is_zero() {
            return self.on_expiry(now, effects);
        }
        match self.rules.whole(expires) {
            Some(rules) => effects.push(self.install(rules, expires, now)),
            None => self.announce(effects),
        }
    }

    /// Too many changes in a second: what closed is closed now, what opened waits (T32).
    fn apply_stricter(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let (open, expires) = (self.rules.still_open(), self.credentials.expires());
        // Rights that cannot be computed are no rights.
        let rules = self.credentials.prepared.rules_of(&open, &ResolvedNames::default()).unwrap_or_default();
        if !now.time.until(expires).is_zero() {
            self.rules.hand_over(&rules, open, expires);
            effects.push(self.install(rules, expires, now));
        }
        self.rules.announce_with_next();
    }

    fn install(&self, rules: RuleSet, expires: UnixMillis, now: Moment) -> Effect {
        Effect::Install(Install {
            session: self.settings.session,
            generation: self.rules.generation(),
            checked_at: self.credentials.checked_at,
            user: self.credentials.claims.head.sub.user.clone(),
            addresses: self.settings.addresses,
            rules: Arc::new(rules),
            expires_in: now.time.until(expires),
        })
    }

    /// The enforcer answered. Only the newest answer says what is in force.
    pub(super) fn on_installed(
        &mut self,
        generation: u64,
        outcome: Result<(), InstallError>,
        now: Moment,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<Effect>,
    ) {
        match outcome {
            Ok(()) => self.in_force(generation, now, entropy, effects),
            // A newer generation went through: its answer counts.
            Err(InstallError::Stale { .. }) => {}
            Err(error) if generation < self.rules.generation() => {
                tracing::debug!(session = %self.settings.session, %error, "an outdated install was refused");
            }
            Err(error) => self.end(code_of(&error), &error.to_string(), effects),
        }
    }

    fn in_force(&mut self, generation: u64, now: Moment, entropy: &mut dyn Entropy, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Admitting {
            self.phase = Phase::Live;
        }
        if let Some(resumed) = self.rules.take_welcome(generation) {
            self.welcome(resumed, now, entropy, effects);
        }
        if self.rules.announces(generation) {
            self.announce(effects);
        }
    }

    /// Tells the Client its entitlements if it is still to be told.
    fn announce(&mut self, effects: &mut Vec<Effect>) {
        if let Some(entitlements) = self.rules.take_announcement() {
            effects.push(Effect::Send(FromGateway::Entitlements { entitlements }));
        }
    }

    /// Rights that cannot be computed are no rights.
    fn nothing(&self, why: &str, now: Moment, effects: &mut Vec<Effect>) -> Authorization {
        let record = AuditRecord::new("policy_too_large", &self.credentials.claims.head.sub, now.time);
        effects.push(Effect::Audit(record.with("reason", json!(why))));
        let closed = |state| EntitlementState { open: false, ..state };
        Authorization {
            rules: RuleSet::default(),
            states: self.rules.states().into_iter().map(closed).collect(),
            conditions: BTreeMap::new(),
            valid_until: None,
            reads: BTreeSet::new(),
        }
    }
}

/// What the Client is told of rules that could not be installed.
const fn code_of(error: &InstallError) -> ErrorCode {
    match error {
        InstallError::TooManyRuleSets { .. } => ErrorCode::TooManyRuleSets,
        InstallError::AddressHeld(_) => ErrorCode::AddressHeld,
        InstallError::Ended => ErrorCode::Revoked,
        InstallError::Stale { .. } | InstallError::Kernel(_) => ErrorCode::InstallFailed,
    }
}
