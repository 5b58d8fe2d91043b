//! What is written down of what was decided and done: by administrators, by Clients, by Gateways.
//!
//! Owns the format of events and the file that holds them. Promises that no secret and no token is written. Who reads it
//! is left to the operator.

pub(crate) mod client_events;
pub(crate) mod event;
pub(crate) mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
