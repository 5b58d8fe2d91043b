//! Generations of the key-encryption key that a Controller holds, and the text of the file that keeps them.

use std::collections::BTreeMap;

use ringwall_raft::state::kek::FIRST_GENERATION;
use ringwall_trust::secret::SecretKey;
use zeroize::Zeroizing;

/// Most generations in a file: the active one, a former one that is being replaced, one that is offered; and whatever offers
/// went before.
const MAX_GENERATIONS: usize = 64;

/// Key-encryption keys by generation; never empty. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRing(BTreeMap<u32, SecretKey>);

/// A text was no list of key-encryption keys. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected lines of a number and a key of 32 bytes in base64url")]
pub struct InvalidKeyRing;

impl KeyRing {
    /// The first generation.
    #[must_use]
    pub fn first(key: SecretKey) -> Self {
        Self(BTreeMap::from([(FIRST_GENERATION, key)]))
    }

    /// Keys with their generations.
    ///
    /// # Errors
    /// [`InvalidKeyRing`] if there is none, or one twice, or too many.
    pub fn of(keys: impl IntoIterator<Item = (u32, SecretKey)>) -> Result<Self, InvalidKeyRing> {
        let mut ring = BTreeMap::new();
        for (generation, key) in keys {
            if ring.len() >= MAX_GENERATIONS || ring.insert(generation, key).is_some() {
                return Err(InvalidKeyRing);
            }
        }
        if ring.is_empty() { Err(InvalidKeyRing) } else { Ok(Self(ring)) }
    }

    /// From the text of [`KeyRing::expose_text`].
    ///
    /// # Errors
    /// [`InvalidKeyRing`].
    pub fn parse(text: &str) -> Result<Self, InvalidKeyRing> {
        let line = |line: &str| -> Result<(u32, SecretKey), InvalidKeyRing> {
            let (generation, key) = line.split_once(' ').ok_or(InvalidKeyRing)?;
            let generation = generation.parse().map_err(|_| InvalidKeyRing)?;
            Ok((generation, key.parse().map_err(|_| InvalidKeyRing)?))
        };
        let keys: Vec<_> = text.lines().take(MAX_GENERATIONS + 1).map(line).collect::<Result<_, _>>()?;
        Self::of(keys)
    }

    /// A line for each: its number and its key, for a file that is itself secret.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.0.len() * 56));
        for (generation, key) in &self.0 {
            text.push_str(&generation.to_string());
            text.push(' ');
            text.push_str(&key.expose_text());
            text.push('\n');
        }
        text
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &SecretKey)> {
        self.0.iter().map(|(generation, key)| (*generation, key))
    }

    /// Number of the oldest key that is held.
    #[must_use]
    pub fn oldest(&self) -> u32 {
        self.0.keys().next().copied().unwrap_or(FIRST_GENERATION)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, generation: u32) -> Option<&SecretKey> {
        self.0.get(&generation)
    }

    pub(super) fn insert(&mut self, generation: u32, key: SecretKey) {
        self.0.insert(generation, key);
    }

    /// Keeps the generations that are wanted; all if that would be none.
    pub(super) fn retain(&mut self, wanted: impl Fn(u32) -> bool) {
        if self.0.keys().any(|generation| wanted(*generation)) {
            self.0.retain(|generation, _| wanted(*generation));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_survives_its_text_and_nothing_else_parses() {
        let mut ring = KeyRing::first(SecretKey::new([1; 32]));
        ring.insert(7, SecretKey::new([7; 32]));
        let text = ring.expose_text();
        assert!(KeyRing::parse(&text).expect("own text") == ring);
        let key = SecretKey::new([1; 32]).expose_text().to_string();
        let many = (0..=MAX_GENERATIONS).map(|one| format!("{one} {key}\n")).collect::<String>();
        for bad in ["", "1", &key, &format!("x {key}"), &format!("1 {key}\n1 {key}"), "1 short", &many] {
            assert_eq!(KeyRing::parse(bad).err(), Some(InvalidKeyRing), "{bad:?}");
        }
        ring.retain(|generation| generation == 9);
        assert_eq!(ring.iter().count(), 2, "a ring is never emptied");
        ring.retain(|generation| generation == 7);
        assert_eq!(ring.oldest(), 7);
    }
}
