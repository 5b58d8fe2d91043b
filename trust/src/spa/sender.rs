//! Making a knock.

use ringwall_protocol::spa::{KNOCK_LEN, Service};
use ringwall_protocol::time::UnixMillis;

use super::{Destination, SpaKey, udp, wire_tcp};
use crate::secret::Random;

/// What a sender asks for, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnockRequest {
    /// What should open.
    pub service: Service,
    /// The address dialled.
    pub destination: Destination,
    /// The sender's clock.
    pub now: UnixMillis,
}

impl KnockRequest {
    /// The UDP packet. `connections`: how many TCP connections it should open, 1 or 2.
    #[must_use]
    pub fn packet(&self, key: &SpaKey, connections: u8, random: &dyn Random) -> [u8; KNOCK_LEN] {
        udp::seal(self, key, connections, random)
    }

    /// The first entry of the ALPN list of a ClientHello.
    #[must_use]
    pub fn alpn_entry(&self, key: &SpaKey, random: &dyn Random) -> Vec<u8> {
        wire_tcp::prove(self, key, random)
    }
}
