//! What fuzzers try: one function for every reader of this package that is given bytes of others, and for the step from one
//! state to the next. Each asserts what has to hold whatever the bytes are, and tells whether they were accepted.
//! `docs/fuzzing.md` says how they are run.

#[path = "../../fuzz/shared/choices.rs"]
pub mod choices;
mod commands;
mod encodings;
#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
#[expect(clippy::disallowed_types, clippy::print_stderr, reason = "a test's time and words, not the state's")]
mod replay;
#[cfg(test)]
mod seeds;

pub use commands::commands;
pub use encodings::{log_entry, peer_frames, snapshot};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(
            &[("commands", commands), ("log_entry", log_entry), ("peer_frames", peer_frames), ("snapshot", snapshot)],
            seeds::seeds,
        );
    }
}
