//! One Client that is signed in, as a Gateway sees it: what it may reach now, and what would open more (`docs/token-flow.md`).
//!
//! Promises: what the session may reach follows from its current tokens, device claims, reasons and address by the one
//! pure function of `protocol`, again after every change of any of them; nothing outlives its tokens; a panic ends this
//! session only and withdraws its rules. Whether tokens are valid is the registry's business, moving packets the workers'.

pub(crate) mod actor;
pub(crate) mod core;
pub(crate) mod guard;
pub(crate) mod message;
pub(crate) mod notice;
pub(crate) mod prompts;

pub use self::core::{SocketId, TunnelNews};
pub use actor::SessionPorts;
pub use message::{Alerted, Blocked, FromSocket, NameRefused, Socket, SocketLost, Tunnel};
