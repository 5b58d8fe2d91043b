//! What is *proved* in a Ringwall Collective: keys and certificates, tokens, TLS, knocks, passwords and one-time codes.
//!
//! | module | proves |
//! | --- | --- |
//! | [`identity`] | who holds a key, and who a certificate says he is |
//! | [`ca`] | that a Collective's root, or a current member, gave a key a name |
//! | [`token`] | that a Controller said something about a user at a log index |
//! | [`connection_proof`] | that a Client itself gave a connection its number |
//! | [`dpop`] | that a request comes from the holder of its token's key |
//! | [`tls`] | who is at the other end of a connection, and that nothing answers before a proof |
//! | [`spa`] | that an unauthenticated peer holds a key that it was given (the knock); the sockets and files around it |
//! | [`secret`] | that a stored secret was sealed by us; where random bytes come from |
//! | [`password`], [`totp`] | that a user knows, or has, what he should |
//! | [`user_certificate`] | that a user holds the key of his own certificate |
//!
//! What a policy means, what HTTP says and what the replicated state holds is left to other packages. Functions take
//! the time and their random bytes as arguments; only [`secret::SystemRandom`], the sockets and files of
//! [`spa`], and the TLS handshake reach outside.
#![forbid(unsafe_code)]

pub mod ca;
pub mod connection_proof;
pub mod dpop;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod identity;
pub mod password;
pub mod secret;
pub mod spa;
pub mod tls;
pub mod token;
pub mod totp;
pub mod user_certificate;
