//! Further prompts of a step-up, perhaps with a browser page: the page's answer comes through the loopback listener, or the
//! user pastes the address that a browser on another machine was redirected to.

use ringwall_protocol::id::{PromptId, TransactionId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::client::{Challenge, MfaWanted};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::{AnswerRoute, UserPrompts, refused, send_reply};
use crate::browser::{self, BrowserError, Loopback, Page};
use crate::clock;
use crate::core::prompts::{PromptOrigin, Question};
use crate::daemon::tasks::TaskResult;
use crate::daemon::watchers::TroubleLog;
use crate::local::{Answer, Event};

impl UserPrompts {
    /// Opens the further prompt of a step-up; `reply`, which waits for the first answer's result, is told of it.
    pub(super) async fn open_for_step_up(
        &mut self,
        id: PromptId,
        reply: oneshot::Sender<Answer>,
        wanted: MfaWanted,
        listener: Option<Loopback>,
        tasks: &mut JoinSet<TaskResult>,
    ) {
        let began = self.prompts.question(id).cloned().zip(self.prompts.asker(id));
        let Some((former, asker)) = began else {
            return send_reply(reply, refused("the prompt is closed".into(), "use the blocked service again"));
        };
        let (PromptOrigin::Condition { site, condition, .. } | PromptOrigin::StepUp { site, condition, .. }) = asker
        else {
            return send_reply(reply, refused("the prompt belongs to a sign-in".into(), "ringwall prompts"));
        };
        let page = match Page::of(&wanted.challenge, listener).await {
            Ok(page) => page,
            Err(error) => {
                self.prompts.refused(id);
                return send_reply(reply, refused(error.to_string(), "ask an administrator"));
            }
        };
        let prompt_id = PromptId::new(wanted.transaction.uuid());
        let question = Question {
            prompt_id,
            kind: wanted.kind,
            message: message(&wanted, &former.message),
            challenge: wanted.challenge,
            page: page.as_ref().map(Page::url),
            again: false,
            blocking: true,
            opened_at: clock::now(),
            ..former
        };
        if id != prompt_id {
            self.close(id);
        }
        let asker = PromptOrigin::StepUp { transaction: wanted.transaction, site, condition };
        if let Err(error) = self.prompts.ask(asker, question.clone()) {
            return send_reply(reply, refused(error.to_string(), "answer those that are open: ringwall prompts"));
        }
        if let Some(url) = question.page.as_ref().filter(|_| !self.no_browser) {
            browser::open(url);
        }
        self.watchers.send(Event::Prompt { prompt: question.clone() });
        send_reply(reply, Answer::Further { prompt: Box::new(question) });
        if let Some(page) = page {
            self.wait_for_page(prompt_id, wanted.transaction, page, tasks);
        }
    }

    /// Waits for a page's answer beside the engine, as long as its prompt is open.
    fn wait_for_page(
        &mut self,
        prompt: PromptId,
        transaction: TransactionId,
        page: Page,
        tasks: &mut JoinSet<TaskResult>,
    ) {
        let (open, closed) = oneshot::channel();
        self.pages.insert(prompt, open);
        tasks.spawn(async move {
            let result = tokio::select! {
                answer = page.answer() => Some(answer),
                _ = closed => None,
            };
            TaskResult::PageReturned { prompt, transaction, result }
        });
    }

    /// Sends a page's answer to the Controller.
    pub(in crate::daemon) fn page_returned(
        &mut self,
        id: PromptId,
        transaction: TransactionId,
        result: Option<Result<Zeroizing<String>, BrowserError>>,
        troubles: &mut TroubleLog,
        route: AnswerRoute<'_>,
    ) {
        // Nobody waits at the local socket for it.
        let (reply, _nobody) = oneshot::channel();
        match result {
            Some(Ok(answer)) => self.answer_step_up(id, transaction, answer.to_string(), reply, route),
            Some(Err(error)) => {
                troubles.note("step-up", error.to_string(), "use the blocked service again");
                self.close(id);
            }
            // Its prompt is closed, or answered with a pasted address.
            None => {}
        }
    }

    /// The answer in a pasted address, if the prompt waits for a browser; `None` for other prompts.
    ///
    /// # Errors
    /// What is wrong with the address, for people.
    pub(super) fn pasted_answer(&mut self, id: PromptId, text: &str) -> Result<Option<Zeroizing<String>>, String> {
        let Some(Challenge::Browser { url }) = self.prompts.question(id).map(|question| &question.challenge) else {
            return Ok(None);
        };
        let answer = browser::pasted(url, text).map_err(|error| error.to_string())?;
        self.pages.remove(&id);
        Ok(Some(answer))
    }
}

/// What the user reads: the Controller's words, else those of the condition, else what is plain.
fn message(wanted: &MfaWanted, former: &str) -> String {
    let plain = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(2_048).collect() };
    let told = [plain(&wanted.message), former.to_owned()].into_iter().find(|text| !text.trim().is_empty());
    told.unwrap_or_else(|| match wanted.kind {
        InteractionKind::PasswordAuthentication => "Password".to_owned(),
        _ => "One-time password".to_owned(),
    })
}
