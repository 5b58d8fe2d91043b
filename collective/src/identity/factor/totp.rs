//! Time-based one-time passwords (RFC 6238): the seed is the Collective's, a code counts once.

use std::sync::Arc;

use ringwall_protocol::object::MfaProvider;
use ringwall_protocol::wire::client::{Challenge, InputType};
use ringwall_raft::State;
use ringwall_raft::state::totp::UseTotpStep;
use ringwall_trust::totp::Seed;
use zeroize::Zeroizing;

use super::{Bearer, Disturbs, Factor, Given, Verdict};
use crate::identity::directory::Further;
use crate::refusal::Refusal;
use crate::replica::vault::{Purpose, Vault};

/// One-time passwords.
pub(crate) struct TotpFactor {
    vault: Arc<Vault>,
}

impl TotpFactor {
    /// Passwords whose seeds `vault` opens.
    #[must_use]
    pub(crate) const fn new(vault: Arc<Vault>) -> Self {
        Self { vault }
    }
}

impl std::fmt::Debug for TotpFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpFactor")
    }
}

impl Factor for TotpFactor {
    fn asks_first(&self, _: &MfaProvider) -> bool {
        false
    }

    fn disturbs(&self, _: &MfaProvider) -> Disturbs {
        Disturbs::Never
    }

    async fn begin(&self, _: &State, _: &MfaProvider, _: Bearer<'_>) -> Result<Further, Refusal> {
        let challenge = Challenge::Text { input: InputType::Numeric };
        Ok(Further { challenge, message: String::new(), kept: Zeroizing::new(Vec::new()) })
    }

    async fn verify(
        &self,
        state: &State,
        _: &MfaProvider,
        bearer: Bearer<'_>,
        given: Given<'_>,
    ) -> Result<Verdict, Refusal> {
        let Some(seed) = state.totp_seed(bearer.user) else { return Ok(Verdict::Wrong) };
        let opened = self.vault.open(Purpose::TotpSeed(bearer.user), seed.seed.as_str())?;
        let seed = Seed::from_bytes(&opened).map_err(|error| {
            tracing::error!(%error, "a stored one-time password seed is damaged");
            Refusal::internal()
        })?;
        Ok(seed.verify(given.answer, given.now).map_or(Verdict::Wrong, |step| Verdict::Right {
            spend: vec![UseTotpStep { user: bearer.user, step: step.0 }.into()],
        }))
    }
}
