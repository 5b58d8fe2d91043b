//! What is said on the local socket.

use ringwall_protocol::id::PromptId;
use serde::{Deserialize, Serialize};

use crate::core::prompts::Question;
use crate::status::Status;

/// Longest request, in bytes: an answer of 1,024 bytes, escaped, or an address of 4,096.
pub const MAX_REQUEST_LINE: usize = 8 * 1024;
/// Longest answer, in bytes: a status with thousands of entitlements.
pub const MAX_ANSWER_LINE: usize = 4 << 20;

/// To the daemon.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "request", deny_unknown_fields)]
pub enum Request {
    /// What is going on? Answered by [`Answer::Status`].
    Status {},
    /// Which questions are open? Answered by [`Answer::Prompts`].
    Prompts {},
    /// The answer to a question. Answered when it was taken or refused.
    #[serde(rename_all = "camelCase")]
    Answer {
        /// Which question.
        prompt_id: PromptId,
        /// Empty for messages.
        #[serde(default)]
        text: String,
    },
    /// Tell me what happens: [`Event`]s follow until the connection is closed.
    Watch {},
    /// There was a sign-in: read it from disk.
    Reload {},
    /// Go down. Answered when it is done.
    Down {},
    /// Sign out at the Collective, forget the tokens, go down.
    SignOut {},
}

impl std::fmt::Debug for Request {
    /// Without what the user typed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status {} => f.write_str("Status"),
            Self::Prompts {} => f.write_str("Prompts"),
            Self::Answer { prompt_id, .. } => write!(f, "Answer({prompt_id})"),
            Self::Watch {} => f.write_str("Watch"),
            Self::Reload {} => f.write_str("Reload"),
            Self::Down {} => f.write_str("Down"),
            Self::SignOut {} => f.write_str("SignOut"),
        }
    }
}

/// From the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub enum Answer {
    /// What is going on.
    Status {
        /// All of it.
        status: Box<Status>,
    },
    /// Open questions, oldest first.
    Prompts {
        /// All of them.
        prompts: Vec<Question>,
    },
    /// Done.
    Done {},
    /// The answer was taken, and something more is wanted.
    Further {
        /// It.
        prompt: Box<Question>,
    },
    /// Not done.
    #[serde(rename_all = "camelCase")]
    Refused {
        /// What was wrong.
        cause: String,
        /// What to do about it.
        next_step: String,
        /// True if there is no such question.
        #[serde(default)]
        not_found: bool,
    },
    /// Something happened.
    Event {
        /// What.
        event: Event,
    },
}

/// What watchers are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// Something in the status changed; also the first event.
    Status {
        /// All of it.
        status: Box<Status>,
    },
    /// A question was asked.
    Prompt {
        /// It.
        prompt: Question,
    },
    /// A question needs no answer any more.
    #[serde(rename_all = "camelCase")]
    PromptClosed {
        /// Which.
        prompt_id: PromptId,
    },
    /// The daemon goes down.
    Stopping {},
}
