//! Messages of the local socket.

use ringwall_protocol::id::PromptId;
use serde::{Deserialize, Serialize};

use crate::core::prompts::Question;
use crate::status::Status;

/// Longest request, in bytes: an answer of 1,024 bytes, escaped, or an address of 4,096.
pub(crate) const MAX_REQUEST_LINE: usize = 8 * 1024;
/// Longest answer, in bytes: a status with thousands of entitlements.
pub(crate) const MAX_ANSWER_LINE: usize = 4 << 20;

/// To the daemon.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "request", deny_unknown_fields)]
pub enum Request {
    /// The status. Answered by [`Answer::Status`].
    Status {},
    /// The open prompts. Answered by [`Answer::Prompts`].
    Prompts {},
    /// The user's answer to a prompt. Answered when it was accepted or refused.
    #[serde(rename_all = "camelCase")]
    Answer {
        /// Id of the prompt.
        prompt_id: PromptId,
        /// Empty for messages.
        #[serde(default)]
        text: String,
    },
    /// Subscribes: [`Event`]s follow until the connection is closed.
    Watch {},
    /// Reads the sign-in from disk, where another process wrote it.
    Reload {},
    /// Stops the daemon. Answered when it is done.
    Down {},
    /// Signs out at the Collective, deletes the tokens, stops the daemon.
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
    /// The status.
    Status {
        /// The whole status.
        status: Box<Status>,
    },
    /// The open prompts.
    Prompts {
        /// Open prompts, oldest first.
        prompts: Vec<Question>,
    },
    /// Done.
    Done {},
    /// The answer was accepted, and a further one is required.
    Further {
        /// The next prompt.
        prompt: Box<Question>,
    },
    /// Not done.
    #[serde(rename_all = "camelCase")]
    Refused {
        /// What was wrong.
        cause: String,
        /// What to do about it.
        next_step: String,
        /// True if there is no such prompt.
        #[serde(default)]
        not_found: bool,
    },
    /// Something happened.
    Event {
        /// The event.
        event: Event,
    },
}

/// An event for watchers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// Something in the status changed; also the first event.
    Status {
        /// The whole status.
        status: Box<Status>,
    },
    /// A prompt was opened.
    Prompt {
        /// The prompt.
        prompt: Question,
    },
    /// A prompt was closed.
    #[serde(rename_all = "camelCase")]
    PromptClosed {
        /// Id of the prompt.
        prompt_id: PromptId,
    },
    /// The daemon is stopping.
    Stopping {},
}
