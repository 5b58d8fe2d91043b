//! Tokens: EdDSA-signed JWTs (RFC 7519, RFC 8037) of the three kinds that `ringwall_protocol::token` describes.
//!
//! What comes from outside is an [`UnverifiedToken`]; only [`UnverifiedToken::verify`] makes a [`Verified`] one. The
//! header has exactly `alg`, `typ`, `kid`; the algorithm is a property of the key's record, and `typ` must be the wanted
//! kind's. Bodies are read strictly: what the type would not have written itself is refused. Whether a revocation
//! covers a token is asked of `ringwall_protocol::revocation` by the caller, who has the table.

use std::fmt;
use std::time::Duration;

use ringwall_protocol::revocation::TokenKind;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key_set;
mod mint;
mod strict;
#[cfg(test)]
mod tests;
mod verify;

pub use key_set::{KeySet, KeySetError};
pub use mint::{MintError, TokenSigner};
pub use verify::{Expected, TokenError, UnverifiedToken, Verified};

use crate::secret::sha256;

/// How far `iat` and `nbf` may lie ahead of our clock.
pub(crate) const MAX_CLOCK_LEAD: Duration = Duration::from_mins(1);
/// Longest lifetime of claims and entitlement tokens, whatever is configured (T20).
pub(crate) const MAX_SESSION_TOKEN_LIFE: Duration = Duration::from_hours(24);
/// Longest lifetime of an administrator's token.
pub(crate) const MAX_ADMIN_TOKEN_LIFE: Duration = Duration::from_hours(12);

/// The longest lifetime that a kind of token may have.
#[must_use]
pub const fn max_life(kind: TokenKind) -> Duration {
    match kind {
        TokenKind::Claims | TokenKind::Entitlement => MAX_SESSION_TOKEN_LIFE,
        TokenKind::AdminClaims | TokenKind::Administration => MAX_ADMIN_TOKEN_LIFE,
    }
}

/// What a log may say of a token: the first 8 hex digits of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHashPrefix([u8; 4]);

/// The prefix of an encoded token's hash.
#[must_use]
pub fn token_hash_prefix(token: &str) -> TokenHashPrefix {
    let [a, b, c, d, ..] = sha256(token.as_bytes());
    TokenHashPrefix([a, b, c, d])
}

impl fmt::Display for TokenHashPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for TokenHashPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
