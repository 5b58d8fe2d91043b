//! Seed files, which people carry from one machine to another.

use ringwall_protocol::wire::join::{JoinRole, MAX_SEED, SEED_VERSION};

use super::parse_seed;

/// A seed file; what is wrong with one is said without a word out of it.
#[must_use]
pub fn seed_file(bytes: &[u8]) -> bool {
    match parse_seed(bytes) {
        Ok(seed) => {
            assert!(seed.version == SEED_VERSION && seed.role == JoinRole::Gateway && !seed.controllers.is_empty());
            assert!(bytes.len() <= MAX_SEED);
            true
        }
        Err(error) => {
            let said = error.to_string();
            let known = ["not a seed, at column ", "expected ", "the seed is for a controller", "the seed names no"];
            assert!(known.iter().any(|known| said.starts_with(known)) && said.len() < 80, "{said}");
            false
        }
    }
}
