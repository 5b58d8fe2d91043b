//! Single packet authorization: what a knock says. Keys, seals and proofs are in `trust/` (review 3.5).

use serde::{Deserialize, Serialize};

/// Bytes of a UDP knock.
pub const KNOCK_LEN: usize = 128;
/// First byte of a UDP knock is at least this; a DTLS record's never is.
pub const KNOCK_FIRST_BYTE: u8 = 0xC0;

/// What a knock asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum Service {
    /// A Controller's client API.
    Client = 1,
    /// A Gateway's session and tunnel.
    Tunnel = 2,
    /// A Gateway's DTLS.
    Datagram = 3,
    /// A Controller's peer port.
    Peer = 4,
    /// A Controller's admin API.
    Admin = 5,
}
