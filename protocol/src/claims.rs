//! Claims: what is known of a user, said by a device, and observed by the system.
//!
//! The three never mix: an expression sees them as the separate variables `user`, `device` and `system`. What a device
//! says of itself has it in its type ([`UntrustedClaims`]) and is reachable under `device` only.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::id::{ConditionId, TransactionId};
use crate::time::UnixMillis;

/// Most encoded bytes of one kind of claims: a user in 1,000 groups fits.
pub(crate) const MAX_CLAIM_BYTES: usize = 48 * 1024;
/// Deepest nesting of lists and maps in a claim.
pub(crate) const MAX_CLAIM_DEPTH: usize = 4;
/// Most elements of one list in a claim: bounds what a comprehension can cost.
pub(crate) const MAX_CLAIM_LIST: usize = 1_000;
/// Longest reason that a user can give, in bytes.
pub const MAX_REASON: usize = 1_024;
/// Device claims older than this count as absent.
pub const DEVICE_CLAIM_MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// Claims by name: strings, numbers, truth values, lists and maps of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimMap(pub BTreeMap<String, Value>);

impl JsonSchema for ClaimMap {
    fn schema_name() -> Cow<'static, str> {
        "ClaimMap".into()
    }
    /// What [`ClaimMap::check`] takes, but for the size.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut value = json!({ "anyOf": [
            { "type": ["null", "boolean", "number", "string"] },
            { "type": "array", "maxItems": 0 },
            { "type": "object", "maxProperties": 0 },
        ]});
        for _ in 0..MAX_CLAIM_DEPTH {
            value = json!({ "anyOf": [
                { "type": ["null", "boolean", "number", "string"] },
                { "type": "array", "maxItems": MAX_CLAIM_LIST, "items": value },
                { "type": "object", "additionalProperties": value },
            ]});
        }
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}

/// Why claims are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Over `MAX_CLAIM_BYTES`.
    #[error("claims take {got} bytes, at most {MAX_CLAIM_BYTES} are allowed")]
    TooLarge {
        /// Encoded size.
        got: usize,
    },
    /// Over `MAX_CLAIM_DEPTH`.
    #[error("claim {0:?} is nested deeper than {MAX_CLAIM_DEPTH}")]
    TooDeep(String),
    /// Over `MAX_CLAIM_LIST`.
    #[error("claim {0:?} has a list of more than {MAX_CLAIM_LIST} elements")]
    TooLong(String),
}

impl ClaimMap {
    /// Checks size, depth and list lengths.
    ///
    /// # Errors
    /// The first bound that is exceeded.
    pub fn check(&self) -> Result<(), ClaimError> {
        let got = serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len());
        if got > MAX_CLAIM_BYTES {
            return Err(ClaimError::TooLarge { got });
        }
        self.0.iter().try_for_each(|(name, value)| check_value(name, value, 0))
    }

    /// The claim with this name.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl FromIterator<(String, Value)> for ClaimMap {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(claims: I) -> Self {
        Self(claims.into_iter().collect())
    }
}

fn check_value(name: &str, value: &Value, depth: usize) -> Result<(), ClaimError> {
    if depth > MAX_CLAIM_DEPTH {
        return Err(ClaimError::TooDeep(name.to_owned()));
    }
    match value {
        Value::Array(list) if list.len() > MAX_CLAIM_LIST => Err(ClaimError::TooLong(name.to_owned())),
        Value::Array(list) => list.iter().try_for_each(|item| check_value(name, item, depth + 1)),
        Value::Object(map) => map.values().try_for_each(|item| check_value(name, item, depth + 1)),
        _ => Ok(()),
    }
}

/// What a device says of itself. Nothing here is proved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UntrustedClaims(pub ClaimMap);

/// How a claim was earned after sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepUpKind {
    /// A one-time password or another factor.
    Otp,
    /// A password.
    Password,
}

/// A further proof of the user, made at sign-in or for a condition; stands in the claims token by its suffix (T5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepUp {
    /// What was proved.
    pub kind: StepUpKind,
    /// The MFA provider or identity provider that verified it.
    pub provider_id: uuid::Uuid,
    /// The condition that asked; absent if it was asked at sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition_id: Option<ConditionId>,
    /// When it was verified.
    pub at: UnixMillis,
    /// The transaction that it was verified in, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<TransactionId>,
}

/// A reason that the user typed for access: untrusted text, known to one session only (S54).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// 1 to [`MAX_REASON`] bytes, without control characters.
    pub text: String,
    /// When it was given.
    pub at: UnixMillis,
}

impl Reason {
    /// Strips control characters and checks the length.
    ///
    /// # Errors
    /// If nothing readable is left, or more than [`MAX_REASON`] bytes.
    pub fn parse(text: &str, at: UnixMillis) -> Result<Self, ReasonError> {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let text = text.trim().to_owned();
        if text.is_empty() || text.len() > MAX_REASON {
            return Err(ReasonError { got: text.len() });
        }
        Ok(Self { text, at })
    }
}

/// A reason was empty or too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a reason has 1 to {MAX_REASON} bytes, got {got}")]
pub struct ReasonError {
    /// Bytes that were left after control characters were stripped.
    pub got: usize,
}

/// Everything that a condition may look at, borrowed for one evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// From the claims token.
    pub user: &'a ClaimMap,
    /// From the Client; absent if older than [`DEVICE_CLAIM_MAX_AGE`].
    pub device: Option<&'a UntrustedClaims>,
    /// From the claims token and the Gateway: `clientSrcIP`, `tunIPv4`, `tunIPv6`, `connectTime`, `gatewayId`, `siteId`.
    pub system: &'a ClaimMap,
    /// From the claims token, by suffix.
    pub step_ups: &'a BTreeMap<String, StepUp>,
    /// From the session, by suffix.
    pub reasons: &'a BTreeMap<String, Reason>,
    /// Security time of whoever evaluates.
    pub now: UnixMillis,
}
