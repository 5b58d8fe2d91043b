//! Blocked packets and answers: what would help is shown, what the user says is taken over.

use ringwall_protocol::claims::Reason;
use ringwall_protocol::id::PromptId;
use ringwall_protocol::interaction::{InteractionKind, Prompt};
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::FromGateway;
use serde_json::json;

use super::{Effect, MAX_REASONS, Phase, SessionCore};
use crate::support::clock::Moment;
use crate::support::entropy::Entropy;

impl SessionCore {
    pub(super) fn on_blocked(
        &mut self,
        flow: &Flow,
        names: &ResolvedNames,
        now: Moment,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<Effect>,
    ) {
        let Some(current) = &self.authorization else { return };
        if self.phase != Phase::Live || self.socket.is_none() {
            return;
        }
        let help = self.prepared.would_help(flow, current, &self.facts(now), names);
        let destination = std::net::SocketAddr::new(flow.remote, flow.port).to_string();
        for prompt in self.prompts.offer(help, &destination, now.instant, entropy) {
            let record = self.record("interaction_prompted", now);
            let record = record.with("condition_id", json!(prompt.interaction.condition_id));
            effects.push(Effect::Audit(record.with("destination", json!(prompt.destination))));
            effects.push(Effect::Send(FromGateway::Interaction(prompt)));
        }
    }

    /// A flow that an `alert` action let pass (S44): said to the audit, within a budget.
    pub(super) fn on_alerted(&mut self, flow: &Flow, now: Moment, effects: &mut Vec<Effect>) {
        if !self.budgets.alerts.spend(now.instant) {
            return metrics::counter!("ringwall_alerts_not_audited_total").increment(1);
        }
        let record = self.record("ip_access", now).with("action", json!("alert"));
        let record = record.with("direction", json!(flow.direction)).with("protocol", json!(flow.protocol));
        effects.push(Effect::Audit(record.with("destination", json!(flow.remote)).with("port", json!(flow.port))));
    }

    pub(super) fn on_reason(&mut self, id: PromptId, text: &str, now: Moment, effects: &mut Vec<Effect>) {
        match self.read_reason(id, text, now) {
            Ok((suffix, reason, prompt)) => {
                let record = self.record("interaction_answered", now);
                let record = record.with("condition_id", json!(prompt.interaction.condition_id));
                effects.push(Effect::Audit(record.with("reason", json!(reason.text))));
                self.reasons.insert(suffix, reason);
                self.prompts.answered(id);
                effects.push(Effect::Send(FromGateway::InteractionClosed { prompt_id: id }));
                self.report_soon(now);
                self.evaluate(now, effects);
            }
            Err((code, message)) => effects.push(Effect::Send(FromGateway::Refused { code, message })),
        }
    }

    fn read_reason(
        &mut self,
        id: PromptId,
        text: &str,
        now: Moment,
    ) -> Result<(String, Reason, Prompt), (ErrorCode, String)> {
        if !self.budgets.reasons.spend(now.instant) {
            return Err((ErrorCode::Busy, "too many reasons in a minute".to_owned()));
        }
        let open = self.prompts.find(id).filter(|prompt| prompt.kind == InteractionKind::Reason);
        let prompt = open.cloned().ok_or_else(|| (ErrorCode::NotFound, "no such prompt is open".to_owned()))?;
        let suffix = self
            .suffix_of(&prompt)
            .ok_or_else(|| (ErrorCode::NotFound, "the prompt's condition is gone".to_owned()))?;
        let reason = Reason::parse(text, now.time).map_err(|error| (ErrorCode::Invalid, error.to_string()))?;
        if self.reasons.len() >= MAX_REASONS && !self.reasons.contains_key(&suffix) {
            return Err((ErrorCode::Busy, "too many reasons in this session".to_owned()));
        }
        Ok((suffix, reason, prompt))
    }

    /// A Controller verified answers: what asked for them is done, whatever the conditions say now.
    pub(super) fn close_verified(&mut self, new: &ClaimsToken, effects: &mut Vec<Effect>) {
        let verified = |prompt: &&Prompt| {
            let by_controller =
                matches!(prompt.kind, InteractionKind::OtpAuthentication | InteractionKind::PasswordAuthentication);
            let suffix = self.suffix_of(prompt).unwrap_or_default();
            by_controller && new.step_ups.get(&suffix) != self.claims.step_ups.get(&suffix)
        };
        let done: Vec<PromptId> = self.prompts.open().filter(verified).map(|prompt| prompt.prompt_id).collect();
        for prompt_id in done {
            self.prompts.answered(prompt_id);
            effects.push(Effect::Send(FromGateway::InteractionClosed { prompt_id }));
        }
    }

    /// Under which name the answer is found, from the signed token and never from the Client.
    fn suffix_of(&self, prompt: &Prompt) -> Option<String> {
        let condition = self.prepared.token().conditions.get(&prompt.interaction.condition_id)?;
        condition.interactions.get(usize::from(prompt.interaction.interaction_index))?.claim_suffix.clone()
    }
}
