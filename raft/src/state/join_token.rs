//! Join tokens: what an appliance brings to become a member. Known by hash, used once, with an end.

use std::fmt;

use ringwall_protocol::id::{ApplianceId, LogIndex, Thumbprint};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// SHA-256 of a join token, base64url.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JoinTokenHash(String);

impl JoinTokenHash {
    /// From the hash's 32 bytes.
    #[must_use]
    pub fn new(sha256: [u8; 32]) -> Self {
        Self(data_encoding::BASE64URL_NOPAD.encode(&sha256))
    }
}

impl fmt::Debug for JoinTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinTokenHash({}…)", self.0.get(..8).unwrap_or_default())
    }
}

/// A join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinToken {
    /// For which appliance.
    pub appliance: ApplianceId,
    /// Refused afterwards.
    pub(crate) not_after: UnixMillis,
    /// Who used it, and when.
    #[serde(default)]
    pub used: Option<(Thumbprint, LogIndex)>,
}

/// Makes a join token; a former one of the appliance is invalid, and who asked with it is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateJoinToken {
    /// For which appliance; it must not have joined.
    pub appliance: ApplianceId,
    /// Hash of the token.
    pub token: JoinTokenHash,
    /// Its end.
    pub not_after: UnixMillis,
}

/// Invalidates the tokens of an appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeJoinToken {
    /// Of which.
    pub(crate) appliance: ApplianceId,
}

impl CreateJoinToken {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let Some(appliance) = step.state.appliance(self.appliance) else {
            return Err(Rejection::not_found("appliance", self.appliance));
        };
        if appliance.activated || step.state.gateways.contains(&self.appliance) {
            let state = format!("{:?}", appliance.state).to_lowercase();
            return Err(Rejection::WrongState { what: format!("appliance {}", self.appliance), state });
        }
        if step.state.join_tokens.contains(&self.token) {
            return Err(Rejection::exists("join token", "with this hash"));
        }
        step.drop_join_tokens(self.appliance);
        let token = JoinToken { appliance: self.appliance, not_after: self.not_after, used: None };
        step.state.join_tokens.insert(self.token.clone(), token);
        Ok(Reply::Done)
    }
}

impl RevokeJoinToken {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.drop_join_tokens(self.appliance);
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    /// Uses a token up. Used ones stay recorded, so that a second use is told from an unknown token.
    pub(crate) fn spend_join_token(&mut self, hash: &JoinTokenHash, key: Thumbprint) -> Result<ApplianceId, Rejection> {
        let (now, index) = (self.now, self.index);
        let token = self.state.join_tokens.find_mut(hash).ok_or(Rejection::JoinTokenUnknown)?;
        if token.used.is_some() {
            return Err(Rejection::JoinTokenUsed);
        }
        if now > token.not_after {
            return Err(Rejection::JoinTokenExpired);
        }
        token.used = Some((key, index));
        Ok(token.appliance)
    }

    pub(crate) fn drop_join_tokens(&mut self, appliance: ApplianceId) {
        let of_it = |token: &JoinToken| token.appliance == appliance;
        let gone: Vec<_> =
            self.state.join_tokens.iter().filter(|(_, token)| of_it(token)).map(|(hash, _)| hash.clone()).collect();
        for hash in gone {
            self.state.join_tokens.remove(&hash);
        }
        self.drop_candidate(appliance);
    }
}
