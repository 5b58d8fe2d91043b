//! Step-up: another proof for a condition.
//!
//! Promises that the Client only names an interaction: kind, provider and claim suffix come from the condition in this
//! Controller's state, and only if an entitlement of this user uses it (T5). Owns nothing: questions and attempts are
//! counted by `sign_in::challenges`, the new token is minted by `issuing`.

mod password;
mod transaction;

use std::sync::Arc;

use ringwall_protocol::claims::{StepUp, StepUpKind, UntrustedClaims};
use ringwall_protocol::id::TransactionId;
use ringwall_protocol::interaction::{Interaction, InteractionKind, InteractionRef};
use ringwall_protocol::object::{IdentityProvider, MfaProvider};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::client::{
    Challenge, ClaimsAnswer, MAX_FACTOR_ANSWER, MfaAnswer, MfaWanted, StepUpAnswer, StepUpRequest,
};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::transaction::{CountAttempt, Transaction, TransactionKind};
use ringwall_raft::{Reply, State};
use ringwall_trust::token::Verified;

use self::transaction::{Asked, Opening};
use crate::audit::client_events::Audit;
use crate::identity::Providers;
use crate::identity::directory::Further;
use crate::identity::directory::oidc::Going;
use crate::identity::factor::{Factor, FactorUser, refused};
use crate::issuing::interactions::{Plan, Way, answered_here, factor_of, permitted, plan};
use crate::issuing::renew::ReMint;
use crate::issuing::{CertifiedClient, DeviceRequest, Issuing, check};
use crate::refusal::Refusal;
use crate::replica::Replica;
use crate::sign_in::challenges::{Answered, Challenges, wanted};

/// What takes answers to interactions.
pub(crate) struct StepUps {
    replica: Replica,
    audit: Audit,
    providers: Arc<Providers>,
    issuing: Arc<Issuing>,
    challenges: Arc<Challenges>,
}

impl StepUps {
    /// Step-ups that these providers verify, for tokens that `issuing` mints.
    pub(crate) const fn new(
        replica: Replica,
        audit: Audit,
        providers: Arc<Providers>,
        issuing: Arc<Issuing>,
        challenges: Arc<Challenges>,
    ) -> Self {
        Self { replica, audit, providers, issuing, challenges }
    }

    /// Verifies an answer to an interaction and gives a claims token that tells of it; or says what else is to be
    /// answered first.
    ///
    /// # Errors
    /// `notEntitled` if no entitlement of the user has that interaction; `mfaRefused` for a wrong answer;
    /// `providerUnavailable`.
    pub(crate) async fn step_up(
        &self,
        caller: &CertifiedClient,
        request: StepUpRequest,
        now: UnixMillis,
    ) -> Result<StepUpAnswer, Refusal> {
        let state = self.replica.current().await?;
        let claims = check::bound_claims_token(&state, &request.claims_token, &caller.leaf, now)?;
        self.issuing.count_request(&claims.head, DeviceRequest::StepUp, now)?;
        self.hear_device(&claims, request.device_claims.as_ref(), now)?;
        let asked = Asked {
            interaction: InteractionRef {
                condition_id: request.condition_id,
                interaction_index: request.interaction_index,
            },
            prompt: request.prompt_id,
        };
        let interaction = self.interaction_of(&state, &claims, caller, asked.interaction, now)?;
        let asks_first = |provider: &MfaProvider| self.providers.factors.asks_first(provider);
        let Plan { kind, factor, way } = plan(&state, &claims, &interaction, asks_first)?;
        match way {
            Way::FactorAsksFirst(provider) => {
                self.ask_first(&state, &claims, asked, provider).await.map(StepUpAnswer::Wanted)
            }
            Way::Browser(provider) => {
                let redirect_uri = request.redirect_uri.as_deref();
                self.send_out(&state, &claims, asked, (provider, redirect_uri)).await.map(StepUpAnswer::Wanted)
            }
            Way::Typed => {
                something(&request.answer)?;
                let transaction = self.open_step_up(&claims, asked, factor, Opening::Answered).await?;
                let answered = match kind {
                    StepUpKind::Otp => self.typed_code(&state, &transaction, &request.answer, now).await?,
                    StepUpKind::Password => {
                        self.verify_password(&state, &claims, &transaction, &request.answer).await?
                    }
                };
                self.conclude(caller, &claims, (transaction.id, kind), answered, now).await
            }
        }
    }

