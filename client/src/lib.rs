//! The Ringwall Client: what the user *asks*. Profile, sign-in, tokens, a tunnel to every Site, prompts.
//!
//! | module | does |
//! | --- | --- |
//! | [`profile`], [`store`] | how to find a Collective, and what is kept of it |
//! | [`core`] | decisions without clock, randomness or I/O |
//! | [`dial`], [`controller`], [`sign_in`], [`user_key`] | from an address to tokens |
//! | [`site_link`], [`tunnel`] | one Site: websocket, tunnel, failover; the packets |
//! | [`routes`], [`dns`] | what the kernel sends into the tunnel |
//! | [`browser`] | steps that a user takes in a browser |
//! | [`device_claims`] | what the device says of itself |
//! | [`daemon`], [`local`], [`status`] | `ringwall up`, and how other programs talk to it |
//! | [`cli`] | the command line |
//!
//! What a policy means is the Collective's business; the Client shows what it is told and enforces nothing.

pub mod advice;
pub mod browser;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod core;
pub mod daemon;
pub mod device_claims;
pub mod dial;
pub mod dns;
pub mod failure;
pub mod held_token;
pub mod local;
pub mod profile;
mod race;
pub mod routes;
pub mod secret_text;
pub mod sign_in;
pub mod site_link;
pub mod status;
pub mod store;
pub mod tunnel;
pub mod user_key;
