//! What fuzzers try: one function for every reader of this package that is given bytes of others. Each asserts what has to
//! hold whatever the bytes are, and tells whether they were accepted. `docs/fuzzing.md` says how they are run.

#[path = "../../fuzz/shared/choices.rs"]
pub mod choices;
#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;
#[cfg(test)]
mod seeds;
mod texts;

pub use crate::browser::fuzz::browser;
pub use crate::dns::fuzz::{dns_message, dns_plan, resolv_conf};
pub use crate::site_link::fuzz::pending_queries;
pub use texts::{held_token, local_request, profile_link};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(
            &[
                ("browser", browser),
                ("dns_message", dns_message),
                ("dns_plan", dns_plan),
                ("held_token", held_token),
                ("local_request", local_request),
                ("pending_queries", pending_queries),
                ("profile_link", profile_link),
                ("resolv_conf", resolv_conf),
            ],
            seeds::seeds,
        );
    }
}
