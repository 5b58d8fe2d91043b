//! Keys that sign tokens: whose they are, and for which log indexes they count (T35).

use std::time::Duration;

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::NodeId;
use ringwall_protocol::membership::{KeyRecord, KeyState};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// A retired key is removed after this: the longest token lifetime and an hour.
pub(crate) const RETIRED_KEPT: Duration = Duration::from_secs(25 * 3600);

/// A key and when its state last changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptKey {
    /// What everyone knows of it.
    pub(crate) record: KeyRecord,
    /// When it became what it is.
    pub(crate) since: UnixMillis,
}

/// A Controller begins to sign with a new key; its former active keys cover nothing newer than this entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddKey {
    /// Names the key; unique for ever.
    pub kid: String,
    /// Who signs with it.
    pub controller: NodeId,
    /// Ed25519 public key, 32 bytes, base64url.
    pub public_key: String,
}

/// A key signs nothing new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetireKey {
    /// Id of the key.
    pub kid: String,
}

/// A key proves nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveKey {
    /// Id of the key.
    pub(crate) kid: String,
}

impl AddKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        match step.state.controllers.find(&self.controller) {
            None => return Err(Rejection::not_found("controller", self.controller)),
            Some(record) if matches!(record.state, ApplianceState::Removed | ApplianceState::Retiring) => {
                let state = format!("{:?}", record.state).to_lowercase();
                return Err(Rejection::WrongState { what: format!("controller {}", self.controller), state });
            }
            Some(_) => {}
        }
        if self.kid.is_empty() || self.kid.len() > 64 {
            return Err(Rejection::invalid("kid", "has 1 to 64 bytes"));
        }
        if data_encoding::BASE64URL_NOPAD.decode(self.public_key.as_bytes()).map_or(0, |key| key.len()) != 32 {
            return Err(Rejection::invalid("publicKey", "is 32 bytes in base64url"));
        }
        if step.state.signing_keys.contains(&self.kid) {
            return Err(Rejection::exists("key", &self.kid));
        }
        let former: Vec<KeyRecord> = step
            .state
            .keys()
            .filter(|key| key.controller == self.controller && key.state == KeyState::Active)
            .cloned()
            .collect();
        for key in former {
            step.write_key(KeyRecord { state: KeyState::Retired, until: Some(step.index), ..key });
        }
        let key = KeyRecord {
            kid: self.kid.clone(),
            controller: self.controller,
            public_key: self.public_key.clone(),
            from: step.index,
            until: None,
            state: KeyState::Active,
        };
        Ok(step.write_key(key))
    }
}

impl RetireKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let key = step.key(&self.kid)?;
        if key.state != KeyState::Active {
            return Ok(Reply::Key(Box::new(key)));
        }
        Ok(step.write_key(KeyRecord { state: KeyState::Retired, until: Some(step.index), ..key }))
    }
}

impl RemoveKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let key = step.key(&self.kid)?;
        Ok(step.write_key(KeyRecord { state: KeyState::Removed, ..key }))
    }
}

impl Step<'_> {
    fn key(&self, kid: &String) -> Result<KeyRecord, Rejection> {
        let kept = self.state.signing_keys.find(kid).ok_or_else(|| Rejection::not_found("key", kid))?;
        Ok(kept.record.clone())
    }

    pub(crate) fn write_key(&mut self, key: KeyRecord) -> Reply {
        let kept = KeptKey { record: key.clone(), since: self.now };
        self.state.signing_keys.insert(key.kid.clone(), kept);
        self.tell_all(FeedEvent::KeyChanged { key: key.clone() });
        Reply::Key(Box::new(key))
    }
}
