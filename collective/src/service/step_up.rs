//! Step-up: another proof for a condition. The Client names an interaction; kind, provider and claim suffix come from
//! the condition in this Controller's state, and only if an entitlement of this user uses it (review F5).

use ringwall_protocol::claims::{StepUp, StepUpKind};
use ringwall_protocol::id::{MfaProviderId, ProviderId, TransactionId};
use ringwall_protocol::interaction::{Interaction, InteractionKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::client::{ClaimsAnswer, Credential, StepUpRequest};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;
use ringwall_raft::state::transaction::{
    CountAttempt, FinishTransaction, OpenTransaction, Transaction, TransactionKind,
};
use uuid::Uuid;

use super::renew::ReMint;
use super::{check, mfa};
use crate::api::extract::CertifiedClient;
use crate::clock;
use crate::controller::{Controller, DeviceRequest};
use crate::directory::Directory;
use crate::refusal::Refusal;

impl Controller {
    /// Verifies an answer to an interaction and gives a claims token that tells of it.
    ///
    /// # Errors
    /// `notEntitled` if no entitlement of the user has that interaction; `mfaRefused` for a wrong answer.
    pub async fn step_up(&self, caller: &CertifiedClient, request: StepUpRequest) -> Result<ClaimsAnswer, Refusal> {
        let state = self.current().await?;
        let now = clock::now();
        let claims = check::bound_claims_token(&state, &request.claims_token, &caller.leaf, now)?;
        self.count_request(&claims.head, DeviceRequest::StepUp, now)?;
        let interaction = self.interaction_of(&state, &claims, caller, &request, now)?;
        let (kind, suffix) = match (interaction.kind, interaction.claim_suffix.clone()) {
            (InteractionKind::OtpAuthentication, Some(suffix)) => (StepUpKind::Otp, suffix),
            (InteractionKind::PasswordAuthentication, Some(suffix)) => (StepUpKind::Password, suffix),
            _ => return Err(Refusal::invalid("this interaction is not answered at a controller")),
        };
        let factor = factor_of(&state, &claims, &interaction)?;
        let transaction = self.open_step_up(&claims, &request, factor).await?;
        match kind {
            StepUpKind::Otp => {
                let provider = MfaProviderId::new(factor);
                self.verify_code(&state, claims.head.user_id, provider, &request.answer, now).await?;
            }
            StepUpKind::Password => {
                self.verify_password(&state, &claims, ProviderId::new(factor), &request.answer).await?
            }
        }
        self.change(FinishTransaction { transaction }).await?;
        self.event("interaction_answered", Some(&claims.head.sub), caller.address)
            .with("condition_id", request.condition_id.to_string())
            .with("prompt_id", request.prompt_id.to_string())
            .emit();
        let proof = StepUp {
            kind,
            provider_id: factor,
            condition_id: Some(request.condition_id),
            at: now,
            transaction_id: Some(transaction),
        };
        let mut step_ups = claims.step_ups.clone();
        step_ups.insert(suffix, proof);
        let user = claims.user.clone();
        let claims_token = self.mint_again(&claims, ReMint { user, step_ups }).await?;
        Ok(ClaimsAnswer { claims_token })
    }

    /// The interaction, if the user's present entitlements lead to it.
    fn interaction_of(
        &self,
        state: &State,
        claims: &ClaimsToken,
        caller: &CertifiedClient,
        request: &StepUpRequest,
        now: UnixMillis,
    ) -> Result<Interaction, Refusal> {
        let not_entitled = || Refusal::new(ErrorCode::NotEntitled, "no entitlement of yours asks for this");
        let device = self.device_claims.of((claims.head.user_id, claims.head.device_id), now).unwrap_or_default();
        let assignment = self.assign(state, claims, &device, caller.address, now);
        let uses = assignment
            .entitlements
            .keys()
            .filter_map(|(id, _)| state.entitlement(*id))
            .any(|entitlement| !entitlement.disabled && entitlement.conditions.contains(&request.condition_id));
        if assignment.stopped.is_some() || !uses {
            return Err(not_entitled());
        }
        let condition = state.condition(request.condition_id).ok_or_else(not_entitled)?;
        condition.remedy_methods.get(usize::from(request.interaction_index)).cloned().ok_or_else(not_entitled)
    }

    /// A transaction with its one attempt counted, before anything is verified.
    async fn open_step_up(
        &self,
        claims: &ClaimsToken,
        request: &StepUpRequest,
        factor: Uuid,
    ) -> Result<TransactionId, Refusal> {
        let id = TransactionId::new(Uuid::new_v4());
        let interaction = ringwall_protocol::interaction::InteractionRef {
            condition_id: request.condition_id,
            interaction_index: request.interaction_index,
        };
        let transaction = Transaction {
            id,
            kind: TransactionKind::StepUp,
            user_id: claims.head.user_id,
            provider_id: claims.head.provider_id,
            dn: claims.head.sub.clone(),
            device_id: claims.head.device_id,
            key: claims.head.cnf.jkt,
            profile_id: None,
            started_idx: claims.head.idx,
            factor_provider_id: factor,
            interaction: Some(interaction),
            provider_state: None,
            context: None,
            attempts: 0,
            expires_at: UnixMillis(0),
        };
        let parts = vec![OpenTransaction { transaction }.into(), CountAttempt { transaction: id }.into()];
        self.change(ringwall_raft::Command::Group(parts)).await.map_err(|refusal| match refusal.code {
            ErrorCode::Busy => Refusal::new(ErrorCode::MfaRefused, "too many tries are open; wait two minutes"),
            _ => refusal,
        })?;
        Ok(id)
    }

    async fn verify_password(
        &self,
        state: &State,
        claims: &ClaimsToken,
        provider: ProviderId,
        password: &str,
    ) -> Result<(), Refusal> {
        let provider = state.identity_provider(provider).ok_or_else(mfa::refused)?;
        let name = claims.head.sub.user.user.as_str().to_owned();
        let credential = Credential::Password { username: name, password: password.to_owned() };
        let proved = self.directories.prove(state, provider, &credential).await?;
        // At the sign-in's own provider the same user must answer; at another one the same name must.
        match proved {
            Some(user) if provider.base.id != claims.head.provider_id || user.id == claims.head.user_id => Ok(()),
            _ => Err(mfa::refused()),
        }
    }
}

/// Who verifies: as the interaction says, else the provider of the sign-in (passwords) or the only MFA provider.
fn factor_of(state: &State, claims: &ClaimsToken, interaction: &Interaction) -> Result<Uuid, Refusal> {
    if let Some(provider) = interaction.provider_id {
        return Ok(provider);
    }
    if interaction.kind == InteractionKind::PasswordAuthentication {
        return Ok(claims.head.provider_id.uuid());
    }
    let at_sign_in =
        check::provider_of(state, &claims.head)?.on_boarding_2fa.as_ref().map(|wanted| wanted.mfa_provider_id);
    let mut all = state.mfa_providers().map(|provider| provider.base.id);
    at_sign_in
        .or_else(|| all.next().filter(|_| all.next().is_none()))
        .map(MfaProviderId::uuid)
        .ok_or_else(|| Refusal::new(ErrorCode::MfaRefused, "the condition does not say which provider verifies"))
}
