//! The questions that wait for the user, and which answer may go where.
//!
//! A Gateway only names a condition and an interaction; what the user reads is taken from the entitlement token that a
//! Controller signed (T5), so that a Gateway cannot put words into the Client's mouth. One question per condition
//! of a Site is open at a time; the number of all is bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_protocol::claims::MAX_REASON;
use ringwall_protocol::id::{ConditionId, PromptId, SiteId};
use ringwall_protocol::interaction::{InteractionKind, Prompt};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::EntitlementToken;
use ringwall_protocol::wire::client::Challenge;

mod error;
mod question;

pub(crate) use error::{AnswerError, PromptRejection};
pub(crate) use question::PromptOrigin;
pub use question::Question;

/// Most questions open at once: beyond it nobody reads them anyway.
pub(crate) const MAX_OPEN: usize = 64;
/// Longest answer, in bytes: a password (1,024).
pub(crate) const MAX_ANSWER: usize = 1_024;
/// Longest address that a browser came to and somebody pastes, in bytes.
pub(crate) const MAX_PASTED: usize = 4_096;
/// A message that only informs vanishes by itself after this long.
pub(crate) const MESSAGE_LIFE: Duration = Duration::from_mins(10);
/// A Controller waits this long for what is typed in a step-up, and for this many answers.
pub(crate) const STEP_UP_LIFE: Duration = Duration::from_secs(120);
const STEP_UP_TRIES: u8 = 3;

#[derive(Debug, Clone)]
struct Open {
    asker: PromptOrigin,
    question: Question,
    answering: bool,
    /// Answers that were wrong.
    wrong: u8,
}

/// All open questions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prompts(BTreeMap<PromptId, Open>);

impl Prompts {
    /// A Gateway of the Site of `token` asks. An older question for the same condition gives way; answers its id.
    ///
    /// # Errors
    /// [`PromptRejection`].
    pub(crate) fn open_for_gateway(
        &mut self,
        prompt: &Prompt,
        token: &EntitlementToken,
        now: UnixMillis,
    ) -> Result<Option<PromptId>, PromptRejection> {
        let reference = prompt.interaction;
        let condition = token.conditions.get(&reference.condition_id).ok_or(PromptRejection::UnknownCondition)?;
        let index = reference.interaction_index;
        let signed =
            condition.interactions.get(usize::from(index)).ok_or(PromptRejection::UnknownInteraction(index))?;
        if signed.kind != prompt.kind {
            return Err(PromptRejection::Kind { asked: prompt.kind, signed: signed.kind });
        }
        let site = SiteId::new(token.head.aud);
        if self.is_being_answered(prompt.prompt_id, site, reference.condition_id) {
            return Ok(None);
        }
        let asker = PromptOrigin::Condition { site, condition: reference.condition_id, interaction_index: index };
        let entitlement = token.entitlements.iter().find(|granted| granted.id == prompt.entitlement_id);
        let question = Question {
            prompt_id: prompt.prompt_id,
            kind: signed.kind,
            message: signed.message.clone(),
            challenge: if condition.asked_first.contains(&index) { Challenge::Agree {} } else { Challenge::default() },
            page: None,
            entitlement: entitlement.map(|granted| granted.name.clone()),
            condition: Some(condition.name.clone()),
            site: Some(token.site_name.clone()),
            destination: Some(readable(&prompt.destination)),
            blocking: signed.blocking,
            again: false,
            opened_at: now,
        };
        let older = self.replaced_by(asker, prompt.prompt_id);
        self.open(asker, question, older.is_some())?;
        if let Some(older) = older {
            self.0.remove(&older);
        }
        Ok(older)
    }

    /// The Client itself asks: at sign-in, or because a Controller wants more.
    ///
    /// # Errors
    /// [`PromptRejection::TooMany`].
    pub(crate) fn ask(&mut self, asker: PromptOrigin, question: Question) -> Result<(), PromptRejection> {
        self.open(asker, question, false)
    }

