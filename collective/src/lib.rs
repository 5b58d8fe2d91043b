//! What a Controller *decides* and serves: sign-in, entitlements, certificates, step-up, revocation, the feed of Gateways,
//! joining, and the APIs over which they are asked for.
//!
//! | room | is |
//! | --- | --- |
//! | [`sign_in`], [`step_up`] | who a user is, and that it is still him |
//! | [`issuing`] | tokens and certificates: what is signed, for whom, and until when |
//! | [`revocation`] | how rights end before their time, and when that is enforced |
//! | [`administration`] | what administrators may order and ask |
//! | [`identity`] | providers that authenticate users, and how they are reached |
//! | [`peers`] | other Controllers, Gateways, appliances that join |
//! | [`audit`] | what is written down of all that |
//! | [`controller`] | what they share: the replicated state, keys, counters |
//! | [`api`], [`listener`] | HTTP, and the gates in front of it |
//! | [`setup`], [`process`] | from a command line to a running process |
//!
//! How the state is replicated is left to `ringwall-raft`, what proves anything to `ringwall-trust`.
#![forbid(unsafe_code)]

pub mod administration;
pub mod api;
pub mod audit;
pub mod controller;
pub mod identity;
pub mod issuing;
pub mod limits;
pub mod listener;
pub mod peers;
pub mod process;
pub mod refusal;
pub mod replica;
pub mod revocation;
pub mod setup;
pub mod sign_in;
pub mod step_up;
