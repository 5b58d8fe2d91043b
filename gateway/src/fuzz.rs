//! What fuzzers try: one function for every reader of this package that is given bytes of others, and for the ledger of what
//! stands in the kernel. Each asserts what has to hold whatever the bytes are, and tells whether they were accepted.
//! `docs/fuzzing.md` says how they are run.

#[path = "../../fuzz/shared/choices.rs"]
pub mod choices;
#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;
#[cfg(test)]
mod seeds;

pub use crate::firewall::fuzz::{ledger, logged_packet};
pub use crate::joining::fuzz::seed_file;
pub use crate::names::fuzz::{dns_answer, dns_question};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(
            &[
                ("dns_answer", dns_answer),
                ("dns_question", dns_question),
                ("ledger", ledger),
                ("logged_packet", logged_packet),
                ("seed_file", seed_file),
            ],
            seeds::seeds,
        );
    }
}
