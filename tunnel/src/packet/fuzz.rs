//! Packets: of peers, of whom nothing is believed, and of the local kernel, whose frames the peer has to take.

use std::net::IpAddr;

use super::layout::{Layout, TransportKind, parse};
use super::offload::{Departure, VIRTIO_LEN, VirtioHeader, arriving, departing};
use super::segment::for_each_segment;
use super::{checksum, quoted_addresses};
use crate::frame::{FLAG_PARTIAL_CHECKSUM, FrameHeader, FrameKind, HEADER_LEN, MIN_SEGMENT};

/// A frame's header and a packet of a peer.
#[must_use]
pub fn packet_from_peer(bytes: &[u8]) -> bool {
    let Some((header, packet)) = bytes.split_first_chunk::<HEADER_LEN>() else { return false };
    let Ok(header) = FrameHeader::decode(*header) else { return false };
    let Ok(layout) = parse(packet) else { return false };
    is_inside(&layout, packet);
    if let Some((source, destination)) = quoted_addresses(packet, &layout) {
        assert!(source.is_ipv4() == layout.source.is_ipv4() && destination.is_ipv4() == source.is_ipv4());
    }
    if header.kind != FrameKind::Packet {
        return false;
    }
    let mut packet = packet.to_vec();
    let before = packet.clone();
    let partial = header.flags & FLAG_PARTIAL_CHECKSUM != 0;
    let Ok(virtio) = arriving(&mut packet, &layout, header.segment_size, partial) else { return false };
    assert_eq!(VirtioHeader::decode(virtio.encode()), virtio);
    fits(virtio, &layout, &packet);
    if !virtio.is_super() && !partial {
        assert_eq!(packet, before, "an ordinary packet was changed");
    }
    if virtio.is_super() {
        cut(&mut packet, &layout, virtio.gso_size);
    }
    true
}

/// Every offset of a layout lies inside the packet.
fn is_inside(layout: &Layout, packet: &[u8]) {
    assert_eq!(layout.source.is_ipv4(), layout.destination.is_ipv4());
    if let Some(transport) = layout.transport {
        assert!(!layout.fragment && transport.at < transport.payload_at && transport.payload_at <= packet.len());
        assert!(transport.at + transport.kind.checksum_offset() + 2 <= transport.payload_at);
    }
}

/// The kernel's header says of the packet what is true of it (T33).
fn fits(virtio: VirtioHeader, layout: &Layout, packet: &[u8]) {
    if virtio == VirtioHeader::default() {
        return;
    }
    let transport = layout.transport.expect("offload is for transport headers");
    assert_eq!(usize::from(virtio.csum_start), transport.at);
    assert_eq!(usize::from(virtio.csum_offset), transport.kind.checksum_offset());
    assert_eq!(usize::from(virtio.header_len), transport.payload_at);
    let kind = match (virtio.is_super(), transport.kind, layout.source) {
        (false, ..) => 0,
        (true, TransportKind::Udp, _) => 5,
        (true, TransportKind::Tcp, IpAddr::V4(_)) => 1,
        (true, TransportKind::Tcp, IpAddr::V6(_)) => 4,
    };
    assert_eq!(virtio.gso_type & !0x80, kind, "{virtio:?} for {layout:?}");
    if virtio.is_super() {
        assert!(virtio.gso_size >= MIN_SEGMENT && usize::from(virtio.gso_size) < packet.len() - transport.payload_at);
    }
}

/// Cut in user space, every segment is a packet of the same flow with a right checksum, and nothing is lost.
fn cut(packet: &mut [u8], layout: &Layout, size: u16) {
    let transport = layout.transport.expect("a super-packet has a transport header");
    let payload = packet[transport.payload_at..].to_vec();
    let (mut joined, mut scratch) = (Vec::new(), Vec::new());
    for_each_segment(packet, layout, size, &mut scratch, |segment| {
        let own = parse(segment).unwrap_or_else(|why| panic!("a segment is no packet: {why}"));
        assert_eq!((own.source, own.destination), (layout.source, layout.destination));
        let own = own.transport.expect("its transport header");
        assert_eq!((own.kind, own.at, own.payload_at), (transport.kind, transport.at, transport.payload_at));
        let sum = checksum::pseudo_header(segment, layout.addresses(), own.kind.protocol(), segment.len() - own.at);
        assert_eq!(checksum::fold(checksum::add(sum, &segment[own.at..])), 0xffff, "a segment's checksum is wrong");
        joined.extend_from_slice(&segment[own.payload_at..]);
    });
    assert!(joined == payload, "segments do not come to the payload");
}

/// The kernel's header and a packet that it hands over: what becomes a frame is one that a peer takes.
#[must_use]
pub fn packet_from_tun(bytes: &[u8]) -> bool {
    let Some((virtio, packet)) = bytes.split_first_chunk::<VIRTIO_LEN>() else { return false };
    let Ok(layout) = parse(packet) else { return false };
    let mut packet = packet.to_vec();
    match departing(VirtioHeader::decode(*virtio), &mut packet, &layout) {
        Ok(Departure::Whole(header)) => {
            assert_eq!(FrameHeader::decode(header.encode()), Ok(header), "a peer ends the tunnel");
            assert_eq!(header.length as usize, packet.len());
            assert_eq!(parse(&packet).map(|after| after.transport), Ok(layout.transport));
            true
        }
        Ok(Departure::Cut(size)) => {
            assert!((1..MIN_SEGMENT).contains(&size));
            cut(&mut packet, &layout, size);
            true
        }
        Err(_) => false,
    }
}
