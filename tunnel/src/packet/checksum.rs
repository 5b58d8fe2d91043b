//! The Internet checksum (RFC 1071) and the pseudo header of TCP and UDP (RFC 9293 §3.1, RFC 8200 §8.1).

use std::ops::Range;

/// Adds `bytes` as big-endian 16-bit words to a running sum; an odd last byte counts as the high half of a word.
pub(super) fn add(sum: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let last = words.remainder().first().map_or(0, |byte| u64::from(*byte) << 8);
    words.fold(sum + last, |sum, word| sum + u64::from(u16::from_be_bytes([word[0], word[1]])))
}

/// Folds carries back in until 16 bits are left.
pub(super) const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum over the pseudo header: the addresses (which stand at `addresses`), protocol and transport length.
pub(super) fn pseudo_header(packet: &[u8], addresses: Range<usize>, protocol: u8, transport_len: usize) -> u64 {
    add(u64::from(protocol) + transport_len as u64, &packet[addresses])
}
