//! User interactions: what a user can do about a condition that does not hold (S51; vendor: "remedy method").

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::{self, Form, Is};
use crate::id::{ConditionId, EntitlementId, PromptId};

/// What a user reads of an interaction.
pub const MESSAGE: Form = Form::matching(
    "[^\\u0000-\\u0020\\u007f-\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]",
    1,
    MAX_MESSAGE,
    "has 1 to 2048 characters, not only blanks",
);
/// Longest text of an interaction, in characters.
pub const MAX_MESSAGE: usize = 2_048;

/// One interaction of a condition, as the admin API writes it (`remedyMethods[]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Interaction {
    /// What is asked for.
    #[serde(rename = "type")]
    pub kind: InteractionKind,
    /// What the user reads.
    #[schemars(transform = Is(MESSAGE))]
    pub message: String,
    /// Name under which the answer is found in claims; wanted for all but messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = Is(form::SUFFIX))]
    pub claim_suffix: Option<String>,
    /// MFA provider (OTP) or identity provider (password); absent: the provider of the sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<uuid::Uuid>,
    /// For messages: true if the user can mend the cause, and the message is shown again when a claim changed and the
    /// condition still fails; false if it only informs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocking: bool,
}

/// The kinds of interaction, with the vendor's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum InteractionKind {
    /// Text to be read; nothing is answered.
    DisplayMessage,
    /// A one-time password or another factor, verified by a Controller.
    OtpAuthentication,
    /// A password, verified by a Controller.
    PasswordAuthentication,
    /// A text that goes to the Gateway as an untrusted claim.
    Reason,
}

/// Identifies one interaction of one condition: the Client may name nothing else of it (T5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InteractionRef {
    /// The condition.
    pub condition_id: ConditionId,
    /// Position in its list of interactions, from 0.
    pub interaction_index: u8,
}

/// What the Gateway sends to the Client when a blocked packet could be unblocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// Answers name it; single use.
    pub prompt_id: PromptId,
    /// Which interaction.
    #[serde(flatten)]
    pub interaction: InteractionRef,
    /// Its kind; the Client checks it against its own entitlement token.
    pub kind: InteractionKind,
    /// The entitlement whose traffic waits.
    pub entitlement_id: EntitlementId,
    /// Where the user wanted to go, `address:port` or a name, for display.
    pub destination: String,
    /// For messages: see [`Interaction::blocking`].
    #[serde(default)]
    pub blocking: bool,
}
