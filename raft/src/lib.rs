//! What a Collective has *agreed* on: the replicated state, the commands that change it, and the Raft group that
//! orders them.
//!
//! [`state`] is pure: a [`State`] is an immutable value, `state::apply` makes the next one from a
//! [`CommandEnvelope`], and every Controller gets the same. The rest runs it: a log in RocksDB, snapshots in files,
//! peers over streams that the caller secures, and one handle, [`Node`]. Who may do what, where tokens are minted and
//! what HTTP looks like is decided in `collective/`; openraft is named nowhere outside this package.
#![forbid(unsafe_code)]

pub mod codec;
pub mod config;
pub mod data_dir;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod log_store;
mod machine;
mod network;
mod node;
mod snapshot;
pub mod state;
mod types;

pub use config::{NodeConfig, Timing};
pub use data_dir::{DataDirError, Identity};
pub use network::server::PeerError;
pub use network::{Connecting, PeerConnector, PeerStream};
pub use node::{Applied, FoundError, Node, ProposeError, ReadError, ReconfigureError, Role, StartError, Status};
pub use state::command::{Command, CommandEnvelope, RequestDigest};
pub use state::rejection::Rejection;
pub use state::reply::{Outcome, Reply};
pub use state::{Change, Scoped, State};
