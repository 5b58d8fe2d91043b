//! What a program needs of its machine before it begins: a directory that is its own and can be written, ports, the right to
//! change the network, a configuration that is meant, the signals that will stop it. And what it says where that is missing.
//!
//! Promises: every message says what failed, why, and what to do ([`Obstacle::advice`]); `docs/troubleshooting.md` has a
//! row for each. All four programs use it, so that the same condition has the same words everywhere. What is started is
//! left to them.
#![forbid(unsafe_code)]

mod complaint;
mod configuration;
mod directory;
mod listening;
mod obstacle;
mod requirements;
mod stop_signals;

pub use complaint::complain;
pub use configuration::parse;
pub use directory::{DirectoryLock, LockError, check_room};
pub use listening::CannotListen;
pub use obstacle::{Obstacle, Refusal};
pub use requirements::{Missing, network_admin, tun_device};
pub use stop_signals::StopSignals;
