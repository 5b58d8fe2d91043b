//! The Controller's end of a feed: one [`Link`] for each connected Gateway.
//!
//! Promises: changes go out in log order, without gap or duplicate; a poll is confirmed only behind every change up to
//! its read index; what is not acknowledged is bounded. What the Gateway enforces stands on the [`Board`].
//! Where changes come from, and who hears of sessions, is left to the ports.

pub(crate) mod actor;
pub(crate) mod board;
pub(crate) mod core;
pub(crate) mod message;
pub(crate) mod ports;

pub use actor::{Link, LinkParts, OUTBOX};
pub use board::{Board, Enforcement};
pub use message::{Arrived, HungUp};
pub use ports::{ChangeSource, Changes, Compacted, GatewayReport, GatewayReports, NoQuorum};
