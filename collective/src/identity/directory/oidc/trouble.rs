//! Why an OpenID provider cannot be asked: in full for operators, never for an unauthenticated peer.

use std::error::Error;

use crate::refusal::Refusal;

/// What is wrong with a provider.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub(crate) struct Trouble {
    what: &'static str,
    cause: String,
}

impl Trouble {
    /// An error and all its causes.
    pub(super) fn of(what: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(next) = source {
            cause = format!("{cause}: {next}");
            source = next.source();
        }
        Self { what, cause }
    }

    /// What is missing.
    pub(super) fn missing(what: &'static str, cause: &str) -> Self {
        Self { what, cause: cause.to_owned() }
    }

    /// What an unauthenticated peer hears; the log has the rest.
    pub(super) fn refuse(&self) -> Refusal {
        tracing::warn!(what = self.what, cause = self.cause, "an OpenID provider cannot be asked");
        Refusal::provider_unavailable()
    }
}
