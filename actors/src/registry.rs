//! The one owner of admission, revocation table, feed position and sessions on a Gateway (T3).
//!
//! Checking and registering are one step, so no revocation falls between them: either the check sees it, or it sees
//! the session. Every feed change is applied here before anything else hears of it; what it cuts is cut in the order that
//! the actor states. What a session does with its rights is its own business ([`crate::session`]).

pub mod actor;
pub mod admission;
pub mod core;
pub mod directory;
pub mod enforcement;
pub mod lease;
pub mod message;
pub mod orders;
pub mod published;
