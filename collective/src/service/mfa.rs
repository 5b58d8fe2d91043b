//! Another factor at sign-in (S21, S23): a transaction in the replicated state, so that any Controller may finish it. The
//! attempt is counted before the code is checked, and a code counts once.

use std::collections::BTreeMap;

use ringwall_protocol::claims::{ClaimMap, StepUp, StepUpKind};
use ringwall_protocol::id::{MfaProviderId, TransactionId, UserId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::object::identity_provider::{MfaProviderKind, SignInMfa};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{MfaAnswer, MfaWanted, SignInAnswer};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::totp::UseTotpStep;
use ringwall_raft::state::transaction::{
    CountAttempt, FinishTransaction, OpenTransaction, Transaction, TransactionKind,
};
use ringwall_raft::{Reply, State};
use ringwall_trust::totp::Seed;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::devices::Cookie;
use super::sign_in::Proved;
use crate::api::extract::Stranger;
use crate::clock;
use crate::controller::Controller;
use crate::directory::KnownUser;
use crate::limits::REFUSAL_FLOOR;
use crate::refusal::Refusal;
use crate::vault::Purpose;

/// What the first half of a sign-in knew, for the second, perhaps on another Controller. Sealed in the state.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Context {
    claims: ClaimMap,
    cookie_hash: Option<String>,
    hostname: String,
    started_at: UnixMillis,
}

impl Controller {
    /// The factor that this sign-in needs: always, or only where the device is not registered yet.
    pub(crate) fn wanted_factor(
        &self,
        state: &State,
        proved: &Proved,
        known: bool,
    ) -> Result<Option<SignInMfa>, Refusal> {
        let takes_over = !known && state.device(proved.user.id, proved.dn.device).is_some();
        match &proved.provider.on_boarding_2fa {
            Some(wanted) if wanted.always_required || !known => Ok(Some(wanted.clone())),
            _ if takes_over => Err(super::sign_in::device_conflict()),
            _ => Ok(None),
        }
    }

    /// Opens the transaction in which the other factor is awaited.
    pub(crate) async fn open_sign_in(&self, proved: Proved, wanted: SignInMfa) -> Result<MfaWanted, Refusal> {
        let id = TransactionId::new(Uuid::new_v4());
        let context = Context {
            claims: proved.user.claims,
            cookie_hash: proved.cookie.as_ref().map(Cookie::hash),
            hostname: proved.hostname,
            started_at: proved.started_at,
        };
        let context = serde_json::to_vec(&context).map_err(|_| Refusal::internal())?;
        let transaction = Transaction {
            id,
            kind: TransactionKind::SignIn,
            user_id: proved.user.id,
            provider_id: proved.provider.base.id,
            device_id: proved.dn.device,
            dn: proved.dn,
            key: proved.jkt,
            profile_id: None,
            started_idx: proved.started_idx,
            factor_provider_id: wanted.mfa_provider_id.uuid(),
            interaction: None,
            provider_state: None,
            context: Some(self.vault.seal(Purpose::Transaction(id), &context)),
            attempts: 0,
            expires_at: UnixMillis(0),
        };
        self.change(OpenTransaction { transaction }).await?;
        let message = if wanted.message.is_empty() { "One-time password".to_owned() } else { wanted.message };
        Ok(MfaWanted { transaction: id, kind: InteractionKind::OtpAuthentication, message })
    }

    /// Second request of a sign-in: the other factor.
    ///
    /// # Errors
    /// `mfaRefused` for a wrong code, a transaction that is over, or another key; otherwise as for the first request.
    pub async fn finish_sign_in(&self, caller: &Stranger, answer: MfaAnswer) -> Result<SignInAnswer, Refusal> {
        let _place = self.sign_ins.try_acquire().map_err(|_| Refusal::busy())?;
        let came = tokio::time::Instant::now();
        let outcome = self.try_finish(caller, answer).await;
        if outcome.is_err() {
            tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
        }
        outcome.map(SignInAnswer::SignedIn)
    }

    async fn try_finish(
        &self,
        caller: &Stranger,
        answer: MfaAnswer,
    ) -> Result<ringwall_protocol::wire::client::SignedIn, Refusal> {
        let now = clock::now();
        self.failures.may_try(caller.address, now)?;
        let state = self.current().await?;
        let of_sign_in = |one: &&Transaction| one.kind == TransactionKind::SignIn && one.key == answer.key_thumbprint;
        let Some(known) = state.transaction(answer.transaction).filter(of_sign_in) else {
            self.failures.count_source(caller.address, now);
            return Err(refused());
        };
        let provider = state.identity_provider(known.provider_id).cloned().ok_or_else(refused)?;
        let wanted = provider.on_boarding_2fa.clone().ok_or_else(refused)?;
        self.change(CountAttempt { transaction: known.id }).await?;
        let factor = MfaProviderId::new(known.factor_provider_id);
        if let Err(refusal) = self.verify_code(&state, known.user_id, factor, &answer.answer, now).await {
            self.failures.count_source(caller.address, now);
            return Err(refusal);
        }
        let Reply::Transaction(finished) = self.change(FinishTransaction { transaction: known.id }).await? else {
            return Err(Refusal::internal());
        };
        self.event("otp_authentication_succeeded", Some(&finished.dn), caller.address).emit();
        let context = self.context_of(&finished)?;
        let step_up = StepUp {
            kind: StepUpKind::Otp,
            provider_id: finished.factor_provider_id,
            condition_id: None,
            at: now,
            transaction_id: Some(finished.id),
        };
        let proved = Proved {
            user: KnownUser { id: finished.user_id, name: finished.dn.user.user.clone(), claims: context.claims },
            provider,
            dn: finished.dn.clone(),
            jkt: finished.key,
            cookie: context.cookie_hash.map(Cookie::hashed),
            hostname: context.hostname,
            from: caller.address,
            started_idx: finished.started_idx,
            started_at: context.started_at,
            step_ups: BTreeMap::from([(wanted.claim_suffix, step_up)]),
        };
        self.complete_sign_in(proved, true).await
    }

    fn context_of(&self, transaction: &Transaction) -> Result<Context, Refusal> {
        let sealed = transaction.context.as_ref().ok_or_else(Refusal::internal)?;
        let opened = self.vault.open(Purpose::Transaction(transaction.id), sealed.as_str())?;
        serde_json::from_slice(&opened).map_err(|error| {
            tracing::error!(%error, "a transaction's context is not what this version writes");
            Refusal::internal()
        })
    }

    /// Verifies a code with an MFA provider. A right one is spent before this answers.
    pub(crate) async fn verify_code(
        &self,
        state: &State,
        user: UserId,
        provider: MfaProviderId,
        code: &str,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        match state.mfa_provider(provider).map(|provider| provider.kind) {
            Some(MfaProviderKind::DefaultTimeBased) => {}
            Some(_) | None => return Err(refused()),
        }
        let seed = state.totp_seed(user).ok_or_else(refused)?;
        let opened = self.vault.open(Purpose::TotpSeed(user), seed.seed.as_str())?;
        let step = Seed::from_bytes(&opened)
            .map_err(|error| {
                tracing::error!(%error, "a stored one-time password seed is damaged");
                Refusal::internal()
            })?
            .verify(code, now)
            .ok_or_else(refused)?;
        self.change(UseTotpStep { user, step: step.0 }).await.map(|_| ())
    }
}

/// A code was wrong, used before, or nobody asked for it.
pub(crate) fn refused() -> Refusal {
    Refusal::new(ErrorCode::MfaRefused, "the code was not accepted")
}
