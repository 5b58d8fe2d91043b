//! What fuzzers try: one function for every reader of this package that is given bytes of others. Each asserts what has to
//! hold whatever the bytes are, and tells whether they were accepted. `docs/fuzzing.md` says how they are run.

#[path = "../../fuzz/shared/choices.rs"]
pub mod choices;
#[cfg(test)]
#[path = "../../fuzz/shared/replay.rs"]
mod replay;
mod secrets;
#[cfg(test)]
mod seeds;

pub use crate::identity::fuzz::{certificate, certificate_request, identity, pem};
pub use crate::spa::fuzz::{knock, knock_journal};
pub use crate::tls::fuzz::client_hello;
pub use crate::token::fuzz::token;
pub use crate::user_certificate::fuzz::user_certificate;
pub use secrets::secrets;

use crate::secret::Random;

/// The same bytes each time: for messages that have to be made again as they were.
pub(crate) struct Fixed(pub(crate) u8);

impl Random for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_are_replayed() {
        replay::replay(
            &[
                ("certificate", certificate),
                ("certificate_request", certificate_request),
                ("client_hello", client_hello),
                ("identity", identity),
                ("knock", knock),
                ("knock_journal", knock_journal),
                ("pem", pem),
                ("secrets", secrets),
                ("token", token),
                ("user_certificate", user_certificate),
            ],
            seeds::seeds,
        );
    }
}
