//! Secrets of providers: what the admin API takes once, seals, and never shows. Each is a named secret of the
//! replicated state beside the provider's object.

use ringwall_raft::State;
use ringwall_raft::state::secret::{PutSecret, RemoveSecret};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::refusal::Refusal;
use crate::replica::vault::{Purpose, Vault};

/// Every field that any provider keeps as a secret.
pub(crate) const FIELDS: [&str; 4] = ["adminPassword", "sharedSecret", "challengeSharedSecret", "clientSecret"];

/// Name of a provider's secret in the replicated state.
#[must_use]
pub(crate) fn name(provider: Uuid, field: &str) -> String {
    format!("provider/{provider}/{field}")
}

/// The command that keeps a secret.
#[must_use]
pub(crate) fn put(vault: &Vault, provider: Uuid, field: &'static str, secret: &str) -> PutSecret {
    PutSecret { name: name(provider, field), sealed: vault.seal(Purpose::Provider(provider, field), secret.as_bytes()) }
}

/// The command that forgets a secret.
#[must_use]
pub(crate) fn remove(provider: Uuid, field: &str) -> RemoveSecret {
    RemoveSecret { name: name(provider, field) }
}

/// Whether a provider has this secret.
#[must_use]
pub(crate) fn is_set(state: &State, provider: Uuid, field: &str) -> bool {
    state.secret(&name(provider, field)).is_some()
}

/// A provider's secret; `None` if it has none.
///
/// # Errors
/// `internal`: it does not open, and the log says why.
pub(crate) fn read(
    vault: &Vault,
    state: &State,
    provider: Uuid,
    field: &'static str,
) -> Result<Option<Zeroizing<String>>, Refusal> {
    let Some(sealed) = state.secret(&name(provider, field)) else { return Ok(None) };
    let opened = vault.open(Purpose::Provider(provider, field), sealed.as_str())?;
    let text = std::str::from_utf8(&opened).map_err(|_| {
        tracing::error!(%provider, field, "a provider's secret is no text");
        Refusal::internal()
    })?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}
