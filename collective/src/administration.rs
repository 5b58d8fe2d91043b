//! What administrators may order, and how it is done (T40).
//!
//! | room | is |
//! | --- | --- |
//! | [`access`] | how an administrator proves himself, what he may do, and what he may hand on |
//! | [`objects`] | objects as the admin API writes them; create, read, replace, delete: one way for every kind |
//! | [`users`] | devices, users and sessions |
//! | [`members`], [`profiles`] | the Collective itself: appliances, settings, Client profiles |
//! | [`questions`] | what would happen, and why something does not: explain, rehearsal, what-if, lint |
//! | [`repeat`] | an order that is sent twice happens once |
//!
//! Everything decides from one state that is at least as new as the request. HTTP is left to `api::admin`.

pub mod access;
pub mod denial;
#[cfg(test)]
pub(crate) mod fixture;
pub mod members;
pub mod objects;
pub mod profiles;
pub mod questions;
pub mod repeat;
pub mod users;

pub use access::authority::{Administrator, Authority};
pub use denial::Denial;
