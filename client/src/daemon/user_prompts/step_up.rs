//! A Controller's reply to a step-up: new claims, a further prompt, or a refusal.

use ringwall_protocol::id::PromptId;
use ringwall_protocol::wire::client::{Challenge, MfaWanted};
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::oneshot;

use super::{AnswerRoute, UserPrompts, refused, send_reply};
use crate::advice;
use crate::browser::Loopback;
use crate::controller::CallError;
use crate::daemon::watchers::TroubleLog;
use crate::failure::Failure;
use crate::local::Answer;

impl UserPrompts {
    /// The Controller accepted the answer; `used` says whether the new claims could be put into use.
    pub(in crate::daemon) fn step_up_accepted(
        &mut self,
        id: PromptId,
        reply: oneshot::Sender<Answer>,
        used: Result<(), Failure>,
    ) {
        match used {
            Ok(()) => self.close_with(id, reply),
            Err(failure) => {
                self.prompts.refused(id);
                send_reply(reply, refused(format!("{:#}", failure.cause), &failure.next_step));
            }
        }
    }

    /// The Controller requires a further answer.
    pub(in crate::daemon) async fn step_up_continued(
        &mut self,
        id: PromptId,
        reply: oneshot::Sender<Answer>,
        wanted: MfaWanted,
        listener: Option<Loopback>,
        route: AnswerRoute<'_>,
    ) {
        if matches!(wanted.challenge, Challenge::Push {}) {
            // The user agreed to it; the reply takes as long as the user does.
            tracing::info!(message = wanted.message, "the user is prompted on another device");
            self.answer_step_up(id, wanted.transaction, String::new(), reply, route);
        } else {
            self.open_for_step_up(id, reply, wanted, listener, route.tasks).await;
        }
    }

    /// The Controller refused, or none could be reached. Returns the cause if only a new sign-in can help.
    pub(in crate::daemon) fn step_up_refused(
        &mut self,
        id: PromptId,
        reply: oneshot::Sender<Answer>,
        error: &CallError,
        troubles: &mut TroubleLog,
    ) -> Option<String> {
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
        // A page can be used once; the next blocked packet leads to a new prompt.
        let paged = self.prompts.question(id).is_some_and(|question| question.page.is_some());
        if paged || used_up {
            troubles.note("step-up", error.to_string(), "use the blocked service again");
        }
        if paged || used_up || matches!(code, Some(C::NotFound | C::NotEntitled | C::Conflict)) {
            self.close(id);
        }
        send_reply(reply, refused(error.to_string(), next_step));
        let sign_in = !wrong_answer && code.is_some_and(advice::wants_sign_in);
        sign_in.then(|| error.to_string())
    }
}
