//! The Gateway's end of the revocation feed: one ordered stream from one Controller, the
//! next Controller as soon as that one is silent.
//!
//! Promises: what arrives is handed to the registry in order, confirmations behind every change that they vouch for (after
//! a reconnection the changes of one incomplete index come again: each says how things stand, so that is harmless); a
//! state of an older incarnation of the Collective is refused; what this Gateway has to say is never lost by a full mailbox.
//! Connections are made by a [`ports::Dialer`]; what changes mean is the registry's business.

pub(crate) mod actor;
pub(crate) mod audit;
pub(crate) mod core;
pub(crate) mod message;
pub(crate) mod outbox;
pub(crate) mod ports;

pub use self::core::{FeedCore, FeedEffect, FeedInput};
pub use actor::{Feed, FeedParts};
pub use message::{Arrived, Candidates, Connected, Delivery, Lost, Resubscribe};
pub use outbox::FeedOutbox;
pub use ports::{Candidate, ConnectionId, Dialer};
