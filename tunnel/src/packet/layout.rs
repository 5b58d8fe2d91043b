//! Where the headers of a packet lie: the one parser that both ends of the tunnel use on every packet.
//!
//! Promise: a [`Layout`] is only made of a packet whose lengths agree with its bytes, so that every offset in it lies
//! inside. IPv4 options, IPv6 routing and hop-by-hop headers are refused (T33).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::Refusal;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// Extension headers followed before giving up: destination options and a fragment header are all that occurs.
const MAX_EXTENSIONS: usize = 4;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// TCP or UDP: what offload exists for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportKind {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl TransportKind {
    /// IANA protocol number.
    #[must_use]
    pub(crate) const fn protocol(self) -> u8 {
        match self {
            Self::Tcp => TCP,
            Self::Udp => UDP,
        }
    }

    /// Offset of the checksum in the transport header.
    pub(super) const fn checksum_offset(self) -> usize {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }
}

/// A complete transport header directly behind the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transport {
    /// Which protocol.
    pub(crate) kind: TransportKind,
    /// Where its header begins.
    pub(crate) at: usize,
    /// Where its payload begins.
    pub(crate) payload_at: usize,
}

/// What was read from a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// True for each part of a fragmented packet, the first one included.
    pub fragment: bool,
    /// The transport header, if it is TCP or UDP, whole, and directly behind the IP header.
    pub(crate) transport: Option<Transport>,
}

impl Layout {
    /// Where the two addresses stand, one behind the other.
    pub(super) const fn addresses(&self) -> Range<usize> {
        match self.source {
            IpAddr::V4(_) => 12..20,
            IpAddr::V6(_) => 8..40,
        }
    }
}

/// Reads the headers of an IP packet or super-packet.
///
/// # Errors
/// If it is no IP packet, its lengths disagree with its bytes, or it carries a header that is not let through.
pub fn parse(packet: &[u8]) -> Result<Layout, Refusal> {
    match packet.first().ok_or(Refusal::Length)? >> 4 {
        4 => parse_v4(packet),
        6 => parse_v6(packet),
        _ => Err(Refusal::Version),
    }
}

fn parse_v4(packet: &[u8]) -> Result<Layout, Refusal> {
    let header: &[u8; IPV4_HEADER] = packet.first_chunk().ok_or(Refusal::Length)?;
    match header[0] & 15 {
        5 => {}
        0..5 => return Err(Refusal::Length),
        _ => return Err(Refusal::Options),
    }
    if usize::from(u16::from_be_bytes([header[2], header[3]])) != packet.len() {
        return Err(Refusal::Length);
    }
    // More Fragments, or an offset.
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    let transport = if fragment { None } else { transport(packet, header[9], IPV4_HEADER)? };
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    Ok(Layout {
        source: Ipv4Addr::new(s0, s1, s2, s3).into(),
        destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
        fragment,
        transport,
    })
}

fn parse_v6(packet: &[u8]) -> Result<Layout, Refusal> {
    let header: &[u8; IPV6_HEADER] = packet.first_chunk().ok_or(Refusal::Length)?;
    if usize::from(u16::from_be_bytes([header[4], header[5]])) + IPV6_HEADER != packet.len() {
        return Err(Refusal::Length);
    }
    let (fragment, transport) = match header[6] {
        TCP | UDP => (false, transport(packet, header[6], IPV6_HEADER)?),
        first => (extensions(packet, first)?, None),
    };
    let octets = |at: usize| -> [u8; 16] { std::array::from_fn(|i| header[at + i]) };
    Ok(Layout {
        source: Ipv6Addr::from(octets(8)).into(),
        destination: Ipv6Addr::from(octets(24)).into(),
        fragment,
        transport,
    })
}

/// Follows extension headers (RFC 8200 §4) to see that none is forbidden; answers whether one is a fragment header.
fn extensions(packet: &[u8], first: u8) -> Result<bool, Refusal> {
    let (mut next, mut at, mut fragment) = (first, IPV6_HEADER, false);
    for _ in 0..MAX_EXTENSIONS {
        let len = match next {
            HOP_BY_HOP | ROUTING => return Err(Refusal::Extension),
            FRAGMENT => 8,
            DESTINATION_OPTIONS => 8 + 8 * usize::from(*packet.get(at + 1).ok_or(Refusal::Length)?),
            _ => return Ok(fragment),
        };
        let header = packet.get(at..at + len).ok_or(Refusal::Length)?;
        if next == FRAGMENT {
            fragment = true;
            // Only the first fragment has the headers that follow.
            if u16::from_be_bytes([header[2], header[3]]) & 0xfff8 != 0 {
                return Ok(true);
            }
        }
        (next, at) = (header[0], at + len);
    }
    Err(Refusal::Extension)
}

fn transport(packet: &[u8], protocol: u8, at: usize) -> Result<Option<Transport>, Refusal> {
    let rest = packet.len() - at;
    match protocol {
        TCP if rest >= TCP_HEADER => {
            let header = usize::from(packet[at + 12] >> 4) * 4;
            if header < TCP_HEADER || header > rest {
                return Err(Refusal::Length);
            }
            Ok(Some(Transport { kind: TransportKind::Tcp, at, payload_at: at + header }))
        }
        UDP if rest >= UDP_HEADER => Ok(Some(Transport { kind: TransportKind::Udp, at, payload_at: at + UDP_HEADER })),
        TCP | UDP => Err(Refusal::Length),
        _ => Ok(None),
    }
}
