//! What a Controller *decides* and serves: sign-in, entitlements, certificates, step-up, revocation, the feed of Gateways,
//! joining, and the APIs over which they are asked for.
//!
//! | module | is |
//! | --- | --- |
//! | [`service`] | the decisions, each from one state of the Collective |
//! | [`controller`] | what they share: the replicated state, keys, counters |
//! | [`api`], [`listener`] | HTTP, and the gates in front of it |
//! | [`peer`], [`reports`] | other Controllers, Gateways, joining appliances |
//! | [`directory`] | identity providers |
//! | [`founding`], [`data_dir`], [`config`], [`process`], [`cli`] | from a command line to a running process |
//!
//! How the state is replicated is left to `ringwall-raft`, what proves anything to `ringwall-trust`.
#![forbid(unsafe_code)]

pub mod api;
pub mod audit;
pub mod bootstrap;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod data_dir;
pub(crate) mod device_claims;
pub mod directory;
pub mod factor;
pub mod failures;
pub mod founding;
pub mod hashing;
pub mod joining;
pub mod limits;
pub mod listener;
pub mod logging;
pub mod openapi;
pub mod outages;
pub mod outbound;
pub mod peer;
pub mod policies;
pub mod process;
pub mod profile_link;
pub mod refusal;
pub mod reports;
pub mod service;
pub mod sessions;
pub mod signers;
pub mod spa;
pub(crate) mod template;
pub mod throttle;
pub mod vault;
