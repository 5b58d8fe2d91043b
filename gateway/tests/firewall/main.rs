//! The firewall against the running kernel: real tables, a real TUN, hand-made packets. Needs root.
//!
//! Every test runs in a network namespace of its own that vanishes with its thread.

mod addresses;
mod admission;
mod closed;
mod every_action;
mod guard;
mod lab;
mod lease;
mod names;
mod packets;
mod passing;
mod reports;
mod scale;
mod shape;
