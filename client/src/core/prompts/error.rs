//! Why prompts are rejected, and why answers are not taken.

use ringwall_protocol::id::PromptId;
use ringwall_protocol::interaction::InteractionKind;

use super::MAX_OPEN;

/// Why a Gateway's prompt is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PromptRejection {
    /// No such condition in the signed token.
    #[error("the Gateway asks for a condition that the entitlement token does not have")]
    UnknownCondition,
    /// No such interaction in it.
    #[error("the Gateway asks for interaction {0}, which the condition does not have")]
    UnknownInteraction(u8),
    /// The interaction is of another kind.
    #[error("the Gateway asks for {asked:?} where the entitlement token has {signed:?}")]
    Kind {
        /// What it asks.
        asked: InteractionKind,
        /// What the token says.
        signed: InteractionKind,
    },
    /// More than [`MAX_OPEN`].
    #[error("more than {MAX_OPEN} prompts are open")]
    TooMany,
}

/// Why an answer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    /// No question of this id is open.
    #[error("no prompt {0} is open")]
    NotOpen(PromptId),
    /// Its answer is on its way.
    #[error("prompt {0} is being answered")]
    Busy(PromptId),
    /// Nothing was said.
    #[error("expected an answer")]
    Empty,
    /// Only its page can answer it.
    #[error("prompt {0} is answered on its page")]
    OnPage(PromptId),
    /// Too much was said.
    #[error("expected an answer of at most {limit} bytes, got {got}")]
    TooLong {
        /// The bound.
        limit: usize,
        /// What came.
        got: usize,
    },
}
