//! The data plane of the tunnel: what both of its ends do with a packet.
//!
//! A [`worker`] moves packets between one queue of a TUN device and the TLS connections of its peers. Everything here is
//! the same at a Client and at a Gateway; who may send what, and where it goes, is decided by the end that implements
//! [`side::PeerSide`]. Knocks, handshakes, addresses and routes of the device, and rules in the kernel are made elsewhere.

#![forbid(unsafe_code)]

pub mod counters;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod keep_alive;
pub mod link;
pub mod loss;
pub mod packet;
pub mod record_pump;
pub mod side;
pub mod tun;
pub mod worker;