    /// Takes the answer to what a step-up wanted first.
    ///
    /// # Errors
    /// `mfaRefused` for a wrong answer, another key, or a transaction that is over; otherwise as for the first request.
    pub(crate) async fn finish_step_up(
        &self,
        caller: &CertifiedClient,
        answer: MfaAnswer,
        now: UnixMillis,
    ) -> Result<StepUpAnswer, Refusal> {
        let state = self.replica.current().await?;
        let own = |one: &&Transaction| {
            one.kind == TransactionKind::StepUp
                && one.key == answer.key_thumbprint
                && one.key == caller.leaf.thumbprint
                && caller.leaf.session.as_ref() == Some(&one.dn)
        };
        let fits = answer.answer.len() <= MAX_FACTOR_ANSWER;
        let known = state.transaction(answer.transaction).filter(own).filter(|_| fits).ok_or_else(refused)?;
        let claims_token = answer.claims_token.as_deref().ok_or_else(|| Refusal::invalid("claimsToken is missing"))?;
        let claims = check::bound_claims_token(&state, claims_token, &caller.leaf, now)?;
        self.issuing.count_request(&claims.head, DeviceRequest::StepUp, now)?;
        self.hear_device(&claims, answer.device_claims.as_ref(), now)?;
        // The condition may have changed since: what is answered must be what it asks for now.
        let reference = known.interaction.ok_or_else(refused)?;
        let interaction = self.interaction_of(&state, &claims, caller, reference, now)?;
        let kind = answered_here(&interaction)?;
        if factor_of(&state, &claims, &interaction)? != known.factor_provider_id {
            return Err(refused());
        }
        let Reply::Transaction(counted) = self.replica.change(CountAttempt { transaction: known.id }).await? else {
            return Err(Refusal::internal());
        };
        let answered = match kind {
            StepUpKind::Otp => self.challenges.answer_factor(&state, &counted, &answer.answer, now).await?,
            StepUpKind::Password => self.go_on_password(&state, &claims, &counted, &answer.answer).await?,
        };
        self.conclude(caller, &claims, (known.id, kind), answered, now).await
    }

    /// Judges a code for which the transaction was opened. A wrong one ends it, for nobody comes back to it: left open, the
    /// wrong codes of two minutes would keep the right one out. How many may be wrong is counted by user.
    async fn typed_code(
        &self,
        state: &State,
        transaction: &Transaction,
        code: &str,
        now: UnixMillis,
    ) -> Result<Answered, Refusal> {
        let answered = self.challenges.answer_factor(state, transaction, code, now).await;
        if answered.as_ref().is_err_and(|refusal| refusal.code == ErrorCode::MfaRefused)
            && let Err(error) = self.finish(transaction.id).await
        {
            tracing::debug!(%error, "the transaction of a wrong code ends by itself");
        }
        answered
    }

    /// What comes of an answer: a claims token, or another question in the same transaction.
    async fn conclude(
        &self,
        caller: &CertifiedClient,
        claims: &Verified<ClaimsToken>,
        (transaction, kind): (TransactionId, StepUpKind),
        answered: Answered,
        now: UnixMillis,
    ) -> Result<StepUpAnswer, Refusal> {
        match answered {
            Answered::Finished(finished) => {
                self.stepped_up(caller, claims, &finished, now).await.map(StepUpAnswer::Claims)
            }
            Answered::Further(further) => {
                let asked_for = match kind {
                    StepUpKind::Otp => InteractionKind::OtpAuthentication,
                    StepUpKind::Password => InteractionKind::PasswordAuthentication,
                };
                Ok(StepUpAnswer::Wanted(wanted(transaction, asked_for, further)))
            }
        }
    }

    /// What the device says of itself, for this Controller's policies.
    fn hear_device(
        &self,
        claims: &ClaimsToken,
        device: Option<&UntrustedClaims>,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let Some(device) = device else { return Ok(()) };
        device.0.check().map_err(|error| Refusal::invalid(format!("deviceClaims: {error}")))?;
        self.issuing.device_claims.hear((claims.head.user_id, claims.head.device_id), device, now);
        Ok(())
    }

