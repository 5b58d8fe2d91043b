//! The buffers of a worker for packets from the TUN. They lie frame behind frame in one buffer, so that frames to one peer
//! are sealed with one call.

use std::ops::Range;
use std::rc::Rc;

use crate::frame::{HEADER_LEN, MAX_PACKET};

/// Plaintext gathered before it is sealed and sent; the last packet may reach beyond it. More is slower, as with reads.
pub(super) const BATCH: usize = 64 * 1024;
/// What one read may take: one byte more than the longest packet, so that a longer one is seen to be too long.
pub(super) const READ: usize = MAX_PACKET + 1;

/// The buffers; reused for ever.
pub(super) struct Batch<P> {
    pub(super) buffer: Box<[u8]>,
    /// Peers with something to flush.
    pub(super) touched: Vec<Rc<P>>,
    /// Frames of a super-packet that had to be cut into segments.
    pub(super) cut: Vec<u8>,
    pub(super) segment: Vec<u8>,
}

impl<P> Default for Batch<P> {
    fn default() -> Self {
        let buffer = vec![0; BATCH + HEADER_LEN + READ].into_boxed_slice();
        Self { buffer, touched: Vec::new(), cut: Vec::new(), segment: Vec::new() }
    }
}

/// Frames to one peer that lie behind each other in the buffer.
pub(super) struct Run<P> {
    pub(super) peer: Option<Rc<P>>,
    pub(super) frames: Range<usize>,
}

impl<P> Default for Run<P> {
    fn default() -> Self {
        Self { peer: None, frames: 0..0 }
    }
}

impl<P> Run<P> {
    pub(super) fn is_to(&self, peer: &Rc<P>) -> bool {
        self.peer.as_ref().is_some_and(|current| Rc::ptr_eq(current, peer))
    }

    /// Goes on behind the frames so far, to another peer.
    pub(super) fn turn_to(&mut self, peer: Rc<P>) {
        *self = Self { peer: Some(peer), frames: self.frames.end..self.frames.end };
    }

    /// Where the next packet is read to, without its frame's header.
    pub(super) fn next(&self) -> usize {
        self.frames.end + HEADER_LEN
    }
}
