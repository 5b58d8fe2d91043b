//! Cutting a super-packet in user space: what a network card or the kernel does when it can.
//!
//! Needed twice: for kernels that refuse a super-packet, and for segments too small to be announced in a frame.

use std::net::IpAddr;

use super::checksum;
use super::layout::{Layout, Transport, TransportKind};

/// FIN and PSH belong to the last segment only.
const FIN_PSH: u8 = 0x09;
/// CWR belongs to the first segment only (RFC 3168 §6.1.2).
const CWR: u8 = 0x80;

/// Calls `each` with every segment of `packet`, complete with lengths, sequence numbers and checksums.
///
/// `layout` must be that of `packet`, `size` is the payload of each segment but the last; `scratch` holds one segment
/// at a time and may be reused. A packet without transport header, or with `size` 0, comes out whole and unchanged.
pub(crate) fn for_each_segment(
    packet: &mut [u8],
    layout: &Layout,
    size: u16,
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(&mut [u8]),
) {
    let (Some(transport), true) = (layout.transport, size != 0) else { return each(packet) };
    let (headers, payload) = packet.split_at(transport.payload_at);
    let count = payload.len().div_ceil(usize::from(size)).max(1);
    for index in 0..count {
        let from = index * usize::from(size);
        let to = payload.len().min(from + usize::from(size));
        scratch.clear();
        scratch.extend_from_slice(headers);
        scratch.extend_from_slice(&payload[from..to]);
        let place = Place { index, from, last: index + 1 == count };
        finish(scratch, layout, transport, &place);
        each(scratch);
    }
}

/// Which segment this is, and where its payload began in the super-packet.
struct Place {
    index: usize,
    from: usize,
    last: bool,
}

/// Makes a copy of the super-packet's headers in front of one payload into a packet of its own.
fn finish(segment: &mut [u8], layout: &Layout, transport: Transport, place: &Place) {
    network(segment, layout.source, place.index);
    match transport.kind {
        TransportKind::Tcp => tcp(&mut segment[transport.at..], place),
        TransportKind::Udp => {
            let length = length(segment.len() - transport.at);
            segment[transport.at + 4..transport.at + 6].copy_from_slice(&length);
        }
    }
    let at = transport.at + transport.kind.checksum_offset();
    segment[at..at + 2].fill(0);
    let length = segment.len() - transport.at;
    let pseudo = checksum::pseudo_header(segment, layout.addresses(), transport.kind.protocol(), length);
    let sum = match !checksum::fold(checksum::add(pseudo, &segment[transport.at..])) {
        // RFC 768: zero means "no checksum", its other form is sent instead.
        0 if transport.kind == TransportKind::Udp => 0xffff,
        sum => sum,
    };
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn network(segment: &mut [u8], source: IpAddr, index: usize) {
    match source {
        IpAddr::V4(_) => {
            let total = length(segment.len());
            segment[2..4].copy_from_slice(&total);
            let id = u16::from_be_bytes([segment[4], segment[5]]).wrapping_add(index as u16);
            segment[4..6].copy_from_slice(&id.to_be_bytes());
            segment[10..12].fill(0);
            let sum = !checksum::fold(checksum::add(0, &segment[..20]));
            segment[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        IpAddr::V6(_) => {
            let payload = length(segment.len() - 40);
            segment[4..6].copy_from_slice(&payload);
        }
    }
}

fn tcp(header: &mut [u8], place: &Place) {
    let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]).wrapping_add(place.from as u32);
    header[4..8].copy_from_slice(&sequence.to_be_bytes());
    if !place.last {
        header[13] &= !FIN_PSH;
    }
    if place.index != 0 {
        header[13] &= !CWR;
    }
}

/// A length field. No segment is longer than the super-packet, whose length field held.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}
