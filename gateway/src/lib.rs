//! A Ringwall Gateway: what stands in front of a Site and enforces who may reach what behind it.
//!
//! | module | does |
//! | --- | --- |
//! | [`firewall`] | owns the kernel's rules and the lease |
//! | [`tunnel`] | moves packets between sessions' tunnels and the TUN device |
//! | [`joining`], [`data_dir`] | becomes a member from a seed file, and remembers it |
//! | [`controller_link`], [`first_view`], [`members`] | hears the Collective, and believes only members |
//! | [`listener`], [`handshake`], [`session_socket`] | lets Clients in, proves their tokens, speaks with them |
//! | [`names`] | finds out what names stand for, and answers Clients' questions about theirs |
//! | [`process`] | puts all of it together, in an order in which nothing is open before it is closed |
//!
//! What is decided about sessions is in `ringwall-actors`; here are only its ports.

pub mod blocked;
pub mod clock;
pub mod config;
pub mod controller_link;
pub mod country;
pub mod data_dir;
pub mod firewall;
pub mod first_view;
pub mod handshake;
pub mod health;
pub mod host_watch;
pub mod interfaces;
pub mod joining;
pub mod knocks;
pub mod listener;
pub mod logging;
pub mod members;
pub mod names;
pub mod process;
pub mod renewal;
pub mod session_socket;
pub mod tunnel;
