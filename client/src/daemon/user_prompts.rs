//! The prompts that are open for the user, and where answers go: one-time passwords and passwords to a Controller,
//! reasons to the Gateway, factors of a sign-in to the sign-in.

use std::collections::BTreeMap;

use ringwall_protocol::id::{PromptId, SiteId, TransactionId};
use ringwall_protocol::interaction::{InteractionKind, Prompt};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::EntitlementToken;
use ringwall_protocol::wire::client::{MfaAnswer, StepUpRequest};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::active_session::ActiveSession;
use super::device_monitor::DeviceMonitor;
use super::tasks::{FactorRequest, StepUpReply, TaskResult, step_up, step_up_factor};
use super::watchers::Watchers;
use crate::browser::Loopback;
use crate::core::prompts::{AnswerError, PromptOrigin, Prompts, Question};
use crate::local::{Answer, Event};
use crate::site_link::LinkCommand;

mod page;
mod step_up;

/// All open prompts, and who waits for their answers.
pub(super) struct UserPrompts {
    prompts: Prompts,
    /// Sign-ins that wait for a factor.
    factors: BTreeMap<TransactionId, oneshot::Sender<Zeroizing<String>>>,
    /// Browser pages that are open; dropping a sender closes its listener.
    pages: BTreeMap<PromptId, oneshot::Sender<()>>,
    watchers: Watchers,
    no_browser: bool,
}

/// Where answers can be sent.
pub(super) struct AnswerRoute<'a> {
    pub(super) active: Option<&'a ActiveSession>,
    pub(super) device: &'a DeviceMonitor,
    pub(super) tasks: &'a mut JoinSet<TaskResult>,
}

impl UserPrompts {
    pub(super) fn new(watchers: Watchers, no_browser: bool) -> Self {
        Self { prompts: Prompts::default(), factors: BTreeMap::new(), pages: BTreeMap::new(), watchers, no_browser }
    }

    /// The prompts that wait for the user, oldest first.
    pub(super) fn list(&self) -> Vec<Question> {
        self.prompts.list()
    }

    /// Opens a Gateway's prompt, if the entitlement token has it.
    pub(super) fn open_for_gateway(&mut self, prompt: &Prompt, token: &EntitlementToken, now: UnixMillis) {
        let (site, id) = (&token.site_name, prompt.prompt_id);
        let replaced = match self.prompts.open_for_gateway(prompt, token, now) {
            Ok(replaced) => replaced,
            Err(error) => return tracing::warn!(site, cause = %error, "prompt rejected"),
        };
        if let Some(id) = replaced {
            self.watchers.send(Event::PromptClosed { prompt_id: id });
        }
        if let Some(question) = self.prompts.waiting(id) {
            tracing::info!(site, prompt = %id, kind = ?question.kind, "prompt");
            self.watchers.send(Event::Prompt { prompt: question.clone() });
        }
    }

    /// Opens the prompt of a sign-in that needs a further factor.
    pub(super) fn open_for_sign_in(&mut self, request: FactorRequest, now: UnixMillis) {
        let question = Question {
            prompt_id: PromptId::new(request.transaction.uuid()),
            kind: request.kind,
            message: sign_in_message(&request.message, request.kind),
            challenge: request.challenge,
            page: request.page,
            entitlement: None,
            condition: None,
            site: None,
            destination: None,
            blocking: true,
            again: request.again,
            opened_at: now,
        };
        if self.prompts.ask(PromptOrigin::SignIn(request.transaction), question.clone()).is_ok() {
            self.factors.insert(request.transaction, request.reply);
            self.watchers.send(Event::Prompt { prompt: question });
        }
    }

    /// Takes the user's answer; `reply` is told what becomes of it.
    pub(super) fn answer(
        &mut self,
        id: PromptId,
        text: Zeroizing<String>,
        reply: oneshot::Sender<Answer>,
        route: AnswerRoute<'_>,
    ) {
        let (asker, kind) = match self.prompts.answer(id, &text) {
            Ok(found) => found,
            Err(error) => return send_reply(reply, not_taken(&error)),
        };
        match asker {
            PromptOrigin::SignIn(transaction) => {
                let waiting = self.factors.remove(&transaction);
                let taken = waiting.is_some_and(|sign_in| sign_in.send(text).is_ok());
                send_reply(reply, if taken { Answer::Done {} } else { not_taken(&AnswerError::NotOpen(id)) });
            }
            PromptOrigin::Condition { site, condition, interaction_index } => match kind {
                InteractionKind::DisplayMessage => self.close_with(id, reply),
                InteractionKind::Reason => self.send_reason(site, id, &text, reply, route.active),
                InteractionKind::OtpAuthentication | InteractionKind::PasswordAuthentication => {
                    let Some(active) = route.active else { return self.not_signed_in(id, reply) };
                    let request = StepUpRequest {
                        claims_token: active.session().claims.expose().to_owned(),
                        condition_id: condition,
                        interaction_index,
                        prompt_id: id,
                        answer: text.to_string(),
                        redirect_uri: None,
                        device_claims: Some(route.device.claims()),
                    };
                    begin_step_up(active, kind, request, reply, route.tasks);
                }
            },
            PromptOrigin::StepUp { transaction, .. } => match self.pasted_answer(id, &text) {
                Ok(answer) => {
                    self.answer_step_up(id, transaction, answer.unwrap_or(text).to_string(), reply, route);
                }
                Err(cause) => {
                    self.prompts.refused(id);
                    send_reply(reply, refused(cause, "paste the whole address that the browser came to"));
                }
            },
        }
    }