    /// The user answers. Until [`Self::refused`] or [`Self::closed`] no second answer is taken.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub(crate) fn answer(&mut self, id: PromptId, text: &str) -> Result<(PromptOrigin, InteractionKind), AnswerError> {
        let open = self.0.get_mut(&id).ok_or(AnswerError::NotOpen(id))?;
        if open.answering {
            return Err(AnswerError::Busy(id));
        }
        let (kind, challenge) = (open.question.kind, &open.question.challenge);
        let limit = match (kind, challenge) {
            (InteractionKind::Reason, _) => MAX_REASON,
            (_, Challenge::Browser { .. }) => MAX_PASTED,
            _ => MAX_ANSWER,
        };
        if text.len() > limit {
            return Err(AnswerError::TooLong { limit, got: text.len() });
        }
        if matches!(challenge, Challenge::WebAuthn { .. }) {
            return Err(AnswerError::OnPage(id));
        }
        let nothing_to_say = kind == InteractionKind::DisplayMessage || matches!(challenge, Challenge::Agree {});
        if text.trim().is_empty() && !nothing_to_say {
            return Err(AnswerError::Empty);
        }
        open.answering = true;
        Ok((open.asker, kind))
    }

    /// The answer was wrong, or did not arrive: the question stays open for another one.
    pub(crate) fn refused(&mut self, id: PromptId) {
        if let Some(open) = self.0.get_mut(&id) {
            open.answering = false;
            open.question.again = true;
        }
    }

    /// A Controller says that the answer was wrong. True if it takes no other one for this question.
    pub(crate) fn wrong(&mut self, id: PromptId) -> bool {
        self.refused(id);
        self.0.get_mut(&id).is_some_and(|open| {
            open.wrong = open.wrong.saturating_add(1);
            matches!(open.asker, PromptOrigin::StepUp { .. }) && open.wrong >= STEP_UP_TRIES
        })
    }

    /// The Gateway refused something that was not a token: reasons on their way to it may be given again. Answers which.
    pub(crate) fn reopen_reasons(&mut self, site: SiteId) -> Vec<Question> {
        let on_their_way = self.0.values_mut().filter(|open| {
            open.answering && open.asker.site() == Some(site) && open.question.kind == InteractionKind::Reason
        });
        on_their_way
            .map(|open| {
                open.answering = false;
                open.question.again = true;
                open.question.clone()
            })
            .collect()
    }

    /// The question needs no answer any more. True if it was open.
    pub(crate) fn closed(&mut self, id: PromptId) -> bool {
        self.0.remove(&id).is_some()
    }

    /// The Site's session is gone, and its questions with it; answers which.
    pub(crate) fn close_of_site(&mut self, site: SiteId) -> Vec<PromptId> {
        self.remove_where(|open| open.asker.site() == Some(site))
    }

    /// The sign-in has ended, and its questions with it; answers which.
    pub(crate) fn close_of_sign_in(&mut self) -> Vec<PromptId> {
        self.remove_where(|open| matches!(open.asker, PromptOrigin::SignIn(_)))
    }

    /// Messages that only inform and have been there long enough, and step-ups for which no Controller waits any more;
    /// answers which. A page ends by itself.
    pub(crate) fn expire(&mut self, now: UnixMillis) -> Vec<PromptId> {
        self.remove_where(|Open { asker, question, answering, .. }| {
            let age = question.opened_at.until(now);
            let read = question.kind == InteractionKind::DisplayMessage && !question.blocking && age >= MESSAGE_LIFE;
            let over = matches!(asker, PromptOrigin::StepUp { .. }) && question.page.is_none() && age >= STEP_UP_LIFE;
            read || (over && !answering)
        })
    }

    /// The questions that wait for the user, oldest first; not those whose answer is on its way.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<Question> {
        let waiting = self.0.values().filter(|open| !open.answering);
        let mut list: Vec<_> = waiting.map(|open| open.question.clone()).collect();
        list.sort_by_key(|question| (question.opened_at, question.prompt_id));
        list
    }

    /// A question that waits for the user.
    #[must_use]
    pub(crate) fn waiting(&self, id: PromptId) -> Option<&Question> {
        self.0.get(&id).filter(|open| !open.answering).map(|open| &open.question)
    }

    /// Who asks it.
    #[must_use]
    pub(crate) fn asker(&self, id: PromptId) -> Option<PromptOrigin> {
        self.0.get(&id).map(|open| open.asker)
    }

    /// One question.
    #[must_use]
    pub(crate) fn question(&self, id: PromptId) -> Option<&Question> {
        self.0.get(&id).map(|open| &open.question)
    }

    fn open(&mut self, asker: PromptOrigin, question: Question, replaces: bool) -> Result<(), PromptRejection> {
        let known = replaces || self.0.contains_key(&question.prompt_id);
        if self.0.len() >= MAX_OPEN && !known {
            return Err(PromptRejection::TooMany);
        }
        self.0.insert(question.prompt_id, Open { asker, question, answering: false, wrong: 0 });
        Ok(())
    }

    /// Whether the user has answered already and a Controller is at it, or wants something more: then the same question
    /// is not asked beside it.
    fn is_being_answered(&self, id: PromptId, site: SiteId, condition: ConditionId) -> bool {
        self.0.iter().any(|(open_id, open)| match open.asker {
            PromptOrigin::Condition { .. } => *open_id == id && open.answering,
            PromptOrigin::StepUp { site: of, condition: at, .. } => (of, at) == (site, condition),
            PromptOrigin::SignIn(_) => false,
        })
    }

    fn replaced_by(&self, asker: PromptOrigin, by: PromptId) -> Option<PromptId> {
        self.0.iter().find(|(id, open)| open.asker == asker && **id != by).map(|(id, _)| *id)
    }

    fn remove_where(&mut self, gone: impl Fn(&Open) -> bool) -> Vec<PromptId> {
        let ids: Vec<_> = self.0.iter().filter(|(_, open)| gone(open)).map(|(id, _)| *id).collect();
        for id in &ids {
            self.0.remove(id);
        }
        ids
    }
}

/// The one text that does come from the Gateway: an address or a name, nothing that could pass for a message.
fn readable(destination: &str) -> String {
    destination.chars().filter(|c| c.is_ascii_graphic()).take(128).collect()
}

#[cfg(test)]
mod tests;
