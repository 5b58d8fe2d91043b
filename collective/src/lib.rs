//! What a Controller *decides* and serves: sign-in, entitlements, certificates, step-up, revocation, the feed of Gateways,
//! joining, and the APIs over which they are asked for.
//!
//! | room | is |
//! | --- | --- |
//! | `sign_in`, `step_up` | who a user is, and that it is still him |
//! | `issuing` | tokens and certificates: what is signed, for whom, and until when |
//! | `revocation` | how rights end before their time, and when that is enforced |
//! | `administration` | what administrators may order and ask |
//! | `identity` | providers that authenticate users, and how they are reached |
//! | `peers` | other Controllers, Gateways, appliances that join |
//! | `audit` | what is written down of all that |
//! | `replica` | the replicated state that services share, and the key of its sealed secrets |
//! | `controller` | the services put together |
//! | `api`, `listener` | HTTP, and the gates in front of it |
//! | `setup` | what a Controller starts with: configuration, data directory, founding |
//! | `process` | from a command line to a running process |
//!
//! Uses go one way: `clock`, `refusal`, `replica` → `audit`, `identity` → `setup` → `issuing`, `listener` → `peers` →
//! `revocation`, `sign_in` → `step_up`, `administration` → `controller` → `api` → `process`.
//!
//! How the state is replicated is left to `ringwall-raft`, what proves anything to `ringwall-trust`.
#![forbid(unsafe_code)]

mod administration;
mod api;
mod audit;
mod clock;
mod controller;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod identity;
mod issuing;
mod listener;
mod peers;
mod process;
mod refusal;
mod replica;
mod revocation;
mod setup;
mod sign_in;
mod step_up;

// What the program is made of.
pub use process::cli::{Arguments, Command, LogFormat, execute};
pub use process::logging::install as install_log;
pub use setup::config::ConfigError;

// What tests start Controllers with, and look at.
pub use administration::access::authority::{ACTIONS, TARGETS, applies};
pub use administration::access::break_glass::BreakGlassCode;
pub use clock::now;
pub use controller::Controller;
pub use identity::outbound::{Outbound, OutboundError};
pub use listener::gates::PEER_SEATS;
pub use listener::spa::{peer_key, profile_key};
pub use peers::frame;
pub use peers::joining::{Joined, join};
pub use process::Process;
pub use replica::vault::Purpose;
pub use revocation::enforcement::EnforcementOutcome;
pub use setup::bootstrap::begin;
pub use setup::config::{Advertise, Config, RaftPace, RawConfig};
pub use setup::data_dir::{DataDir, DataDirError};
pub use setup::founding::{FoundingError, FoundingOptions, found};
