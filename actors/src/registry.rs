//! The one owner of admission, revocation table, feed position and sessions on a Gateway (T3).
//!
//! Checking and registering are one step, so no revocation falls between them: either the check sees it, or it sees
//! the session. Every feed change is applied here before anything else hears of it; what it cuts is cut in the order that
//! the actor states. What a session does with its rights is its own business ([`crate::session`]).

pub(crate) mod actor;
pub(crate) mod admission;
pub(crate) mod core;
pub(crate) mod directory;
pub(crate) mod enforcement;
pub(crate) mod lease;
pub(crate) mod message;
pub(crate) mod orders;
pub mod published;

pub use actor::{Registry, RegistryParts};
pub use admission::{Admission, Presentation, Refusal};
pub use directory::Directory;
pub use message::{Admit, Admitted, AskHealth, Drain, Present};
