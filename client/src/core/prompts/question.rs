//! A prompt as the user sees it, and where it comes from.

use ringwall_protocol::id::{ConditionId, PromptId, SiteId, TransactionId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::Challenge;
use serde::{Deserialize, Serialize};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PromptOrigin {
    /// A condition of a Site.
    Condition {
        /// The Site.
        site: SiteId,
        /// The condition.
        condition: ConditionId,
        /// Which of its interactions.
        interaction_index: u8,
    },
    /// A step-up at a Controller that wants a further answer.
    StepUp {
        /// Names it at the Controllers.
        transaction: TransactionId,
        /// The Site whose condition began it.
        site: SiteId,
        /// That condition.
        condition: ConditionId,
    },
    /// A sign-in.
    SignIn(TransactionId),
}

impl PromptOrigin {
    /// The Site whose traffic waits.
    #[must_use]
    pub(crate) const fn site(self) -> Option<SiteId> {
        match self {
            Self::Condition { site, .. } => Some(site),
            Self::StepUp { .. } | Self::SignIn(_) => None,
        }
    }
}

/// A question as people and programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Answers name it.
    pub prompt_id: PromptId,
    /// What is asked for.
    pub kind: InteractionKind,
    /// From the signed token.
    pub message: String,
    /// What the answer is made of.
    #[serde(default)]
    pub challenge: Challenge,
    /// A page that the user's browser has to open; the answer then comes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// The entitlement whose traffic waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<String>,
    /// The condition that does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Name of the Site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Where the user wanted to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// For messages: the user has to mend something.
    #[serde(default)]
    pub blocking: bool,
    /// True if the former answer was wrong.
    #[serde(default)]
    pub again: bool,
    /// Since when it waits.
    pub opened_at: UnixMillis,
}