    /// Sends an answer to a step-up that has begun.
    fn answer_step_up(
        &mut self,
        id: PromptId,
        transaction: TransactionId,
        answer: String,
        reply: oneshot::Sender<Answer>,
        route: AnswerRoute<'_>,
    ) {
        let Some(active) = route.active else { return self.not_signed_in(id, reply) };
        let session = active.session();
        let answer = MfaAnswer {
            transaction,
            answer,
            key_thumbprint: session.holder.key,
            claims_token: Some(session.claims.expose().to_owned()),
            device_claims: Some(route.device.claims()),
        };
        let call = step_up_factor(session.controllers.clone(), answer);
        route.tasks.spawn(async move {
            TaskResult::SteppedUp(StepUpReply { prompt: id, reply, result: call.await, listener: None })
        });
    }

    fn send_reason(
        &mut self,
        site: SiteId,
        id: PromptId,
        text: &str,
        reply: oneshot::Sender<Answer>,
        active: Option<&ActiveSession>,
    ) {
        let site = active.and_then(|active| active.sites().get(&site)).filter(|site| site.listens());
        match site {
            Some(site) => {
                // The Gateway closes the prompt, or refuses the reason.
                site.order(LinkCommand::Reason { prompt: id, text: text.to_owned() });
                send_reply(reply, Answer::Done {});
            }
            None => {
                self.prompts.refused(id);
                send_reply(
                    reply,
                    refused("the Site is not connected at the moment".into(), "answer again in a moment"),
                );
            }
        }
    }

    fn not_signed_in(&mut self, id: PromptId, reply: oneshot::Sender<Answer>) {
        self.prompts.refused(id);
        send_reply(reply, refused("nobody is signed in".into(), "ringwall sign-in"));
    }

    /// Reopens the reasons of a Site that its Gateway did not accept.
    pub(super) fn reopen_reasons(&mut self, site: SiteId) {
        for prompt in self.prompts.reopen_reasons(site) {
            self.watchers.send(Event::Prompt { prompt });
        }
    }

    /// Closes a prompt, and the browser page that was open for it.
    fn close(&mut self, id: PromptId) {
        self.pages.remove(&id);
        self.closed_by_gateway(id);
    }

    fn close_with(&mut self, id: PromptId, reply: oneshot::Sender<Answer>) {
        self.close(id);
        send_reply(reply, Answer::Done {});
    }

    /// A Gateway needs no answer any more.
    pub(super) fn closed_by_gateway(&mut self, id: PromptId) {
        if self.prompts.closed(id) {
            self.watchers.send(Event::PromptClosed { prompt_id: id });
        }
    }

    /// Closes the prompts of a Site.
    pub(super) fn close_of_site(&mut self, site: SiteId) {
        let closed = self.prompts.close_of_site(site);
        self.send_closed(closed);
    }

    /// Closes the prompts of a sign-in that has ended.
    pub(super) fn close_of_sign_in(&mut self) {
        let closed = self.prompts.close_of_sign_in();
        self.send_closed(closed);
        self.factors.clear();
    }

    /// Closes the prompts whose time is over.
    pub(super) fn expire(&mut self, now: UnixMillis) {
        let closed = self.prompts.expire(now);
        self.send_closed(closed);
    }

    fn send_closed(&self, prompts: Vec<PromptId>) {
        for id in prompts {
            self.watchers.send(Event::PromptClosed { prompt_id: id });
        }
    }
}

/// Sends an answer to a Controller, which may require more.
fn begin_step_up(
    active: &ActiveSession,
    kind: InteractionKind,
    request: StepUpRequest,
    reply: oneshot::Sender<Answer>,
    tasks: &mut JoinSet<TaskResult>,
) {
    let controllers = active.session().controllers.clone();
    tasks.spawn(async move {
        // Only the Controller knows whether the provider requires a browser instead of what was typed.
        let listener = match kind {
            InteractionKind::PasswordAuthentication => Loopback::bind().await.ok(),
            _ => None,
        };
        let redirect_uri = listener.as_ref().map(Loopback::redirect_uri);
        let prompt = request.prompt_id;
        let result = step_up(controllers, StepUpRequest { redirect_uri, ..request }).await;
        TaskResult::SteppedUp(StepUpReply { prompt, reply, result, listener })
    });
}

/// Sends a reply to the local socket, whose client may have closed it.
pub(super) fn send_reply(reply: oneshot::Sender<Answer>, answer: Answer) {
    drop(reply.send(answer));
}

/// A refusal, as the local socket sends it.
pub(super) fn refused(cause: String, next_step: &str) -> Answer {
    Answer::Refused { cause, next_step: next_step.to_owned(), not_found: false }
}

fn not_taken(error: &AnswerError) -> Answer {
    let next_step = match error {
        AnswerError::NotOpen(_) => "ringwall prompts lists those that are open",
        AnswerError::Busy(_) => "wait for the answer that is on its way",
        AnswerError::Empty | AnswerError::TooLong { .. } => "answer again",
        AnswerError::OnPage(_) => "ringwall prompts names the page; open it in a browser on this machine",
    };
    let not_found = matches!(error, AnswerError::NotOpen(_));
    Answer::Refused { cause: error.to_string(), next_step: next_step.to_owned(), not_found }
}

/// What the user reads where a sign-in needs a further factor.
fn sign_in_message(message: &str, kind: InteractionKind) -> String {
    match (message, kind) {
        ("", InteractionKind::OtpAuthentication) => "One-time password".to_owned(),
        ("", _) => "Password".to_owned(),
        (message, _) => message.chars().filter(|c| !c.is_control()).collect(),
    }
}
