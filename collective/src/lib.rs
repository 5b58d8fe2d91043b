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
//! | `controller`, `replica` | the services put together, and the replicated state that they share |
//! | `api`, `listener` | HTTP, and the gates in front of it |
//! | `setup`, `process` | from a command line to a running process |
//!
//! How the state is replicated is left to `ringwall-raft`, what proves anything to `ringwall-trust`.
#![forbid(unsafe_code)]

mod administration;
mod api;
mod audit;
mod controller;
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
pub use setup::cli::{Arguments, Command, LogFormat, execute};
pub use setup::config::ConfigError;
pub use setup::logging::install as install_log;

// What tests start Controllers with, and look at.
pub use administration::access::authority::{ACTIONS, TARGETS, applies};
pub use controller::Controller;
pub use identity::outbound::Outbound;
pub use listener::gates::PEER_ROOM;
pub use listener::spa::{peer_key, profile_key};
pub use peers::frame;
pub use process::Process;
pub use process::clock::now;
pub use revocation::enforcement::EnforcementOutcome;
pub use setup::bootstrap::begin;
pub use setup::config::{Advertise, Config, RaftPace, RawConfig};
pub use setup::data_dir::DataDir;
pub use setup::founding::{FoundingOptions, found};
pub use setup::joining::join;
pub use setup::vault::Purpose;
