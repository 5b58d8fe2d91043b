//! The keys that may have signed a token: one record for each, from the replicated state or the feed (T35).

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, DecodingKey};
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::membership::{KeyRecord, KeyState};

/// A record holds no Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 bytes of base64url as public key of {kid:?}")]
pub struct KeySetError {
    /// Which record.
    pub kid: String,
}

/// Keys by `kid`. Stands at one index; whoever applies changes to the state keeps it in step.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: BTreeMap<String, VerificationKey>,
}

#[derive(Debug, Clone)]
pub(super) struct VerificationKey {
    /// The key's own; a token's header only has to agree.
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    record: KeyRecord,
}

impl KeySet {
    /// A set of these records.
    ///
    /// # Errors
    /// [`KeySetError`] for the first damaged record.
    pub fn from_records<'a>(records: impl IntoIterator<Item = &'a KeyRecord>) -> Result<Self, KeySetError> {
        let mut set = Self::default();
        for record in records {
            set.put(record)?;
        }
        Ok(set)
    }

    /// Adds a record or replaces the one with its `kid`.
    ///
    /// # Errors
    /// [`KeySetError`]; the set is unchanged.
    pub fn put(&mut self, record: &KeyRecord) -> Result<(), KeySetError> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(record.public_key.as_bytes());
        let bytes =
            bytes.ok().filter(|bytes| bytes.len() == 32).ok_or_else(|| KeySetError { kid: record.kid.clone() })?;
        let key = DecodingKey::from_ed_der(&bytes);
        let entry = VerificationKey { algorithm: Algorithm::EdDSA, key, record: record.clone() };
        self.keys.insert(record.kid.clone(), entry);
        Ok(())
    }

    /// Drops a record; tokens of the key are then of an unknown one.
    pub fn forget(&mut self, kid: &str) {
        self.keys.remove(kid);
    }

    /// Whether a record with this `kid` is held, in any state.
    #[must_use]
    #[cfg(test)]
    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    pub(super) fn find(&self, kid: &str) -> Option<&VerificationKey> {
        self.keys.get(kid)
    }
}

impl VerificationKey {
    pub(super) fn is_removed(&self) -> bool {
        self.record.state == KeyState::Removed
    }

    pub(super) fn covers(&self, idx: LogIndex) -> bool {
        self.record.covers(idx)
    }
}
