//! Reasons that the user gave: where each counts, how many there may be. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_protocol::authorize::Prepared;
use ringwall_protocol::claims::Reason;
use ringwall_protocol::id::PromptId;
use ringwall_protocol::interaction::{InteractionKind, Prompt};
use ringwall_protocol::wire::error::ErrorCode;

use crate::session::prompts::Prompts;
use crate::support::budget::Budget;
use crate::support::clock::Moment;

/// Reasons that are looked at (T32).
const REASONS: (usize, Duration) = (6, Duration::from_secs(60));
/// Suffixes under which a session keeps reasons: more than a token can ask for sensibly.
const MAX_REASONS: usize = 64;

/// The reasons of one session, by the suffix of the claim.
#[derive(Debug)]
pub(super) struct Reasons {
    pub(super) given: BTreeMap<String, Reason>,
    budget: Budget,
}

/// A reason that may be taken over, and the prompt that asked for it.
pub(super) struct Answer {
    pub(super) suffix: String,
    pub(super) reason: Reason,
    pub(super) prompt: Prompt,
}

impl Default for Reasons {
    fn default() -> Self {
        let (limit, window) = REASONS;
        Self { given: BTreeMap::new(), budget: Budget::new(limit, window) }
    }
}

impl Reasons {
    /// Reads an answer to an open prompt.
    ///
    /// # Errors
    /// What the Client is told: too many, no such prompt, or no valid text.
    pub(super) fn read(
        &mut self,
        (id, text): (PromptId, &str),
        prompts: &Prompts,
        prepared: &Prepared,
        now: Moment,
    ) -> Result<Answer, (ErrorCode, String)> {
        if !self.budget.spend(now.instant) {
            return Err((ErrorCode::Busy, "too many reasons in a minute".to_owned()));
        }
        let open = prompts.find(id).filter(|prompt| prompt.kind == InteractionKind::Reason);
        let prompt = open.cloned().ok_or_else(|| (ErrorCode::NotFound, "no such prompt is open".to_owned()))?;
        let suffix = suffix_of(&prompt, prepared)
            .ok_or_else(|| (ErrorCode::NotFound, "the prompt's condition is gone".to_owned()))?;
        let reason = Reason::parse(text, now.time).map_err(|error| (ErrorCode::Invalid, error.to_string()))?;
        if self.given.len() >= MAX_REASONS && !self.given.contains_key(&suffix) {
            return Err((ErrorCode::Busy, "too many reasons in this session".to_owned()));
        }
        Ok(Answer { suffix, reason, prompt })
    }
}

/// Under which name the answer is found, from the signed token and never from the Client.
pub(super) fn suffix_of(prompt: &Prompt, prepared: &Prepared) -> Option<String> {
    let condition = prepared.token().conditions.get(&prompt.interaction.condition_id)?;
    condition.interactions.get(usize::from(prompt.interaction.interaction_index))?.claim_suffix.clone()
}
