//! The Controller's end of a feed: one [`Link`](actor::Link) for each connected Gateway.
//!
//! Promises: changes go out in log order, without gap or duplicate; a poll is confirmed only behind every change up to
//! its read index; what is not acknowledged is bounded. What the Gateway enforces stands on the [`Board`](board::Board).
//! Where changes come from, and who hears of sessions, is left to the [`ports`].

pub mod actor;
pub mod board;
pub mod core;
pub mod message;
pub mod ports;
