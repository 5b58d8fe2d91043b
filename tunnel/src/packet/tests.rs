//! Packets are built and judged by `etherparse`, so that parser and checksums are held against somebody else's.

use etherparse::{IpNumber, PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::layout::TransportKind;
use super::*;
use crate::frame::{FLAG_PARTIAL_CHECKSUM, FrameHeader, MIN_SEGMENT};

const V4: ([u8; 4], [u8; 4]) = ([10, 1, 0, 7], [192, 168, 9, 1]);
const V6: ([u8; 16], [u8; 16]) =
    ([0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 % 251) as u8).collect()
}

fn packet(kind: TransportKind, v6: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let step = if v6 { PacketBuilder::ipv6(V6.0, V6.1, 64) } else { PacketBuilder::ipv4(V4.0, V4.1, 64) };
    match kind {
        TransportKind::Tcp => step.tcp(40_000, 443, 0xffff_f000, 8_192).ack(9).psh().fin().write(&mut bytes, payload),
        TransportKind::Udp => step.udp(40_000, 443).write(&mut bytes, payload),
    }
    .expect("a packet of this size can be built");
    bytes
}

fn each_kind() -> impl Iterator<Item = (TransportKind, bool)> {
    [TransportKind::Tcp, TransportKind::Udp].into_iter().flat_map(|kind| [(kind, false), (kind, true)])
}

/// The transport checksum as it stands and as `etherparse` computes it.
fn checksums(bytes: &[u8]) -> (u16, u16) {
    let sliced = SlicedPacket::from_ip(bytes).expect("a segment is a packet");
    let v6 = bytes[0] >> 4 == 6;
    match sliced.transport.expect("has a transport header") {
        TransportSlice::Tcp(tcp) => {
            let wanted = if v6 { tcp.calc_checksum_ipv6(V6.0, V6.1) } else { tcp.calc_checksum_ipv4(V4.0, V4.1) };
            (tcp.checksum(), wanted.expect("fits"))
        }
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            let wanted = if v6 {
                header.calc_checksum_ipv6_raw(V6.0, V6.1, udp.payload())
            } else {
                header.calc_checksum_ipv4_raw(V4.0, V4.1, udp.payload())
            };
            (udp.checksum(), wanted.expect("fits"))
        }
        other => panic!("unexpected transport {other:?}"),
    }
}

