//! Sealing of secrets that stand in replicated state, backups and files: AES-256-GCM under a key-encryption key.
//!
//! The label names what is sealed (`"provider/<id>/bindPassword"`) and is authenticated, so that a sealed value moved
//! to another place does not open there. Layout: version(1) ‖ nonce(12) ‖ ciphertext ‖ tag(16).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{Random, SecretKey};

const VERSION: u8 = 1;
/// Bytes that sealing adds.
pub(crate) const SEAL_OVERHEAD: usize = 1 + NONCE_LEN + 16;

/// Why a sealed value did not open. Deliberately coarse: the value was altered, or is not for this key or label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Shorter than the smallest sealed value.
    #[error("expected a sealed value of at least {SEAL_OVERHEAD} bytes, got {0}")]
    TooShort(usize),
    /// Made by a newer program.
    #[error("sealed value has version {0}, this program knows 1")]
    Version(u8),
    /// Altered, or sealed under another key or label.
    #[error("sealed value does not open under this key and label")]
    Refused,
}

/// Seals `plaintext` for `label` under `key`. Up to 2³² values may be sealed under one key (random nonces).
#[must_use]
pub fn seal(key: &SecretKey, label: &str, plaintext: &[u8], random: &dyn Random) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = random.array();
    let mut body = Zeroizing::new(plaintext.to_vec());
    let tag = cipher(key)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad(label), &mut body)
        .expect("AES-GCM seals anything below 64 GiB");
    [&[VERSION], nonce.as_slice(), body.as_slice(), tag.as_ref()].concat()
}

/// Opens what [`seal`] made with the same key and label.
///
/// # Errors
/// [`SealError`].
pub fn open(key: &SecretKey, label: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if sealed.len() < SEAL_OVERHEAD {
        return Err(SealError::TooShort(sealed.len()));
    }
    let (head, body) = sealed.split_at(1 + NONCE_LEN);
    if head[0] != VERSION {
        return Err(SealError::Version(head[0]));
    }
    let nonce = Nonce::try_assume_unique_for_key(&head[1..]).expect("split at the nonce's length");
    let mut body = Zeroizing::new(body.to_vec());
    let length = cipher(key).open_in_place(nonce, aad(label), &mut body).map_err(|_| SealError::Refused)?.len();
    body.truncate(length);
    Ok(body)
}

fn cipher(key: &SecretKey) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("AES-256 takes 32 bytes"))
}

fn aad(label: &str) -> Aad<Vec<u8>> {
    Aad::from([b"ringwall/seal/1\0".as_slice(), label.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::super::SystemRandom;
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_under_its_key_and_label_unaltered() {
        let (key, other) = (SecretKey::new([1; 32]), SecretKey::new([2; 32]));
        let sealed = seal(&key, "otp/alice", b"seed", &SystemRandom);
        assert_eq!(open(&key, "otp/alice", &sealed).expect("own seal").as_slice(), b"seed");
        assert_eq!(open(&other, "otp/alice", &sealed).err(), Some(SealError::Refused));
        assert_eq!(open(&key, "otp/bob", &sealed).err(), Some(SealError::Refused));
        for at in 1..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(open(&key, "otp/alice", &altered).err(), Some(SealError::Refused), "byte {at}");
        }
        assert_eq!(open(&key, "otp/alice", &sealed[..28]).err(), Some(SealError::TooShort(28)));
        assert_eq!(open(&key, "otp/alice", &[9; 40]).err(), Some(SealError::Version(9)));
    }

    #[test]
    fn sealing_twice_gives_two_different_values() {
        let key = SecretKey::new([1; 32]);
        assert_ne!(seal(&key, "a", b"x", &SystemRandom), seal(&key, "a", b"x", &SystemRandom));
    }
}
