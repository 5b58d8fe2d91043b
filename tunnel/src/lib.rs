//! The data plane of the tunnel: what both of its ends do with a packet.
//!
//! Frames, the layout and offload of packets, TLS records over a socket, and the queues of a TUN device. Everything here
//! is the same at a Client and at a Gateway; who may send what, and where it goes, is for the two ends to know.

#![forbid(unsafe_code)]

pub mod frame;
pub mod packet;
pub mod record_pump;
pub mod tun;
