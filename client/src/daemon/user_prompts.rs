//! Questions to the user, and where the answers go: one-time passwords and passwords to a Controller, reasons to the
//! Gateway, factors of a sign-in to the sign-in.

use ringwall_protocol::id::{PromptId, SiteId, TransactionId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::client::{Challenge, MfaAnswer, StepUpAnswer, StepUpRequest};
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::calls::{Done, step_up, step_up_factor};
use super::engine::Engine;
use crate::advice;
use crate::browser::Loopback;
use crate::controller::CallError;
use crate::core::prompts::{AnswerError, Asker, Mistrust};
use crate::local::{Answer, Event};
use crate::site_link::LinkOrder;

impl Engine {
    /// A Gateway asked something.
    pub(super) fn prompted(&self, site: &str, id: PromptId, result: Result<Option<PromptId>, Mistrust>) {
        match result {
            Ok(older) => {
                if let Some(older) = older {
                    self.tell(Event::PromptClosed { prompt_id: older });
                }
                if let Some(question) = self.prompts.waiting(id) {
                    tracing::info!(site, prompt = %id, kind = ?question.kind, "prompt");
                    self.tell(Event::Prompt { prompt: question.clone() });
                }
            }
            Err(error) => tracing::warn!(site, cause = %error, "a prompt is not shown"),
        }
    }

    /// The user answers.
    pub(super) fn answer(&mut self, id: PromptId, text: Zeroizing<String>, reply: oneshot::Sender<Answer>) {
        let (asker, kind) = match self.prompts.answer(id, &text) {
            Ok(found) => found,
            Err(error) => return say(reply, refusal(&error)),
        };
        match asker {
            Asker::SignIn(transaction) => {
                let waiting = self.pending_factors.remove(&transaction);
                let taken = waiting.is_some_and(|sign_in| sign_in.send(text).is_ok());
                say(reply, if taken { Answer::Done {} } else { refusal(&AnswerError::NotOpen(id)) });
            }
            Asker::Condition { site, condition, interaction_index } => match kind {
                InteractionKind::DisplayMessage => self.close(id, reply),
                InteractionKind::Reason => self.give_reason(site, id, &text, reply),
                InteractionKind::OtpAuthentication | InteractionKind::PasswordAuthentication => {
                    let Some(session) = &self.session else { return self.not_signed_in(id, reply) };
                    let device_claims = Some(self.device_claims.borrow().as_ref().clone());
                    let request = StepUpRequest {
                        claims_token: session.claims.expose().to_owned(),
                        condition_id: condition,
                        interaction_index,
                        prompt_id: id,
                        answer: text.to_string(),
                        redirect_uri: None,
                        device_claims,
                    };
                    let controllers = session.controllers.clone();
                    self.tasks.spawn(async move {
                        // Only the Controller knows whether the provider wants a browser instead of what was typed.
                        let place = match kind {
                            InteractionKind::PasswordAuthentication => Loopback::bind().await.ok(),
                            _ => None,
                        };
                        let redirect_uri = place.as_ref().map(Loopback::redirect_uri);
                        let result = step_up(controllers, StepUpRequest { redirect_uri, ..request }).await;
                        Done::SteppedUp { prompt: id, reply, result, place }
                    });
                }
            },
            Asker::StepUp { transaction, .. } => match self.brought_back(id, &text) {
                Ok(answer) => self.answer_step_up(id, transaction, answer.unwrap_or(text).to_string(), reply),
                Err(cause) => {
                    self.prompts.refused(id);
                    say(reply, told(cause, "paste the whole address that the browser came to"));
                }
            },
        }
    }

    /// Answers what a step-up wanted first.
    pub(super) fn answer_step_up(
        &mut self,
        id: PromptId,
        transaction: TransactionId,
        answer: String,
        reply: oneshot::Sender<Answer>,
    ) {
        let Some(session) = &self.session else { return self.not_signed_in(id, reply) };
        let answer = MfaAnswer {
            transaction,
            answer,
            key_thumbprint: session.holder.key,
            claims_token: Some(session.claims.expose().to_owned()),
            device_claims: Some(self.device_claims.borrow().as_ref().clone()),
        };
        let call = step_up_factor(session.controllers.clone(), answer);
        self.tasks.spawn(async move { Done::SteppedUp { prompt: id, reply, result: call.await, place: None } });
    }

    /// A Controller has judged an answer.
    pub(super) async fn stepped_up(
        &mut self,
        id: PromptId,
        reply: oneshot::Sender<Answer>,
        result: Result<StepUpAnswer, CallError>,
        place: Option<Loopback>,
    ) {
        match result {
            Ok(StepUpAnswer::Claims(answer)) => match self.take(Some(answer.claims_token), None, None).await {
                Ok(()) => self.close(id, reply),
                Err(failure) => {
                    self.prompts.refused(id);
                    say(reply, told(format!("{:#}", failure.cause), &failure.next_step));
                }
            },
            // The user agreed to be asked; it takes as long as he does.
            Ok(StepUpAnswer::Wanted(wanted)) if matches!(wanted.challenge, Challenge::Push {}) => {
                tracing::info!(message = wanted.message, "the user is asked elsewhere");
                self.answer_step_up(id, wanted.transaction, String::new(), reply);
            }
            Ok(StepUpAnswer::Wanted(wanted)) => self.ask_further(id, reply, wanted, place).await,
            Err(error) => self.step_up_refused(id, reply, &error),
        }
    }

    fn step_up_refused(&mut self, id: PromptId, reply: oneshot::Sender<Answer>, error: &CallError) {
        use ErrorCode as C;
        let code = match error {
            CallError::Refused(body) => Some(body.code),
            CallError::Unreachable(_) => None,
        };
        // A wrong answer is no reason to sign in again.
        let wrong_answer = matches!(code, None | Some(C::MfaRefused | C::SignInRefused | C::MfaRequired | C::Busy));
        let next_step = match code {
            Some(C::MfaRefused | C::SignInRefused) => "answer again; a one-time password counts only once",
            _ => error.next_step(),
        };
        let used_up = match code {
            Some(C::MfaRefused | C::SignInRefused) => self.prompts.wrong(id),
            _ => {
                self.prompts.refused(id);
                false
            }
        };
        if !wrong_answer && code.is_some_and(advice::wants_sign_in) {
            self.want_sign_in(error.to_string());
        }
        // A page asks once; the next blocked packet asks anew.
        let paged = self.prompts.question(id).is_some_and(|question| question.page.is_some());
        if paged || used_up {
            self.note("step-up", error.to_string(), "use the blocked service again");
        }
        if paged || used_up || matches!(code, Some(C::NotFound | C::NotEntitled | C::Conflict)) {
            self.close_prompt(id);
        }
        say(reply, told(error.to_string(), next_step));
    }

    fn give_reason(&mut self, site: SiteId, id: PromptId, text: &str, reply: oneshot::Sender<Answer>) {
        match self.sites.get(&site).filter(|site| site.listens()) {
            Some(site) => {
                // The Gateway closes the prompt, or refuses the reason.
                site.order(LinkOrder::Reason { prompt: id, text: text.to_owned() });
                say(reply, Answer::Done {});
            }
            None => {
                self.prompts.refused(id);
                say(reply, told("the Site is not connected at the moment".into(), "answer again in a moment"));
            }
        }
    }

    fn close(&mut self, id: PromptId, reply: oneshot::Sender<Answer>) {
        self.close_prompt(id);
        say(reply, Answer::Done {});
    }

    /// A question is over, and with it the page that was open for it.
    pub(super) fn close_prompt(&mut self, id: PromptId) {
        self.pages.remove(&id);
        if self.prompts.closed(id) {
            self.tell(Event::PromptClosed { prompt_id: id });
        }
    }

    fn not_signed_in(&mut self, id: PromptId, reply: oneshot::Sender<Answer>) {
        self.prompts.refused(id);
        say(reply, told("nobody is signed in".into(), "ringwall sign-in"));
    }

    pub(super) fn close_prompts_of(&mut self, site: SiteId) {
        for id in self.prompts.site_gone(site) {
            self.tell(Event::PromptClosed { prompt_id: id });
        }
    }
}

/// Whoever asked may be gone by now.
pub(super) fn say(reply: oneshot::Sender<Answer>, answer: Answer) {
    drop(reply.send(answer));
}

pub(super) fn told(cause: String, next_step: &str) -> Answer {
    Answer::Refused { cause, next_step: next_step.to_owned(), not_found: false }
}

fn refusal(error: &AnswerError) -> Answer {
    let next_step = match error {
        AnswerError::NotOpen(_) => "ringwall prompts lists those that are open",
        AnswerError::Busy(_) => "wait for the answer that is on its way",
        AnswerError::Empty | AnswerError::TooLong { .. } => "answer again",
        AnswerError::OnPage(_) => "ringwall prompts names the page; open it in a browser on this machine",
    };
    let not_found = matches!(error, AnswerError::NotOpen(_));
    Answer::Refused { cause: error.to_string(), next_step: next_step.to_owned(), not_found }
}
