//! The first files of the corpora: frames and packets as both ends of a tunnel send them.

use etherparse::PacketBuilder;

use super::replay::Seeds;
use crate::frame::{FLAG_PARTIAL_CHECKSUM, FrameHeader, FrameKind};
use crate::packet::VirtioHeader;

type Files = Vec<(&'static str, Vec<u8>)>;

pub(super) fn seeds() -> Vec<Seeds> {
    vec![("frames", frames()), ("packet_from_peer", from_peer()), ("packet_from_tun", from_tun())]
}

fn packet(v6: bool, udp: bool, payload: usize) -> Vec<u8> {
    let start = if v6 {
        PacketBuilder::ipv6([0xfd; 16], [0xfe; 16], 64)
    } else {
        PacketBuilder::ipv4([10, 9, 0, 1], [10, 0, 0, 5], 64)
    };
    let (mut bytes, payload) = (Vec::new(), vec![7; payload]);
    let written = match udp {
        true => start.udp(40_000, 53).write(&mut bytes, &payload),
        false => start.tcp(40_000, 443, 0xffff_f000, 8_192).ack(9).psh().write(&mut bytes, &payload),
    };
    written.expect("a packet of this size");
    bytes
}

fn framed(segment: u16, flags: u8, packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).expect("a short packet");
    [&FrameHeader::packet(length, segment, flags).encode()[..], packet].concat()
}

fn frames() -> Files {
    let attach = [&FrameHeader::plain(FrameKind::Attach, 32).encode()[..], &[5; 32]].concat();
    let alive = FrameHeader::plain(FrameKind::KeepAlive, 0).encode().to_vec();
    let stream =
        [attach, framed(0, 0, &packet(false, false, 40)), alive, framed(0, 1, &packet(true, true, 9))].concat();
    let after = |piece: u8, bytes: &[u8]| [&[piece], bytes].concat();
    vec![("slowly", after(6, &stream)), ("at-once", after(255, &stream)), ("unknown", after(3, &[9; 8]))]
}

/// A router's answer that something was too large, which quotes a packet.
fn icmp_error() -> Vec<u8> {
    let quoted = packet(false, false, 0);
    let mut bytes = Vec::new();
    let error = etherparse::Icmpv4Type::DestinationUnreachable(etherparse::icmpv4::DestUnreachableHeader::Host);
    let builder = PacketBuilder::ipv4([10, 1, 1, 1], [10, 9, 0, 1], 64).icmpv4(error);
    builder.write(&mut bytes, &quoted[..28]).expect("a packet of this size");
    bytes
}

fn from_peer() -> Files {
    let partial = FLAG_PARTIAL_CHECKSUM;
    let mut fragment = packet(false, true, 100);
    fragment[6] = 0x20;
    vec![
        ("tcp", framed(0, 0, &packet(false, false, 100))),
        ("super", framed(300, partial, &packet(false, false, 1_000))),
        ("super6", framed(256, partial, &packet(true, false, 1_000))),
        ("udp", framed(0, partial, &packet(true, true, 60))),
        ("super-udp", framed(400, 0, &packet(false, true, 1_000))),
        ("fragment", framed(0, 0, &fragment)),
        ("error", framed(0, 0, &icmp_error())),
    ]
}

fn from_tun() -> Files {
    let virtio = |gso_type, gso_size, at: u16, offset| VirtioHeader {
        flags: 1,
        gso_type,
        header_len: at + 20,
        gso_size,
        csum_start: at,
        csum_offset: offset,
    };
    let of = |header: VirtioHeader, packet: &[u8]| [&header.encode()[..], packet].concat();
    vec![
        ("plain", of(VirtioHeader::default(), &packet(false, false, 100))),
        ("partial", of(virtio(0, 0, 20, 16), &packet(false, false, 100))),
        ("super", of(virtio(1, 300, 20, 16), &packet(false, false, 1_000))),
        ("small", of(virtio(4, 100, 40, 16), &packet(true, false, 1_000))),
        ("too-large", of(virtio(1, 60_000, 20, 16), &packet(false, false, 100))),
        ("udp", of(virtio(5, 400, 20, 6), &packet(false, true, 1_000))),
    ]
}
