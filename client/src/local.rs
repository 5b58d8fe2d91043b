//! The local socket: how `ringwall status`, prompts, scripts and a tray talk to the daemon.
//!
//! One JSON object a line, both ways. The socket has mode 0600 in a directory of mode 0700, and the peer's user must be
//! root or the daemon's own: what may be said is a closed list, and none of it names a file, a program or a route.
//! Everything is bounded: lines, connections, the time for the first line.

mod client;
mod message;
mod server;

pub use client::{LocalClient, LocalError};
pub use message::{Answer, Event, Request};
pub(crate) use message::{MAX_ANSWER_LINE, MAX_REQUEST_LINE};
pub(crate) use server::{Call, serve};

#[cfg(test)]
mod tests;
