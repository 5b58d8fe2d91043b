//! What the parties of a Ringwall Collective say to each other, and what it means.
//!
//! Everything here is data and pure functions: ids, names, claims, contents of tokens, policies, conditions and
//! their evaluation, the compilation of rule sets, and every message on a wire. Nothing here knows a clock, a key,
//! a socket or an async runtime; those come in as arguments or live in other folders.

pub mod assign;
pub mod authorize;
pub mod claims;
pub mod connection;
pub mod device;
pub mod entitlement;
pub mod explain;
pub mod expression;
pub mod feed;
pub mod form;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod id;
pub mod interaction;
pub mod membership;
pub mod name;
pub mod object;
pub mod policy;
pub mod revocation;
pub mod rules;
pub mod spa;
pub mod time;
pub mod token;
pub mod wire;
