//! The frame of the tunnel: an 8-byte header, then a packet (`docs/token-flow.md`, "At the Gateway").
//!
//! `kind(1) ‖ flags(1) ‖ segmentSize(2) ‖ length(4)`, big endian. One frame carries one IP packet, or one
//! super-packet of segments of `segmentSize` bytes of payload each.

use std::ops::Range;

/// Bytes of a frame header.
pub const HEADER_LEN: usize = 8;
/// Longest packet in a frame: what a TUN device hands over at most.
pub(crate) const MAX_PACKET: usize = 65_535;
/// Smallest segment size that a super-packet may have; smaller ones only serve to exhaust the receiver.
pub(crate) const MIN_SEGMENT: u16 = 256;
/// Bytes of the attach token that opens a tunnel.
pub const ATTACH_TOKEN_LEN: usize = 32;
/// Flag: the transport checksum holds only the pseudo header and is still to be completed.
pub const FLAG_PARTIAL_CHECKSUM: u8 = 1;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// The attach token (Client), or its acceptance with length 0 (Gateway).
    Attach = 0,
    /// An IP packet.
    Packet = 1,
    /// Nothing but a sign of life; length 0, answered by the same.
    KeepAlive = 2,
}

/// The decoded header of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Kind.
    pub kind: FrameKind,
    /// Bit set of `FLAG_*`.
    pub(crate) flags: u8,
    /// Payload bytes per segment of a super-packet; 0 for an ordinary packet.
    pub(crate) segment_size: u16,
    /// Bytes that follow the header.
    pub length: u32,
}

/// Why a header is refused. All of them end the session with `protocolError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not a kind of this version.
    #[error("unknown frame kind {0}")]
    Kind(u8),
    /// Not a flag of this version.
    #[error("unknown frame flags {0:#04x}")]
    Flags(u8),
    /// More than `MAX_PACKET`, or wrong for the kind.
    #[error("frame length {0} is out of range for its kind")]
    Length(u32),
    /// Not 0 and outside `MIN_SEGMENT` to the length of the frame.
    #[error("segment size {0} is out of range")]
    Segment(u16),
}

impl FrameHeader {
    /// The header of a packet of `length` bytes.
    #[must_use]
    pub const fn packet(length: u32, segment_size: u16, flags: u8) -> Self {
        Self { kind: FrameKind::Packet, flags, segment_size, length }
    }

    /// A header without segments or flags.
    #[must_use]
    pub const fn plain(kind: FrameKind, length: u32) -> Self {
        Self { kind, flags: 0, segment_size: 0, length }
    }

    /// The eight bytes on the wire.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.segment_size.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [self.kind as u8, self.flags, s0, s1, l0, l1, l2, l3]
    }

    /// Reads and checks eight bytes.
    ///
    /// # Errors
    /// If kind, flags, length or segment size are outside what this version allows.
    pub fn decode(bytes: [u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let [kind, flags, s0, s1, l0, l1, l2, l3] = bytes;
        let segment_size = u16::from_be_bytes([s0, s1]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let kind = match kind {
            0 => FrameKind::Attach,
            1 => FrameKind::Packet,
            2 => FrameKind::KeepAlive,
            other => return Err(FrameError::Kind(other)),
        };
        if flags & !FLAG_PARTIAL_CHECKSUM != 0 || (flags != 0 && kind != FrameKind::Packet) {
            return Err(FrameError::Flags(flags));
        }
        let fits = match kind {
            FrameKind::Attach => length == 0 || length as usize == ATTACH_TOKEN_LEN,
            FrameKind::Packet => (20..=MAX_PACKET).contains(&(length as usize)),
            FrameKind::KeepAlive => length == 0,
        };
        if !fits {
            return Err(FrameError::Length(length));
        }
        if segment_size != 0 && (segment_size < MIN_SEGMENT || u32::from(segment_size) > length) {
            return Err(FrameError::Segment(segment_size));
        }
        Ok(Self { kind, flags, segment_size, length })
    }
}

/// One complete frame at the start of some received bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: FrameHeader,
    /// Where its payload lies in the bytes. The next frame begins where it ends.
    pub payload: Range<usize>,
}

impl Frame {
    /// The frame that begins at `at`, or `None` while bytes of it are missing.
    ///
    /// # Errors
    /// As `FrameHeader::decode`: known from the header alone, before any payload is waited for.
    pub fn at(received: &[u8], at: usize) -> Result<Option<Self>, FrameError> {
        let Some(bytes) = received.get(at..).and_then(|rest| rest.first_chunk::<HEADER_LEN>()) else {
            return Ok(None);
        };
        let header = FrameHeader::decode(*bytes)?;
        let start = at + HEADER_LEN;
        let payload = start..start + header.length as usize;
        Ok((payload.end <= received.len()).then_some(Self { header, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_survives_the_wire() {
        let header = FrameHeader::packet(60_000, 1_448, FLAG_PARTIAL_CHECKSUM);
        assert_eq!(FrameHeader::decode(header.encode()), Ok(header));
    }

    #[test]
    fn foreign_kinds_flags_lengths_and_segments_are_refused() {
        assert_eq!(FrameHeader::decode([3, 0, 0, 0, 0, 0, 0, 0]), Err(FrameError::Kind(3)));
        assert_eq!(FrameHeader::decode([1, 2, 0, 0, 0, 0, 0, 40]), Err(FrameError::Flags(2)));
        assert_eq!(FrameHeader::decode([1, 0, 0, 0, 0, 1, 0, 0]), Err(FrameError::Length(65_536)));
        assert_eq!(FrameHeader::decode([1, 0, 0, 1, 0, 0, 0, 40]), Err(FrameError::Segment(1)));
        assert_eq!(FrameHeader::decode([2, 0, 0, 0, 0, 0, 0, 1]), Err(FrameError::Length(1)));
    }

    #[test]
    fn frames_are_found_one_behind_the_other_and_not_before_they_are_whole() {
        let mut bytes = FrameHeader::plain(FrameKind::KeepAlive, 0).encode().to_vec();
        bytes.extend_from_slice(&FrameHeader::packet(20, 0, 0).encode());
        bytes.extend_from_slice(&[7; 20]);
        let first = Frame::at(&bytes, 0).expect("valid").expect("complete");
        assert_eq!((first.header.kind, first.payload.clone()), (FrameKind::KeepAlive, 8..8));
        let second = Frame::at(&bytes, first.payload.end).expect("valid").expect("complete");
        assert_eq!(bytes[second.payload.clone()], [7; 20]);
        assert_eq!(Frame::at(&bytes, second.payload.end), Ok(None));
        for end in 8..bytes.len() {
            assert_eq!(Frame::at(&bytes[..end], 8), Ok(None), "{end} bytes");
        }
        assert_eq!(Frame::at(&[9; 8], 0), Err(FrameError::Kind(9)));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_bytes_are_refused_or_read_as_what_they_say(bytes: Vec<u8>, at in 0..64_usize) {
            if let Ok(Some(frame)) = Frame::at(&bytes, at) {
                proptest::prop_assert_eq!(&bytes[at..at + HEADER_LEN], &frame.header.encode()[..]);
                proptest::prop_assert!(frame.payload.end <= bytes.len());
                proptest::prop_assert_eq!(frame.payload.len(), frame.header.length as usize);
            }
        }
    }
}
