//! The Ringwall Client: what the user *asks*. Profile, sign-in, tokens, a tunnel to every Site, prompts.
//!
//! | module | does |
//! | --- | --- |
//! | `profile`, `store` | how to find a Collective, and what is kept of it |
//! | `core` | decisions without clock, randomness or I/O |
//! | `dial`, `race`, `controller`, `sign_in`, `user_key` | from an address to tokens |
//! | `site_link`, [`tunnel`] | one Site: websocket, tunnel, failover; the packets |
//! | `routes`, `dns` | what the kernel sends into the tunnel |
//! | `browser` | steps that a user takes in a browser |
//! | `device_claims` | facts about the device |
//! | `daemon`, [`local`], [`status`] | `ringwall up`, and how other programs talk to it |
//! | [`cli`] | the command line |
//!
//! What a policy means is the Collective's business; the Client shows what it is told and enforces nothing.

mod advice;
mod browser;
pub mod cli;
pub mod clock;
mod controller;
mod core;
mod daemon;
mod device_claims;
mod dial;
mod dns;
mod failure;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod held_token;
pub mod local;
mod profile;
mod race;
mod routes;
mod secret_text;
mod sign_in;
mod site_link;
pub mod status;
mod store;
pub mod tunnel;
mod user_key;

pub use failure::{Exit, Failure};
