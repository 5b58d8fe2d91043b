//! Which prompts a session shows, and which are open: one that wants an answer per condition, or one for
//! each of its alternatives; each interaction at most once a minute, at most ten prompts a minute. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringwall_protocol::authorize::Help;
use ringwall_protocol::id::{ConditionId, PromptId};
use ringwall_protocol::interaction::{InteractionKind, InteractionRef, Prompt};

use crate::support::budget::Budget;
use crate::support::entropy::{Entropy, draw};

/// One interaction is shown at most once within this.
const AGAIN: Duration = Duration::from_secs(60);
/// Prompts within [`AGAIN`], all conditions together.
const PER_MINUTE: usize = 10;

/// All prompts of one session.
#[derive(Debug)]
pub(crate) struct Prompts {
    /// Prompts that want an answer.
    open: BTreeMap<InteractionRef, Prompt>,
    shown: BTreeMap<InteractionRef, Instant>,
    budget: Budget,
}

impl Default for Prompts {
    fn default() -> Self {
        Self { open: BTreeMap::new(), shown: BTreeMap::new(), budget: Budget::new(PER_MINUTE, AGAIN) }
    }
}

impl Prompts {
    /// What to show of what would help.
    pub(crate) fn offer(
        &mut self,
        help: Vec<Help>,
        destination: &str,
        now: Instant,
        entropy: &mut dyn Entropy,
    ) -> Vec<Prompt> {
        // What is no longer asked for a condition that asks for something else gives way to it.
        let offered: BTreeSet<_> = help.iter().map(|help| help.interaction).collect();
        let asking: BTreeSet<_> = offered.iter().map(|interaction| interaction.condition_id).collect();
        self.open.retain(|it, _| offered.contains(it) || !asking.contains(&it.condition_id));
        let mut shown = vec![];
        for help in help {
            let recent = self.shown.get(&help.interaction).is_some_and(|at| now.saturating_duration_since(*at) < AGAIN);
            if recent || !self.budget.spend(now) {
                continue;
            }
            self.shown.insert(help.interaction, now);
            shown.push(self.prompt(&help, destination, entropy));
        }
        shown
    }

    /// The open prompt that is shown again, or a new one.
    fn prompt(&mut self, help: &Help, destination: &str, entropy: &mut dyn Entropy) -> Prompt {
        if let Some(open) = self.open.get(&help.interaction) {
            return open.clone();
        }
        let prompt = Prompt {
            prompt_id: PromptId::from_random(draw(entropy)),
            interaction: help.interaction,
            kind: help.kind,
            entitlement_id: help.entitlement,
            destination: destination.to_owned(),
            blocking: help.blocking,
        };
        if help.kind != InteractionKind::DisplayMessage {
            self.open.insert(help.interaction, prompt.clone());
        }
        prompt
    }

    /// The open prompt with this id.
    #[must_use]
    pub(crate) fn find(&self, id: PromptId) -> Option<&Prompt> {
        self.open.values().find(|prompt| prompt.prompt_id == id)
    }

    /// All open prompts, for a Client that comes back.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Prompt> {
        self.open.values()
    }

    /// A prompt was answered.
    pub(crate) fn answered(&mut self, id: PromptId) {
        self.open.retain(|_, prompt| prompt.prompt_id != id);
    }

    /// Takes out the prompts of conditions that hold now.
    pub(crate) fn close(&mut self, failing: &BTreeSet<ConditionId>) -> Vec<PromptId> {
        let done = self.open.extract_if(.., |interaction, _| !failing.contains(&interaction.condition_id));
        done.map(|(_, prompt)| prompt.prompt_id).collect()
    }

    /// The device changed: messages about what the user could mend may be shown again.
    pub(crate) fn device_changed(&mut self) {
        let open = &self.open;
        self.shown.retain(|interaction, _| open.contains_key(interaction));
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::id::EntitlementId;

    use super::*;
    use crate::support::entropy::CountingEntropy;

    fn help(condition: u8, index: u8, kind: InteractionKind) -> Help {
        Help {
            entitlement: EntitlementId::from_random([1; 16]),
            interaction: InteractionRef {
                condition_id: ConditionId::from_random([condition; 16]),
                interaction_index: index,
            },
            kind,
            blocking: false,
        }
    }

    #[test]
    fn prompts_of_one_condition_and_of_a_session_are_bounded() {
        let (mut prompts, mut entropy, start) = (Prompts::default(), CountingEntropy::default(), Instant::now());
        let otp = || vec![help(1, 0, InteractionKind::OtpAuthentication)];
        let first = prompts.offer(otp(), "10.0.0.1:443", start, &mut entropy);
        assert_eq!(first.len(), 1);
        assert!(prompts.offer(otp(), "10.0.0.1:443", start + Duration::from_secs(59), &mut entropy).is_empty());
        let again = prompts.offer(otp(), "10.0.0.1:443", start + Duration::from_secs(60), &mut entropy);
        assert_eq!(again, first, "the same prompt, shown again");
        let many: Vec<Help> = (2..100).map(|n| help(n, 0, InteractionKind::Reason)).collect();
        let shown = prompts.offer(many, "10.0.0.1:443", start + Duration::from_secs(61), &mut entropy);
        assert_eq!(shown.len(), 9, "ten a minute with the one before");
    }

    #[test]
    fn alternatives_are_open_side_by_side_and_close_together() {
        let (mut prompts, mut entropy, now) = (Prompts::default(), CountingEntropy::default(), Instant::now());
        let both = || {
            vec![help(1, 0, InteractionKind::OtpAuthentication), help(1, 1, InteractionKind::PasswordAuthentication)]
        };
        let shown = prompts.offer(both(), "x", now, &mut entropy);
        assert_eq!((shown.len(), prompts.open().count()), (2, 2));
        assert_ne!(shown[0].prompt_id, shown[1].prompt_id);
        let closed = prompts.close(&BTreeSet::new());
        assert_eq!(closed, [shown[0].prompt_id, shown[1].prompt_id]);
        // One at a time where all are needed: the next takes the place of the former.
        let turn = |index| vec![help(2, index, InteractionKind::Reason)];
        prompts.offer(turn(0), "x", now, &mut entropy);
        prompts.offer(turn(1), "x", now, &mut entropy);
        assert_eq!(prompts.open().map(|prompt| prompt.interaction.interaction_index).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn prompt_closes_when_its_condition_holds() {
        let (mut prompts, mut entropy, now) = (Prompts::default(), CountingEntropy::default(), Instant::now());
        let prompt = prompts.offer(vec![help(1, 0, InteractionKind::Reason)], "x", now, &mut entropy).remove(0);
        assert!(prompts.close(&[prompt.interaction.condition_id].into()).is_empty());
        assert_eq!(prompts.close(&BTreeSet::new()), [prompt.prompt_id]);
        assert!(prompts.find(prompt.prompt_id).is_none());
    }

    #[test]
    fn messages_are_shown_and_never_wait_for_an_answer() {
        let (mut prompts, mut entropy, now) = (Prompts::default(), CountingEntropy::default(), Instant::now());
        let message = || vec![help(1, 0, InteractionKind::DisplayMessage)];
        assert_eq!(prompts.offer(message(), "x", now, &mut entropy).len(), 1);
        assert_eq!(prompts.open().count(), 0);
        assert!(prompts.offer(message(), "x", now, &mut entropy).is_empty());
        prompts.device_changed();
        assert_eq!(prompts.offer(message(), "x", now, &mut entropy).len(), 1);
    }
}
