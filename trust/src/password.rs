//! Passwords of local users: Argon2id (RFC 9106) in PHC strings, with the cost that OWASP recommends.
//!
//! Hashing takes tens of milliseconds of a core: callers run it where it blocks nobody and limit how many run at once.
//! For a user who does not exist [`verify_for_nobody`] does the same work, so that the time tells nothing (T39).

use std::sync::OnceLock;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::secret::Random;

/// Longest password that is hashed; longer ones are refused, not cut.
pub const MAX_PASSWORD: usize = 1024;

/// How much work a hash takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB, at least 8 for each lane.
    pub(crate) memory_kib: u32,
    /// Passes over the memory, at least 1.
    pub(crate) iterations: u32,
    /// Lanes, at least 1.
    pub(crate) lanes: u32,
}

impl Cost {
    /// For passwords: OWASP's first choice for Argon2id.
    pub const PASSWORD: Self = Self { memory_kib: 19_456, iterations: 2, lanes: 1 };
    /// For the root key's passphrase, which is used once a year.
    pub const ROOT_KEY: Self = Self { memory_kib: 65_536, iterations: 3, lanes: 1 };
    /// For tests: no protection at all.
    pub const FAST: Self = Self { memory_kib: 8, iterations: 1, lanes: 1 };

    /// Whether Argon2 accepts the values and none exceeds `limit`.
    #[must_use]
    pub fn within(self, limit: Self) -> bool {
        self.memory_kib <= limit.memory_kib
            && self.iterations <= limit.iterations
            && self.lanes <= limit.lanes
            && Params::new(self.memory_kib, self.iterations, self.lanes, None).is_ok()
    }

    /// Argon2id with this cost.
    ///
    /// # Panics
    /// If a value is below its minimum: costs come from constants or were checked by [`Cost::within`].
    pub(crate) fn argon2(self) -> Argon2<'static> {
        let params = Params::new(self.memory_kib, self.iterations, self.lanes, None);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.expect("costs are constants or were checked"))
    }
}

/// Most work that a stored hash may ask for. Hashes of ours ask for [`Cost::PASSWORD`]; a state that was damaged or restored
/// must not take all memory.
const MAX_STORED: Cost = Cost { memory_kib: 65_536, iterations: 4, lanes: 4 };

/// A password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Empty or too long.
    #[error("expected a password of 1 to {MAX_PASSWORD} bytes")]
    Length,
}

/// Hashes a password into a PHC string (`$argon2id$v=19$…`).
///
/// # Errors
/// [`PasswordError::Length`].
pub fn hash(password: &str, cost: Cost, random: &dyn Random) -> Result<String, PasswordError> {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(PasswordError::Length);
    }
    let salt: [u8; 16] = random.array();
    let hash = cost.argon2().hash_password_with_salt(password.as_bytes(), &salt);
    Ok(hash.expect("Argon2 hashes any password with a salt of 16 bytes").to_string())
}

/// Whether `password` is the one behind a PHC string. A damaged string, or one that asks for too much work, matches nothing.
#[must_use]
pub fn verify(password: &str, phc: &str) -> bool {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return false;
    }
    let Ok(hash) = PasswordHash::new(phc) else { return false };
    hash.algorithm.as_str() == "argon2id"
        && is_bearable(&hash)
        && Cost::PASSWORD.argon2().verify_password(password.as_bytes(), &hash).is_ok()
}

fn is_bearable(hash: &PasswordHash) -> bool {
    Params::try_from(hash).is_ok_and(|params| {
        let (memory_kib, iterations, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        Cost { memory_kib, iterations, lanes }.within(MAX_STORED)
    })
}

/// The work of [`verify`] for a user who does not exist or may not sign in. Always false.
#[must_use]
pub fn verify_for_nobody(password: &str) -> bool {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let phc = NOBODY.get_or_init(|| {
        let hash = Cost::PASSWORD.argon2().hash_password_with_salt(b"nobody", &[0; 16]);
        hash.expect("constants hash").to_string()
    });
    std::hint::black_box(verify(password, phc));
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let phc = hash("hunter2", Cost::FAST, &SystemRandom).expect("hashed");
        assert!(verify("hunter2", &phc));
        assert!(!verify("hunter3", &phc));
        assert!(!verify("", &phc));
        assert!(!verify("hunter2", "$argon2id$broken"));
        assert_ne!(hash("hunter2", Cost::FAST, &SystemRandom).expect("hashed"), phc, "salted");
    }

    #[test]
    fn the_default_cost_is_what_owasp_recommends() {
        let phc = hash("hunter2", Cost::PASSWORD, &SystemRandom).expect("hashed");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify("hunter2", &phc));
    }

    #[test]
    fn other_algorithms_and_absurd_lengths_are_refused() {
        let long = "x".repeat(MAX_PASSWORD + 1);
        assert_eq!(hash(&long, Cost::FAST, &SystemRandom), Err(PasswordError::Length));
        assert_eq!(hash("", Cost::FAST, &SystemRandom), Err(PasswordError::Length));
        let argon2i = Argon2::new(Algorithm::Argon2i, Version::V0x13, Params::new(8, 1, 1, None).expect("valid"));
        let phc = argon2i.hash_password_with_salt(b"hunter2", &[0; 16]).expect("hashed").to_string();
        assert!(!verify("hunter2", &phc));
    }

    #[test]
    fn a_hash_that_asks_for_all_memory_matches_nothing() {
        let phc = hash("hunter2", Cost::FAST, &SystemRandom).expect("hashed");
        for (cost, much) in [("m=8", "m=4294967295"), ("t=1", "t=4294967295"), ("p=1", "p=9")] {
            let much = phc.replace(cost, much).replace("m=8,t=1,p=9", "m=4096,t=1,p=9");
            assert_ne!(much, phc, "{phc}");
            assert!(!verify("hunter2", &much), "{much}");
        }
    }

    #[test]
    fn nobody_never_signs_in_not_even_with_the_dummys_password() {
        assert!(!verify_for_nobody("nobody"));
    }
}
