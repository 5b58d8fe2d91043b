//! The words of the packet that rules are about: families, ends, states, directions, protocols.

use ringwall_protocol::rules::Direction;

use super::expression::CtKey;
use super::objects::Field;

/// An address family inside the `inet` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// `NFPROTO_IPV4`, `NFPROTO_IPV6`; equal to `AF_INET`, `AF_INET6`.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    /// The ICMP of this family.
    pub const fn icmp(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 58,
        }
    }

    /// The kind of field that an address of this family is.
    pub const fn address(self) -> Field {
        match self {
            Self::V4 => Field::Ipv4,
            Self::V6 => Field::Ipv6,
        }
    }

    /// Picks a name by family.
    pub const fn pick<T: Copy>(self, v4: T, v6: T) -> T {
        match self {
            Self::V4 => v4,
            Self::V6 => v6,
        }
    }
}

/// An end of a packet, as its header says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who sent it.
    Source,
    /// Whom it is for.
    Destination,
}

/// A side of the flow's original tuple.
pub(crate) const fn original_address(family: Family, side: Side) -> CtKey {
    match (family, side) {
        (Family::V4, Side::Source) => CtKey::SourceIp4,
        (Family::V4, Side::Destination) => CtKey::DestinationIp4,
        (Family::V6, Side::Source) => CtKey::SourceIp6,
        (Family::V6, Side::Destination) => CtKey::DestinationIp6,
    }
}

/// Bits of `ct state` (`NF_CT_STATE_BIT`).
pub mod state {
    /// Fits no connection.
    pub const INVALID: u32 = 1;
    /// Of a connection that was answered.
    pub const ESTABLISHED: u32 = 2;
    /// Begun by a connection: ICMP errors.
    pub const RELATED: u32 = 4;
    /// Of a connection without an answer yet.
    pub const NEW: u32 = 8;
    /// Kept out of connection tracking.
    pub const UNTRACKED: u32 = 64;
}

/// Bits of `ct status` (`IPS_…_BIT`).
pub(crate) mod status {
    /// Both sides acknowledged: a handshake was completed.
    pub(crate) const ASSURED: u32 = 4;
}

/// Which half of a conversation a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowDirection {
    /// As the first packet went.
    Original = 0,
    /// Back.
    Reply = 1,
}

/// Bytes of a logged packet: enough for an IPv6 header and the ports behind it.
pub const LOGGED_BYTES: u32 = 128;

/// The word in front of a logged packet.
pub const fn log_prefix(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

/// IANA protocol number of TCP.
pub const TCP: u8 = 6;
/// IANA protocol number of UDP.
pub const UDP: u8 = 17;