/// What the kernel does with `NEEDS_CSUM`.
fn as_the_kernel_completes(header: VirtioHeader, bytes: &mut [u8]) {
    let start = usize::from(header.csum_start);
    let at = start + usize::from(header.csum_offset);
    let sum = !checksum::fold(checksum::add(0, &bytes[start..]));
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn whole_packets_are_laid_out_as_etherparse_reads_them() {
    for (kind, v6) in each_kind() {
        let bytes = packet(kind, v6, &payload(100));
        let layout = parse(&bytes).expect("well formed");
        let transport = layout.transport.expect("has a transport header");
        assert_eq!(transport.kind, kind);
        assert_eq!(bytes.len() - transport.payload_at, 100);
        assert_eq!(layout.source.is_ipv6(), v6);
        assert!(!layout.fragment);
        assert_eq!(layout.destination.to_string(), if v6 { "fd02::1" } else { "192.168.9.1" });
    }
}

#[test]
fn partial_checksum_is_completed_to_the_right_one() {
    for (kind, v6) in each_kind() {
        let mut bytes = packet(kind, v6, &payload(999));
        let layout = parse(&bytes).expect("well formed");
        let at = layout.transport.expect("transport").at + kind.checksum_offset();
        bytes[at..at + 2].fill(0xee);
        let header = arriving(&mut bytes, &layout, 0, true).expect("fits");
        assert!(!header.is_super());
        as_the_kernel_completes(header, &mut bytes);
        let (is, wanted) = checksums(&bytes);
        assert_eq!(is, wanted, "{kind:?} v6 {v6}");
    }
}

#[test]
fn super_packet_gets_the_type_of_its_own_headers() {
    let expected = [(1, 40), (4, 60), (5, 28), (5, 48)];
    for ((kind, v6), (gso_type, header_len)) in each_kind().zip(expected) {
        let mut bytes = packet(kind, v6, &payload(30_000));
        let layout = parse(&bytes).expect("well formed");
        let header = arriving(&mut bytes, &layout, 1_400, true).expect("fits");
        assert_eq!((header.flags, header.gso_type, header.gso_size), (1, gso_type, 1_400));
        assert_eq!(header.header_len, header_len);
        assert_eq!(usize::from(header.csum_offset), kind.checksum_offset());
        assert_eq!(VirtioHeader::decode(header.encode()), header);
    }
}

#[test]
fn congestion_window_reduced_is_announced_to_the_kernel() {
    let mut bytes = packet(TransportKind::Tcp, false, &payload(9_000));
    bytes[20 + 13] |= 0x80;
    let layout = parse(&bytes).expect("well formed");
    assert_eq!(arriving(&mut bytes, &layout, 1_400, true).expect("fits").gso_type, 0x81);
}

#[test]
fn offload_of_what_has_no_transport_header_is_refused() {
    let mut ping = Vec::new();
    PacketBuilder::ipv4(V4.0, V4.1, 64).icmpv4_echo_request(1, 2).write(&mut ping, &payload(600)).expect("builds");
    let layout = parse(&ping).expect("well formed");
    assert_eq!(arriving(&mut ping, &layout, 0, false), Ok(VirtioHeader::default()));
    assert_eq!(arriving(&mut ping, &layout, 300, false), Err(Refusal::Offload));
    assert_eq!(arriving(&mut ping, &layout, 0, true), Err(Refusal::Offload));
}

#[test]
fn segments_cut_in_user_space_are_valid_packets_that_add_up() {
    for (kind, v6) in each_kind() {
        let sent = payload(10_001);
        let mut bytes = packet(kind, v6, &sent);
        let layout = parse(&bytes).expect("well formed");
        let (mut seen, mut count, mut scratch) = (Vec::new(), 0, Vec::new());
        for_each_segment(&mut bytes, &layout, 1_000, &mut scratch, |segment| {
            let inner = parse(segment).expect("a segment is well formed");
            let (is, wanted) = checksums(segment);
            assert_eq!(is, wanted);
            let transport = inner.transport.expect("transport");
            if kind == TransportKind::Tcp {
                let sequence = u32::from_be_bytes(segment[transport.at + 4..][..4].try_into().expect("four"));
                assert_eq!(sequence, 0xffff_f000_u32.wrapping_add(seen.len() as u32));
                assert_eq!(segment[transport.at + 13] & 9 != 0, count == 10, "FIN and PSH only at the end");
            }
            if !v6 {
                let slice = etherparse::Ipv4HeaderSlice::from_slice(segment).expect("a header");
                assert_eq!(slice.header_checksum(), slice.to_header().calc_header_checksum());
            }
            seen.extend_from_slice(&segment[transport.payload_at..]);
            count += 1;
        });
        assert_eq!(count, 11);
        assert_eq!(seen, sent, "{kind:?} v6 {v6}");
    }
}

#[test]
fn departing_super_packet_keeps_size_and_checksum_bit_only() {
    for (kind, v6) in each_kind() {
        let mut bytes = packet(kind, v6, &payload(20_000));
        let layout = parse(&bytes).expect("well formed");
        let from_kernel = arriving(&mut bytes, &layout, 1_200, true).expect("fits");
        let length = u32::try_from(bytes.len()).expect("fits");
        let frame = FrameHeader::packet(length, 1_200, FLAG_PARTIAL_CHECKSUM);
        assert_eq!(departing(from_kernel, &mut bytes, &layout), Ok(Departure::Whole(frame)));
        let small = VirtioHeader { gso_size: MIN_SEGMENT - 1, ..from_kernel };
        assert_eq!(departing(small, &mut bytes, &layout), Ok(Departure::Cut(MIN_SEGMENT - 1)));
        let foreign = VirtioHeader { gso_type: 3, ..from_kernel };
        assert_eq!(departing(foreign, &mut bytes, &layout), Err(Refusal::Offload));
    }
}

#[test]
fn checksum_behind_destination_options_is_completed_before_departure() {
    let plain = packet(TransportKind::Udp, true, &payload(64));
    let mut bytes = plain[..40].to_vec();
    bytes[6] = 60;
    bytes.extend_from_slice(&[17, 0, 1, 4, 0, 0, 0, 0]);
    bytes.extend_from_slice(&plain[40..]);
    let length = u16::try_from(bytes.len() - 40).expect("fits").to_be_bytes();
    bytes[4..6].copy_from_slice(&length);
    let right = bytes[54..56].to_vec();
    let pseudo = checksum::fold(checksum::pseudo_header(&bytes, 8..40, 17, 72));
    bytes[54..56].copy_from_slice(&pseudo.to_be_bytes());
    let layout = parse(&bytes).expect("well formed");
    let header = VirtioHeader { flags: 1, csum_start: 48, csum_offset: 6, ..VirtioHeader::default() };
    let frame = FrameHeader::packet(u32::try_from(bytes.len()).expect("fits"), 0, 0);
    assert_eq!(departing(header, &mut bytes, &layout), Ok(Departure::Whole(frame)));
    assert_eq!(bytes[54..56], right);
}

#[test]
fn options_routing_and_hop_by_hop_headers_are_refused() {
    let mut options = packet(TransportKind::Udp, false, &payload(40));
    options[0] = 0x46;
    assert_eq!(parse(&options), Err(Refusal::Options));
    for forbidden in [0, 43] {
        let mut bytes = packet(TransportKind::Udp, true, &payload(40));
        bytes[6] = forbidden;
        assert_eq!(parse(&bytes), Err(Refusal::Extension));
        // The same behind destination options and behind a first fragment's header.
        for first in [60, 44] {
            bytes[6] = first;
            bytes[40] = forbidden;
            bytes[41..44].fill(0);
            assert_eq!(parse(&bytes), Err(Refusal::Extension));
        }
    }
}

#[test]
fn every_part_of_a_fragmented_packet_is_known_as_one() {
    for bits in [0x2000_u16, 0x2001, 0x0001] {
        let mut bytes = packet(TransportKind::Tcp, false, &payload(64));
        bytes[6..8].copy_from_slice(&bits.to_be_bytes());
        let layout = parse(&bytes).expect("well formed");
        assert!(layout.fragment && layout.transport.is_none());
    }
    let mut bytes = packet(TransportKind::Udp, true, &payload(64));
    bytes[6] = IpNumber::IPV6_FRAGMENTATION_HEADER.0;
    bytes[40..48].copy_from_slice(&[17, 0, 0, 1, 0, 0, 0, 9]);
    let layout = parse(&bytes).expect("well formed");
    assert!(layout.fragment && layout.transport.is_none());
}

#[test]
fn lengths_that_disagree_are_refused() {
    for (kind, v6) in each_kind() {
        let bytes = packet(kind, v6, &payload(64));
        assert_eq!(parse(&bytes[..bytes.len() - 1]), Err(Refusal::Length));
        assert_eq!(parse(&[&bytes[..], &[0]].concat()), Err(Refusal::Length));
    }
    let mut bytes = packet(TransportKind::Tcp, false, &payload(4));
    bytes[32] = 0xf0;
    assert_eq!(parse(&bytes), Err(Refusal::Length), "data offset behind the end");
    assert_eq!(parse(&[]), Err(Refusal::Length));
    assert_eq!(parse(&[0x55; 64]), Err(Refusal::Version));
}

#[test]
fn icmp_error_names_the_packet_that_it_is_about() {
    let quoted = packet(TransportKind::Udp, false, &payload(8));
    let mut error = Vec::new();
    let kind = etherparse::Icmpv4Type::DestinationUnreachable(etherparse::icmpv4::DestUnreachableHeader::Port);
    PacketBuilder::ipv4([172, 16, 0, 1], V4.0, 64).icmpv4(kind).write(&mut error, &quoted).expect("builds");
    let layout = parse(&error).expect("well formed");
    assert_eq!(quoted_addresses(&error, &layout), Some((V4.0.into(), V4.1.into())));

    let quoted = packet(TransportKind::Udp, true, &payload(8));
    let mut error = Vec::new();
    let kind = etherparse::Icmpv6Type::PacketTooBig { mtu: 1_280 };
    PacketBuilder::ipv6([9; 16], V6.0, 64).icmpv6(kind).write(&mut error, &quoted).expect("builds");
    let layout = parse(&error).expect("well formed");
    assert_eq!(quoted_addresses(&error, &layout), Some((V6.0.into(), V6.1.into())));

    let mut ping = Vec::new();
    PacketBuilder::ipv4(V4.0, V4.1, 64).icmpv4_echo_request(1, 2).write(&mut ping, &quoted).expect("builds");
    assert_eq!(quoted_addresses(&ping, &parse(&ping).expect("well formed")), None);
}

/// Arbitrary bytes, but with a version and a length that get past the first checks.
fn nearly_a_packet() -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(any::<u8>(), 0..400), any::<bool>(), any::<bool>()).prop_map(|(mut bytes, v6, mend)| {
        let length = bytes.len() as u16;
        if mend && v6 && bytes.len() >= 40 {
            bytes[0] = 0x60;
            bytes[4..6].copy_from_slice(&(length - 40).to_be_bytes());
        } else if mend && !v6 && bytes.len() >= 20 {
            bytes[0] = 0x45;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_parser_or_derivation_panic(
        mut bytes in nearly_a_packet(), segment: u16, partial: bool, header: [u8; VIRTIO_LEN], size: u16,
    ) {
        let Ok(layout) = parse(&bytes) else { return Ok(()) };
        let whole = bytes.len();
        if let Ok(derived) = arriving(&mut bytes, &layout, segment, partial) {
            prop_assert!(usize::from(derived.header_len) <= whole);
            prop_assert!(usize::from(derived.csum_start) + usize::from(derived.csum_offset) + 2 <= whole + 2);
            prop_assert!(!derived.is_super() || derived.gso_size >= MIN_SEGMENT);
        }
        let _only_that_it_returns = quoted_addresses(&bytes, &layout);
        let _only_that_it_returns = departing(VirtioHeader::decode(header), &mut bytes, &layout);
        let (mut total, mut scratch) = (0, Vec::new());
        let headers = layout.transport.map_or(whole, |transport| transport.payload_at);
        for_each_segment(&mut bytes, &layout, size, &mut scratch, |segment| total += segment.len() - headers);
        prop_assert_eq!(total, whole - headers);
    }
}
