//! What fuzzers try: one function for every reader of this package that is given bytes of others, and for every core that
//! goes from state to state. Each asserts what has to hold whatever the bytes are, and tells whether they were accepted.
//! `docs/fuzzing.md` says how they are run.

#[path = "../../fuzz/shared/choices.rs"]
pub mod choices;
mod frames;
#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;
#[cfg(test)]
mod seeds;

pub use crate::feed::core::fuzz::feed;
pub use crate::registry::core::fuzz::registry;
pub use crate::session::core::fuzz::session;
pub use frames::{feed_frames, link};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(
            &[
                ("feed", feed),
                ("feed_frames", feed_frames),
                ("link", link),
                ("registry", registry),
                ("session", session),
            ],
            seeds::seeds,
        );
    }
}
