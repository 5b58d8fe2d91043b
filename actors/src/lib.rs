//! Who is alive: client sessions and their registry, the revocation feed on a Gateway, the Gateway's link on a Controller.
//!
//! Each is a folder of a pure core, its messages, the ports it needs and a thin actix shell. Nothing here opens a
//! socket, touches the kernel or reads a clock; adapters in `gateway/` and `collective/` do.
#![forbid(unsafe_code)]

pub mod feed;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod link;
pub mod ports;
pub mod registry;
#[cfg(any(test, fuzzing))]
mod scene;
pub mod session;
pub mod support;
