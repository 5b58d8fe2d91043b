//! The kernel's offload header (`virtio_net_hdr`) on its way in and out of a tunnel frame.
//!
//! On departure the local kernel's header is believed and shrinks to two things: the segment size and whether the
//! checksum is still to be completed. On arrival nothing but these two comes from the peer; the rest is derived from
//! the packet. The kernel takes a TCP type on a UDP packet without complaint, so copying a header would be a hole.

use super::Refusal;
use super::checksum;
use super::layout::{Layout, TransportKind};
use crate::frame::{FLAG_PARTIAL_CHECKSUM, FrameHeader, MAX_PACKET, MIN_SEGMENT};

/// Bytes of a [`VirtioHeader`] in front of each packet of a TUN device with `IFF_VNET_HDR`.
pub(crate) const VIRTIO_LEN: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;
/// Added to a TCP type when CWR is set (RFC 3168): only the first segment may keep it.
const GSO_ECN: u8 = 0x80;
/// CWR among the TCP flags, and where these stand.
const CWR: u8 = 0x80;
const TCP_FLAGS_AT: usize = 13;

/// `struct virtio_net_hdr` of `linux/virtio_net.h`. Fields are in the machine's own byte order on a TUN device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VirtioHeader {
    /// 1: the checksum at `csum_start + csum_offset` holds the pseudo header only.
    pub(crate) flags: u8,
    /// Kind of super-packet; 0 for an ordinary packet.
    pub(crate) gso_type: u8,
    /// Bytes of all headers.
    pub(crate) header_len: u16,
    /// Payload bytes of each segment.
    pub(crate) gso_size: u16,
    /// Where summing begins: the transport header.
    pub(crate) csum_start: u16,
    /// Where the checksum stands, from `csum_start`.
    pub(crate) csum_offset: u16,
}

impl VirtioHeader {
    /// As the kernel reads it.
    #[must_use]
    pub(crate) fn encode(self) -> [u8; VIRTIO_LEN] {
        let [h0, h1] = self.header_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, h0, h1, g0, g1, s0, s1, o0, o1]
    }

    /// As the kernel wrote it.
    #[must_use]
    pub(crate) const fn decode(bytes: [u8; VIRTIO_LEN]) -> Self {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1] = bytes;
        Self {
            flags,
            gso_type,
            header_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    /// True if this is a super-packet's.
    #[must_use]
    pub(crate) const fn is_super(self) -> bool {
        self.gso_type != GSO_NONE
    }
}

/// How a packet from the local kernel enters the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// As one frame with this header.
    Whole(FrameHeader),
    /// Cut into segments with this much payload first: they are smaller than a frame may announce.
    Cut(u16),
}

/// Turns the local kernel's header into a frame's. Completes the checksum of what the far end could not complete.
///
/// # Errors
/// If the kernel's header does not fit the packet, or announces a kind of offload that was never asked for.
pub(crate) fn departing(header: VirtioHeader, packet: &mut [u8], layout: &Layout) -> Result<Departure, Refusal> {
    // A peer ends the tunnel over a frame of which either is not true.
    if packet.len() > MAX_PACKET {
        return Err(Refusal::Length);
    }
    let fits = header.gso_size != 0 && usize::from(header.gso_size) <= packet.len();
    let segment = match header.gso_type & !GSO_ECN {
        GSO_NONE => 0,
        GSO_TCP4 | GSO_TCP6 | GSO_UDP if fits && layout.transport.is_some() => header.gso_size,
        _ => return Err(Refusal::Offload),
    };
    if segment != 0 && segment < MIN_SEGMENT {
        return Ok(Departure::Cut(segment));
    }
    let mut flags = 0;
    if header.flags & NEEDS_CHECKSUM != 0 {
        match layout.transport {
            Some(transport) if transport.at == usize::from(header.csum_start) => flags = FLAG_PARTIAL_CHECKSUM,
            _ => complete(header, packet)?,
        }
    }
    let length = u32::try_from(packet.len()).map_err(|_| Refusal::Length)?;
    Ok(Departure::Whole(FrameHeader::packet(length, segment, flags)))
}

/// Does what the kernel left to "the hardware": sums from `csum_start` to the end of the packet.
fn complete(header: VirtioHeader, packet: &mut [u8]) -> Result<(), Refusal> {
    let start = usize::from(header.csum_start);
    let at = start + usize::from(header.csum_offset);
    if at + 2 > packet.len() {
        return Err(Refusal::Offload);
    }
    let sum = !checksum::fold(checksum::add(0, &packet[start..]));
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// Derives the kernel's header for a packet from the tunnel. `segment` and `partial` are the frame's, all else is the
/// packet's own. Writes the pseudo header's sum where the kernel will complete the checksum.
///
/// # Errors
/// If segments or an incomplete checksum were announced for a packet that cannot have them.
pub(crate) fn arriving(
    packet: &mut [u8],
    layout: &Layout,
    segment: u16,
    partial: bool,
) -> Result<VirtioHeader, Refusal> {
    let Some(transport) = layout.transport else {
        return if segment == 0 && !partial { Ok(VirtioHeader::default()) } else { Err(Refusal::Offload) };
    };
    let payload = packet.len() - transport.payload_at;
    let is_super = segment != 0 && payload > usize::from(segment);
    if segment != 0 && segment < MIN_SEGMENT {
        return Err(Refusal::Offload);
    }
    if !is_super && !partial {
        return Ok(VirtioHeader::default());
    }
    let kind = transport.kind;
    let sum = checksum::pseudo_header(packet, layout.addresses(), kind.protocol(), packet.len() - transport.at);
    let checksum_at = transport.at + kind.checksum_offset();
    packet[checksum_at..checksum_at + 2].copy_from_slice(&checksum::fold(sum).to_be_bytes());
    let gso_type = match kind {
        _ if !is_super => GSO_NONE,
        TransportKind::Udp => GSO_UDP,
        TransportKind::Tcp => {
            let family = if layout.source.is_ipv4() { GSO_TCP4 } else { GSO_TCP6 };
            family | if packet[transport.at + TCP_FLAGS_AT] & CWR != 0 { GSO_ECN } else { 0 }
        }
    };
    let short = |offset: usize| u16::try_from(offset).map_err(|_| Refusal::Length);
    Ok(VirtioHeader {
        flags: NEEDS_CHECKSUM,
        gso_type,
        header_len: short(transport.payload_at)?,
        gso_size: if is_super { segment } else { 0 },
        csum_start: short(transport.at)?,
        csum_offset: short(kind.checksum_offset())?,
    })
}
