//! A Ringwall Gateway: what stands in front of a Site and enforces who may reach what behind it.
//!
//! | module | does |
//! | --- | --- |
//! | [`firewall`] | owns the kernel's rules and the lease |
//! | [`tunnel`] | moves packets between sessions' tunnels and the TUN device |
//! | `joining`, [`data_dir`] | becomes a member from a seed file, and remembers it |
//! | `controller_link`, `first_view`, `members` | hears the Collective, and believes only members |
//! | `listener`, `handshake`, `session_socket` | lets Clients in, proves their tokens, speaks with them |
//! | `names` | finds out what names stand for, and answers Clients' questions about theirs |
//! | [`process`] | puts all of it together, in an order in which nothing is open before it is closed |
//!
//! What is decided about sessions is in `ringwall-actors`; here are only its ports.

mod blocked;
pub mod clock;
pub mod config;
mod controller_link;
mod country;
pub mod data_dir;
pub mod firewall;
mod first_view;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handshake;
mod health;
mod host_addresses;
mod host_watch;
mod interfaces;
mod joining;
mod knocks;
mod listener;
mod log_limit;
pub mod logging;
mod members;
mod names;
pub mod process;
mod renewal;
mod session_socket;
pub mod tunnel;