    /// Has a provider say what the user is to answer; the attempt is counted when the answer comes.
    async fn ask_first(
        &self,
        state: &State,
        claims: &Verified<ClaimsToken>,
        asked: Asked,
        provider: &MfaProvider,
    ) -> Result<MfaWanted, Refusal> {
        let bearer = FactorUser { user: claims.head.user_id, dn: &claims.head.sub.user };
        let further = self.challenges.begin_factor(state, provider, bearer).await?;
        let opening = Opening::Asked(&further);
        let transaction = self.open_step_up(claims, asked, provider.base.id.uuid(), opening).await?;
        Ok(wanted(transaction.id, InteractionKind::OtpAuthentication, further))
    }

    /// Has a user prove himself anew in a browser.
    async fn send_out(
        &self,
        state: &State,
        claims: &Verified<ClaimsToken>,
        asked: Asked,
        (provider, redirect_uri): (&IdentityProvider, Option<&str>),
    ) -> Result<MfaWanted, Refusal> {
        let redirect_uri =
            redirect_uri.ok_or_else(|| Refusal::invalid("redirectUri is wanted: this is answered in a browser"))?;
        let (device, key) = (claims.head.device_id, claims.head.cnf.jkt);
        let gone = self
            .providers
            .directories
            .oidc
            .go(state, provider, Going { device, key, redirect_uri, fresh: true })
            .await?;
        let further =
            Further { challenge: Challenge::Browser { url: gone.url }, message: String::new(), kept: gone.kept };
        let opening = Opening::Asked(&further);
        let transaction = self.open_step_up(claims, asked, provider.base.id.uuid(), opening).await?;
        Ok(wanted(transaction.id, InteractionKind::PasswordAuthentication, further))
    }

    /// The claims token of a step-up that was proved: its former one, and the proof.
    async fn stepped_up(
        &self,
        caller: &CertifiedClient,
        claims: &Verified<ClaimsToken>,
        finished: &Transaction,
        now: UnixMillis,
    ) -> Result<ClaimsAnswer, Refusal> {
        let state = self.replica.current().await?;
        let reference = finished.interaction.ok_or_else(Refusal::internal)?;
        let interaction = self.interaction_of(&state, claims, caller, reference, now)?;
        let suffix = interaction.claim_suffix.clone().ok_or_else(Refusal::internal)?;
        let kind = answered_here(&interaction)?;
        if factor_of(&state, claims, &interaction)? != finished.factor_provider_id {
            return Err(refused());
        }
        self.audit
            .event("interaction_answered", Some(&claims.head.sub), caller.address)
            .with("condition_id", reference.condition_id.to_string())
            .with("transaction_id", finished.id.to_string())
            .emit();
        let proof = StepUp {
            kind,
            provider_id: finished.factor_provider_id,
            condition_id: Some(reference.condition_id),
            at: now,
            transaction_id: Some(finished.id),
        };
        let mut step_ups = claims.step_ups.clone();
        step_ups.insert(suffix, proof);
        let user = claims.user.clone();
        let claims_token = self.issuing.mint_again(claims, ReMint { user, step_ups, life: None }).await?;
        Ok(ClaimsAnswer { claims_token })
    }

    /// The interaction, if the user's present entitlements lead to it.
    fn interaction_of(
        &self,
        state: &State,
        claims: &ClaimsToken,
        caller: &CertifiedClient,
        reference: InteractionRef,
        now: UnixMillis,
    ) -> Result<Interaction, Refusal> {
        let device =
            self.issuing.device_claims.of((claims.head.user_id, claims.head.device_id), now).unwrap_or_default();
        let assignment = self.issuing.assign(state, claims, &device, caller.address, now);
        permitted(state, &assignment, reference)
    }
}

/// An empty answer is no attempt.
fn something(answer: &str) -> Result<(), Refusal> {
    if answer.is_empty() { Err(Refusal::invalid("answer is empty: this is typed")) } else { Ok(()) }
}
