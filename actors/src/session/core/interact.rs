//! Blocked packets and answers: what would help is shown, what the user says is taken over.

use ringwall_protocol::id::PromptId;
use ringwall_protocol::interaction::{InteractionKind, Prompt};
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::session::FromGateway;
use serde_json::json;

use super::reasons::{Answer, suffix_of};
use super::{Effect, Phase, SessionCore};
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
        let Some(current) = self.rules.authorization() else { return };
        if self.phase != Phase::Live || self.connection.is_detached() {
            return;
        }
        let help = self.credentials.prepared.would_help(flow, current, &self.facts(now), names);
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
        if !self.alerts.spend(now.instant) {
            return metrics::counter!("ringwall_alerts_not_audited_total").increment(1);
        }
        let record = self.record("ip_access", now).with("action", json!("alert"));
        let record = record.with("direction", json!(flow.direction)).with("protocol", json!(flow.protocol));
        effects.push(Effect::Audit(record.with("destination", json!(flow.remote)).with("port", json!(flow.port))));
    }

    pub(super) fn on_reason(&mut self, id: PromptId, text: &str, now: Moment, effects: &mut Vec<Effect>) {
        let read = self.evidence.reasons.read((id, text), &self.prompts, &self.credentials.prepared, now);
        let Answer { suffix, reason, prompt } = match read {
            Ok(answer) => answer,
            Err((code, message)) => return effects.push(Effect::Send(FromGateway::Refused { code, message })),
        };
        let record = self.record("interaction_answered", now);
        let record = record.with("condition_id", json!(prompt.interaction.condition_id));
        effects.push(Effect::Audit(record.with("reason", json!(reason.text))));
        self.evidence.reasons.given.insert(suffix, reason);
        self.prompts.answered(id);
        effects.push(Effect::Send(FromGateway::InteractionClosed { prompt_id: id }));
        self.report_soon(now);
        self.evaluate(now, effects);
    }

    /// A Controller verified answers: what asked for them is done, whatever the conditions say now.
    pub(super) fn close_verified(&mut self, new: &ClaimsToken, effects: &mut Vec<Effect>) {
        let verified = |prompt: &&Prompt| {
            let by_controller =
                matches!(prompt.kind, InteractionKind::OtpAuthentication | InteractionKind::PasswordAuthentication);
            let suffix = suffix_of(prompt, &self.credentials.prepared).unwrap_or_default();
            by_controller && new.step_ups.get(&suffix) != self.credentials.claims.step_ups.get(&suffix)
        };
        let done: Vec<PromptId> = self.prompts.open().filter(verified).map(|prompt| prompt.prompt_id).collect();
        for prompt_id in done {
            self.prompts.answered(prompt_id);
            effects.push(Effect::Send(FromGateway::InteractionClosed { prompt_id }));
        }
    }
}
