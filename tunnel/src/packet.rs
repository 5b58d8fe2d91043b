//! IP packets as the tunnel sees them: what they are, how the kernel's offload header follows from them, and how a
//! super-packet is cut when somebody cannot take it whole.
//!
//! Everything is a function of the bytes and never panics on any bytes. A packet from a peer is parsed here before
//! anything of it is believed; the offload header is derived from what was parsed, never taken over (T33).
//! Whose addresses a packet may carry is for the two ends of the tunnel to know.

mod checksum;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod icmp;
mod layout;
mod offload;
mod refusal;
mod segment;

pub use icmp::quoted_addresses;
pub use layout::{Layout, parse};
pub use offload::VirtioHeader;
pub(crate) use offload::{Departure, VIRTIO_LEN, arriving, departing};
pub use refusal::Refusal;
pub(crate) use segment::for_each_segment;

#[cfg(test)]
mod tests;
