//! What a user can do about a blocked flow.

use std::collections::BTreeSet;

use super::{Authorization, Prepared};
use crate::claims::Facts;
use crate::entitlement::Logic;
use crate::id::{ConditionId, EntitlementId};
use crate::interaction::{Interaction, InteractionKind, InteractionRef};
use crate::rules::compile::{ResolvedNames, compile};
use crate::rules::matching::Flow;

/// An interaction that may open the way for a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// The entitlement that would open.
    pub entitlement: EntitlementId,
    /// The interaction.
    pub interaction: InteractionRef,
    /// Its kind.
    pub kind: InteractionKind,
    /// For messages: the user can mend the cause.
    pub blocking: bool,
}

impl Prepared {
    /// Interactions that could let `flow` pass, in the order in which they are to be offered. Of a condition that needs
    /// all its interactions (`remedyLogic: and`) the one whose turn it is; of one that needs one of them (`or`) all that
    /// want an answer, and the user chooses (S51). Empty if the flow passes already, or nothing would help.
    #[must_use]
    pub fn would_help(&self, flow: &Flow, now: &Authorization, facts: &Facts<'_>, names: &ResolvedNames) -> Vec<Help> {
        if now.rules.passes(flow) {
            return Vec::new();
        }
        let mut offered = BTreeSet::new();
        let mut help = Vec::new();
        for (at, state) in now.states.iter().enumerate().filter(|(_, state)| !state.open) {
            if !self.would_pass(at, flow, now, names) {
                continue;
            }
            for id in &state.failed_conditions {
                if offered.insert(*id) {
                    help.extend(self.offers(*id, facts).map(|(index, interaction)| Help {
                        entitlement: state.id,
                        interaction: InteractionRef { condition_id: *id, interaction_index: index },
                        kind: interaction.kind,
                        blocking: interaction.blocking,
                    }));
                }
                // With `or` one condition is enough: the first that offers anything.
                if self.token.entitlements[at].condition_logic == Logic::Or && !help.is_empty() {
                    break;
                }
            }
        }
        help
    }

    /// Whether the flow would pass if this entitlement were open beside those that are.
    fn would_pass(&self, at: usize, flow: &Flow, now: &Authorization, names: &ResolvedNames) -> bool {
        let open = |(index, state): (usize, &super::EntitlementState)| state.open || index == at;
        let actions =
            now.states.iter().enumerate().filter(|entry| open(*entry)).flat_map(|(index, _)| &self.actions[index]);
        compile(actions, names).is_ok_and(|rules| rules.passes(flow))
    }

    /// Messages of the condition, then what wants an answer: the one whose turn it is, or all of which one is needed.
    fn offers(&self, id: ConditionId, facts: &Facts<'_>) -> impl Iterator<Item = (u8, &Interaction)> {
        let condition = self.token.conditions.get(&id);
        let interactions = condition.map_or(&[][..], |condition| &condition.interactions);
        let numbered =
            || interactions.iter().enumerate().filter_map(|(index, it)| Some((u8::try_from(index).ok()?, it)));
        let messages = numbered().filter(|(_, it)| it.kind == InteractionKind::DisplayMessage);
        let mut answerable: Vec<_> = numbered().filter(|(_, it)| it.kind != InteractionKind::DisplayMessage).collect();
        answerable.sort_by_key(|(index, it)| (answered_at(it, facts), *index));
        if condition.is_none_or(|condition| condition.remedy_logic == Logic::And) {
            answerable.truncate(1);
        }
        messages.chain(answerable)
    }
}

/// When the interaction was last answered; 0 if never, so that the unanswered come first and then the oldest.
fn answered_at(interaction: &Interaction, facts: &Facts<'_>) -> u64 {
    let suffix = interaction.claim_suffix.as_deref().unwrap_or_default();
    match interaction.kind {
        InteractionKind::Reason => facts.reasons.get(suffix).map_or(0, |reason| reason.at.0),
        InteractionKind::OtpAuthentication | InteractionKind::PasswordAuthentication => {
            facts.step_ups.get(suffix).map_or(0, |proof| proof.at.0)
        }
        InteractionKind::DisplayMessage => 0,
    }
}
