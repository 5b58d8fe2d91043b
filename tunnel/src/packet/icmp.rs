//! ICMP error messages and the packet that they quote (RFC 792, RFC 4443).
//!
//! An error may come from a router whose own address nobody expects; whether it concerns us is seen from the quoted
//! packet, not from its source.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Layout;

const ICMP: u8 = 1;
const ICMP6: u8 = 58;
/// Bytes in front of the quoted packet, in both versions.
const ICMP_HEADER: usize = 8;

/// Source and destination of the packet that an ICMP error quotes; `None` if `packet` is no such error.
/// `layout` must be that of `packet`.
#[must_use]
pub fn quoted_addresses(packet: &[u8], layout: &Layout) -> Option<(IpAddr, IpAddr)> {
    if layout.fragment {
        return None;
    }
    match layout.source {
        // Unreachable, time exceeded, parameter problem.
        IpAddr::V4(_) if packet[9] == ICMP && matches!(packet.get(20)?, 3 | 11 | 12) => {
            let quote = packet.get(20 + ICMP_HEADER..)?.first_chunk::<20>()?;
            let address = |at: usize| IpAddr::V4(Ipv4Addr::from(std::array::from_fn(|i| quote[at + i])));
            (quote[0] >> 4 == 4).then(|| (address(12), address(16)))
        }
        // Types below 128 are errors.
        IpAddr::V6(_) if packet[6] == ICMP6 && matches!(packet.get(40)?, 1..=127) => {
            let quote = packet.get(40 + ICMP_HEADER..)?.first_chunk::<40>()?;
            let address = |at: usize| IpAddr::V6(Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|i| quote[at + i])));
            (quote[0] >> 4 == 6).then(|| (address(8), address(24)))
        }
        _ => None,
    }
}
