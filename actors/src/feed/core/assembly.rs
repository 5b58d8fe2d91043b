//! A full state that comes in parts: in order, all of one position, bounded.

use ringwall_protocol::feed::{FeedPosition, FeedView};

use crate::support::packed::unpack;

/// Parts of one full state: 256 KiB each are 1 GiB; an honest state has a few.
const MAX_PARTS: u32 = 4_096;
/// Bytes of one full state: a million revocations fit.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Parts so far.
#[derive(Debug)]
pub(super) struct Assembly {
    position: FeedPosition,
    parts: u32,
    next: u32,
    bytes: Vec<u8>,
}

/// What a part led to.
pub(super) enum Assembled {
    More(Assembly),
    Whole(Box<FeedView>),
    /// The parts do not fit together, or are no state.
    Broken(&'static str),
}

impl Assembly {
    /// Adds a part to what there is.
    pub(super) fn add(former: Option<Self>, position: FeedPosition, part: u32, parts: u32, bytes: &[u8]) -> Assembled {
        let mut this = match former {
            None if part == 0 && (1..=MAX_PARTS).contains(&parts) => Self { position, parts, next: 0, bytes: vec![] },
            Some(this) if this.position == position && this.parts == parts && this.next == part => this,
            _ => return Assembled::Broken("parts of the full state out of order"),
        };
        if this.bytes.len() + bytes.len() > MAX_BYTES {
            return Assembled::Broken("the full state is too large");
        }
        this.bytes.extend_from_slice(bytes);
        this.next += 1;
        if this.next < this.parts {
            return Assembled::More(this);
        }
        match unpack::<FeedView>(&this.bytes) {
            Ok(view) if view.position == position => Assembled::Whole(Box::new(view)),
            Ok(_) => Assembled::Broken("the full state stands elsewhere than its parts say"),
            Err(_) => Assembled::Broken("the full state cannot be read"),
        }
    }
}
