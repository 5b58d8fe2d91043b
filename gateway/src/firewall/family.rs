//! The words of the packet that rules are about: families, ends, states, directions, protocols.

use ringwall_protocol::rules::Direction;

use super::expression::CtKey;
use super::objects::Field;

/// An address family inside the `inet` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// `NFPROTO_IPV4`, `NFPROTO_IPV6`; equal to `AF_INET`, `AF_INET6`.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    /// The ICMP of this family.
    pub(super) const fn icmp(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 58,
        }
    }

    pub(super) const fn address(self) -> Field {
        match self {
            Self::V4 => Field::Ipv4,
            Self::V6 => Field::Ipv6,
        }
    }

    /// Picks a name by family.
    pub(super) const fn pick<T: Copy>(self, v4: T, v6: T) -> T {
        match self {
            Self::V4 => v4,
            Self::V6 => v6,
        }
    }
}

/// An end of a packet, as its header says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// A side of the flow's original tuple.
pub(super) const fn original_address(family: Family, side: Side) -> CtKey {
    match (family, side) {
        (Family::V4, Side::Source) => CtKey::SourceIp4,
        (Family::V4, Side::Destination) => CtKey::DestinationIp4,
        (Family::V6, Side::Source) => CtKey::SourceIp6,
        (Family::V6, Side::Destination) => CtKey::DestinationIp6,
    }
}

/// Bits of `ct state` (`NF_CT_STATE_BIT`).
pub(super) mod state {
    pub(in crate::firewall) const INVALID: u32 = 1;
    pub(in crate::firewall) const ESTABLISHED: u32 = 2;
    pub(in crate::firewall) const RELATED: u32 = 4;
    pub(in crate::firewall) const NEW: u32 = 8;
    pub(in crate::firewall) const UNTRACKED: u32 = 64;
}

/// Which half of a conversation a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowDirection {
    Original = 0,
    Reply = 1,
}

/// Bytes of a logged packet: enough for an IPv6 header and the ports behind it.
pub(super) const LOGGED_BYTES: u32 = 128;

/// The word in front of a logged packet.
pub(super) const fn log_prefix(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

/// IANA protocol number of TCP.
pub(super) const TCP: u8 = 6;
/// IANA protocol number of UDP.
pub(super) const UDP: u8 = 17;
