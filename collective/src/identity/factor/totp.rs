//! Time-based one-time passwords (RFC 6238): the seed is the Collective's, a code counts once.
//!
//! A seed that a user enrols waits in its transaction until a one-time password proves it, and counts nowhere before (T60).

use std::sync::Arc;

use ringwall_protocol::object::MfaProvider;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{Challenge, InputType};
use ringwall_raft::State;
use ringwall_raft::state::security_key::RegistrationCode;
use ringwall_raft::state::totp::{EnrolTotp, UseTotpStep};
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::totp::Seed;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Disturbs, Factor, FactorUser, Given, Verdict};
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

    /// A new seed for whoever brings the right enrolment code, and what its transaction keeps until it is proved.
    pub(crate) fn enrol(
        &self,
        state: &State,
        bearer: FactorUser<'_>,
        code: &str,
        now: UnixMillis,
    ) -> Option<(Seed, Further)> {
        let code = RegistrationCode::new(code.trim().parse::<SecretKey>().ok()?.digest());
        let permission = state.totp_record(bearer.user)?.enrolment.as_ref()?;
        if permission.code != code || permission.not_after <= now {
            return None;
        }
        let seed = Seed::generate(&SystemRandom);
        let kept = serde_json::to_vec(&Enrolling { seed: seed.expose().to_vec(), code }).ok()?;
        let challenge = Challenge::Text { input: InputType::Numeric };
        Some((seed, Further { challenge, message: String::new(), kept: Zeroizing::new(kept) }))
    }

    /// Whether a one-time password proves the seed that is being enrolled.
    fn enrolled(&self, bearer: FactorUser<'_>, given: Given<'_>) -> Result<Verdict, Refusal> {
        let Enrolling { seed, code } = serde_json::from_slice(given.kept).map_err(|_| Refusal::internal())?;
        let seed = Seed::from_bytes(&Zeroizing::new(seed)).map_err(|_| Refusal::internal())?;
        let Some(step) = seed.verify(&digits(given.answer), given.now) else { return Ok(Verdict::Wrong) };
        let sealed = self.vault.seal(Purpose::TotpSeed(bearer.user), seed.expose());
        Ok(Verdict::Right { spend: vec![EnrolTotp { user: bearer.user, code, seed: sealed, step: step.0 }.into()] })
    }
}

/// A code as it is checked: authenticators show it in groups, and people type it as they read it.
fn digits(answer: &str) -> Zeroizing<String> {
    let apart = |sign: &char| sign.is_whitespace() || matches!(sign, '-' | '\u{2010}'..='\u{2015}');
    Zeroizing::new(answer.chars().filter(|sign| !apart(sign)).collect())
}

/// A seed that is being enrolled. Sealed with the transaction, never sent out.
#[derive(Serialize, Deserialize)]
struct Enrolling {
    seed: Vec<u8>,
    code: RegistrationCode,
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

    async fn begin(&self, _: &State, _: &MfaProvider, _: FactorUser<'_>) -> Result<Further, Refusal> {
        let challenge = Challenge::Text { input: InputType::Numeric };
        Ok(Further { challenge, message: String::new(), kept: Zeroizing::new(Vec::new()) })
    }

    async fn verify(
        &self,
        state: &State,
        _: &MfaProvider,
        bearer: FactorUser<'_>,
        given: Given<'_>,
    ) -> Result<Verdict, Refusal> {
        if !given.kept.is_empty() {
            return self.enrolled(bearer, given);
        }
        let Some(seed) = state.totp_seed(bearer.user) else { return Ok(Verdict::Wrong) };
        let opened = self.vault.open(Purpose::TotpSeed(bearer.user), seed.seed.as_str())?;
        let seed = Seed::from_bytes(&opened).map_err(|error| {
            tracing::error!(%error, "a stored one-time password seed is damaged");
            Refusal::internal()
        })?;
        Ok(seed.verify(&digits(given.answer), given.now).map_or(Verdict::Wrong, |step| Verdict::Right {
            spend: vec![UseTotpStep { user: bearer.user, step: step.0 }.into()],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_checked_without_the_blanks_and_dashes_between_its_digits() {
        for typed in ["123456", "123 456", " 123-456 ", "12 34 56", "123\u{a0}456", "123\u{2013}456", "123\t456\n"] {
            assert_eq!(digits(typed).as_str(), "123456", "{typed:?}");
        }
        for other in ["123.456", "12345", "l23456", "123+456"] {
            assert_ne!(digits(other).as_str(), "123456", "{other:?}");
        }
    }
}
