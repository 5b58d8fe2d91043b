//! From claims to rules: the one pure function, and when its result goes to the enforcer.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringwall_protocol::authorize::Authorization;
use ringwall_protocol::claims::{DEVICE_CLAIM_MAX_AGE, Facts};
use ringwall_protocol::id::EntitlementId;
use ringwall_protocol::rules::RuleSet;
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::FromGateway;
use serde_json::json;

use super::{Effect, Phase, SessionCore, Timer};
use crate::feed::audit::AuditRecord;
use crate::ports::{Install, InstallError};
use crate::support::clock::Moment;
use crate::support::entropy::Entropy;

impl SessionCore {
    /// Evaluates everything and hands over what follows.
    pub(super) fn evaluate(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.compose_system();
        let outcome = self.prepared.authorize(&self.facts(now), &ResolvedNames::default());
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
        let narrower = self.authorization.as_ref().is_none_or(|former| closes(former, &authorization));
        let wider = !authorization.open().is_subset(&self.wanted.open);
        let changed = self.authorization.as_ref().is_some_and(|former| former.states != authorization.states);
        self.authorization = Some(authorization);
        if changed {
            self.wanted.announce = Some(self.wanted.generation + 1);
            self.report_soon(now);
        }
        let forced = (narrower && !wider) || self.wanted.welcome.is_some();
        if forced || self.budgets.rules.spend(now.instant) {
            return self.apply(now, effects);
        }
        if narrower {
            self.apply_stricter(now, effects);
        }
        self.timers.set(Timer::Apply, self.budgets.rules.next(now.instant));
    }

    /// What the session's conditions see.
    pub(super) fn facts(&self, now: Moment) -> Facts<'_> {
        let age = now.instant.saturating_duration_since(self.device.heard);
        Facts {
            user: &self.claims.user,
            device: (age < DEVICE_CLAIM_MAX_AGE).then_some(&self.device.claims),
            system: &self.system,
            step_ups: &self.claims.step_ups,
            reasons: &self.reasons,
            now: now.time,
        }
    }

    /// Hands the wanted rules to the enforcer if they, or their end, are not what it has.
    pub(super) fn apply(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.timers.stop(Timer::Apply);
        let Some(authorization) = &self.authorization else { return };
        let (rules, open) = (authorization.rules.clone(), authorization.open());
        let expires = self.expires();
        if now.time.until(expires).is_zero() {
            return self.on_expiry(now, effects);
        }
        if self.wanted.rules == Some((rules.hash(), expires)) && self.wanted.welcome.is_none() {
            return self.announce_now(effects);
        }
        self.hand_over(rules, open, now, effects);
        if let Some((generation, _)) = &mut self.wanted.welcome {
            *generation = self.wanted.generation;
        }
        if let Some(generation) = &mut self.wanted.announce {
            *generation = self.wanted.generation;
        }
    }

    /// Too many changes in a second: what closed is closed now, what opened waits (T32).
    fn apply_stricter(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Some(authorization) = &self.authorization else { return };
        let both: BTreeSet<_> = authorization.open().intersection(&self.wanted.open).copied().collect();
        // Rights that cannot be computed are no rights.
        let rules = self.prepared.rules_of(&both, &ResolvedNames::default()).unwrap_or_default();
        if !now.time.until(self.expires()).is_zero() {
            self.hand_over(rules, both, now, effects);
        }
        // Only the whole is told to the Client.
        if let Some(generation) = &mut self.wanted.announce {
            *generation = self.wanted.generation + 1;
        }
    }

    fn hand_over(&mut self, rules: RuleSet, open: BTreeSet<EntitlementId>, now: Moment, effects: &mut Vec<Effect>) {
        let expires = self.expires();
        self.wanted.rules = Some((rules.hash(), expires));
        self.wanted.open = open;
        self.wanted.generation += 1;
        effects.push(Effect::Install(Install {
            session: self.settings.session,
            generation: self.wanted.generation,
            checked_at: self.checked_at,
            addresses: self.settings.addresses,
            rules: Arc::new(rules),
            expires_in: now.time.until(expires),
        }));
    }

    pub(super) fn welcome_after_install(&mut self, resumed: bool) {
        self.wanted.welcome = Some((self.wanted.generation + 1, resumed));
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
            Ok(()) => {
                if self.phase == Phase::Admitting {
                    self.phase = Phase::Live;
                }
                if let Some((_, resumed)) = self.wanted.welcome.take_if(|(wanted, _)| *wanted <= generation) {
                    self.wanted.announce = None;
                    self.welcome(resumed, now, entropy, effects);
                }
                if self.wanted.announce.is_some_and(|wanted| wanted <= generation) {
                    self.announce_now(effects);
                }
            }
            // A newer generation went through: its answer counts.
            Err(InstallError::Stale { .. }) => {}
            Err(error) if generation < self.wanted.generation => {
                tracing::debug!(session = %self.settings.session, %error, "an outdated install was refused");
            }
            Err(error) => {
                let code = match error {
                    InstallError::TooManyRuleSets { .. } => ErrorCode::TooManyRuleSets,
                    InstallError::AddressHeld(_) => ErrorCode::AddressHeld,
                    InstallError::Ended => ErrorCode::Revoked,
                    InstallError::Stale { .. } | InstallError::Kernel(_) => ErrorCode::InstallFailed,
                };
                self.end(code, &error.to_string(), effects);
            }
        }
    }

    fn announce_now(&mut self, effects: &mut Vec<Effect>) {
        if self.wanted.announce.take().is_some() {
            let entitlements = self.states();
            effects.push(Effect::Send(FromGateway::Entitlements { entitlements }));
        }
    }

    /// Rights that cannot be computed are no rights.
    fn nothing(&self, why: &str, now: Moment, effects: &mut Vec<Effect>) -> Authorization {
        let record = AuditRecord::new("policy_too_large", &self.claims.head.sub, now.time);
        effects.push(Effect::Audit(record.with("reason", json!(why))));
        Authorization {
            rules: RuleSet::default(),
            states: self
                .states()
                .into_iter()
                .map(|state| ringwall_protocol::authorize::EntitlementState { open: false, ..state })
                .collect(),
            conditions: std::collections::BTreeMap::new(),
            valid_until: None,
            reads: BTreeSet::new(),
        }
    }
}

/// Whether something that was open no longer is, or is another thing.
fn closes(former: &Authorization, now: &Authorization) -> bool {
    let (former_open, now_open) = (former.open(), now.open());
    // The same entitlements with other rules: a new token, or resolved names; it may be narrower.
    !former_open.is_subset(&now_open) || (former_open == now_open && former.rules != now.rules)
}
