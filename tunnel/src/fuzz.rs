//! What fuzzers try: one function for every reader of this package that is given bytes of others. Each asserts what has to
//! hold whatever the bytes are, and tells whether they were accepted. `docs/fuzzing.md` says how they are run.

#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;
#[cfg(test)]
mod seeds;

pub use crate::packet::fuzz::{packet_from_peer, packet_from_tun};

use crate::frame::{ATTACH_TOKEN_LEN, Frame, FrameKind, HEADER_LEN, MAX_PACKET};

/// Size of a piece, then the plaintext of a tunnel: frames are found whatever the pieces are in which they come.
#[must_use]
pub fn frames(bytes: &[u8]) -> bool {
    let Some((piece, stream)) = bytes.split_first() else { return false };
    let piece = 1 + usize::from(*piece);
    let (at_once, end) = read(stream, stream.len().max(1));
    let (in_pieces, other_end) = read(stream, piece);
    assert_eq!((&at_once, end), (&in_pieces, other_end), "the size of the pieces counts");
    for (kind, payload) in &at_once {
        match kind {
            FrameKind::Attach => assert!(payload.is_empty() || payload.len() == ATTACH_TOKEN_LEN),
            FrameKind::Packet => assert!((20..=MAX_PACKET).contains(&payload.len())),
            FrameKind::KeepAlive => assert!(payload.is_empty()),
        }
    }
    !at_once.is_empty()
}

/// The frames of a stream that comes in pieces of this size, and whether it ended in one that is refused.
fn read(stream: &[u8], piece: usize) -> (Vec<(FrameKind, Vec<u8>)>, bool) {
    let (mut frames, mut rest) = (vec![], Vec::new());
    for piece in stream.chunks(piece) {
        rest.extend_from_slice(piece);
        let mut at = 0;
        loop {
            match Frame::at(&rest, at) {
                Ok(Some(frame)) => {
                    assert_eq!(rest[at..at + HEADER_LEN], frame.header.encode());
                    frames.push((frame.header.kind, rest[frame.payload.clone()].to_vec()));
                    at = frame.payload.end;
                }
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
        rest.drain(..at);
        assert!(rest.len() < HEADER_LEN + MAX_PACKET, "{} bytes wait for the rest of a frame", rest.len());
    }
    (frames, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(
            &[("frames", frames), ("packet_from_peer", packet_from_peer), ("packet_from_tun", packet_from_tun)],
            seeds::seeds,
        );
    }
}
