//! What a step-up wants besides the first answer: a question of its own, perhaps on a page. A page's answer comes by itself,
//! or somebody pastes the address that a browser on another machine came to.

use ringwall_protocol::id::{PromptId, TransactionId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::client::{Challenge, MfaWanted};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::answering::{say, told};
use super::calls::Done;
use super::engine::Engine;
use crate::browser::{self, BrowserError, Loopback, Page};
use crate::clock;
use crate::core::prompts::{Asker, Question};
use crate::local::{Answer, Event};

impl Engine {
    /// A step-up wants another answer. Whoever gave the first one is told of it.
    pub(super) async fn ask_further(
        &mut self,
        id: PromptId,
        reply: oneshot::Sender<Answer>,
        wanted: MfaWanted,
        place: Option<Loopback>,
    ) {
        let began = self.prompts.question(id).cloned().zip(self.prompts.asker(id));
        let Some((former, asker)) = began else {
            return say(reply, told("the question is closed".into(), "use the blocked service again"));
        };
        let (Asker::Condition { site, condition, .. } | Asker::StepUp { site, condition, .. }) = asker else {
            return say(reply, told("a sign-in is no step-up".into(), "ringwall prompts"));
        };
        let page = match Page::of(&wanted.challenge, place).await {
            Ok(page) => page,
            Err(error) => {
                self.prompts.refused(id);
                return say(reply, told(error.to_string(), "ask an administrator"));
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
            self.close_prompt(id);
        }
        let asker = Asker::StepUp { transaction: wanted.transaction, site, condition };
        if let Err(error) = self.prompts.ask(asker, question.clone()) {
            return say(reply, told(error.to_string(), "answer those that are open: ringwall prompts"));
        }
        if let Some(url) = question.page.as_ref().filter(|_| !self.options.no_browser) {
            browser::open(url);
        }
        self.tell(Event::Prompt { prompt: question.clone() });
        say(reply, Answer::Further { prompt: Box::new(question) });
        if let Some(page) = page {
            self.wait_for_page(prompt_id, wanted.transaction, page);
        }
    }

    /// Waits for a page beside the engine, as long as its question is open.
    fn wait_for_page(&mut self, prompt: PromptId, transaction: TransactionId, page: Page) {
        let (open, closed) = oneshot::channel();
        self.pages.insert(prompt, open);
        self.tasks.spawn(async move {
            let result = tokio::select! {
                answer = page.answer() => Some(answer),
                _ = closed => None,
            };
            Done::Paged { prompt, transaction, result }
        });
    }

    /// A page of a step-up has an answer, or none.
    pub(super) fn paged(
        &mut self,
        id: PromptId,
        transaction: TransactionId,
        result: Option<Result<Zeroizing<String>, BrowserError>>,
    ) {
        // Nobody waits at the local socket for it.
        let (reply, _nobody) = oneshot::channel();
        match result {
            Some(Ok(answer)) => self.answer_step_up(id, transaction, answer.to_string(), reply),
            Some(Err(error)) => {
                self.note("step-up", error.to_string(), "use the blocked service again");
                self.close_prompt(id);
            }
            // Its question is over, or answered with what was pasted.
            None => {}
        }
    }

    /// What a pasted address says, where a browser is waited for; nothing where something else was asked.
    ///
    /// # Errors
    /// What is wrong with the address, for people.
    pub(super) fn brought_back(&mut self, id: PromptId, text: &str) -> Result<Option<Zeroizing<String>>, String> {
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
