//! Who authenticates users: identity providers, providers of further factors, and how a Controller reaches them.
//!
//! Owns the connections to providers, the pool of password hashes and the record of providers that do not respond.
//! Promises that whatever is not certain is no proof, and that no provider's address leads to this machine itself. What a
//! proof is good for is left to `sign_in`, `step_up` and `issuing`.

pub mod directory;
pub mod factor;
pub mod hashing;
pub mod outages;
pub mod outbound;
