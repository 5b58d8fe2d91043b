//! What fuzzers try: one function for every reader of this package that is given bytes of others. Each asserts what has to
//! hold whatever the bytes are, and tells whether they were accepted. `docs/fuzzing.md` says how they are run.

mod bodies;
mod policy;
#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;
#[cfg(test)]
mod seeds;

pub use crate::expression::fuzz::expression;
pub use bodies::{admin_api, client_api, join, session_messages};
pub use policy::{actions, names, times};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(
            &[
                ("actions", actions),
                ("admin_api", admin_api),
                ("client_api", client_api),
                ("expression", expression),
                ("join", join),
                ("names", names),
                ("session_messages", session_messages),
                ("times", times),
            ],
            seeds::seeds,
        );
    }
}
