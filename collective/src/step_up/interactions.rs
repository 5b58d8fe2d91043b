//! Which interaction a step-up is for, who verifies it, and how it begins: from the condition in this Controller's state,
//! never from the Client (T5).

use std::collections::BTreeSet;

use ringwall_protocol::claims::StepUpKind;
use ringwall_protocol::id::{MfaProviderId, ProviderId};
use ringwall_protocol::interaction::{Interaction, InteractionKind, InteractionRef};
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;
use uuid::Uuid;

use crate::api::extract::CertifiedClient;
use crate::controller::Controller;
use crate::identity::factor::Factor;
use crate::issuing::check;
use crate::refusal::Refusal;

impl Controller {
    /// Which interactions a user has to be asked for before he can answer: on a page, or elsewhere. What cannot be asked
    /// at all is left to the refusal of its answer.
    pub(crate) fn asked_first(
        &self,
        state: &State,
        claims: &ClaimsToken,
        interactions: &[Interaction],
    ) -> BTreeSet<u8> {
        let asks_first = |interaction: &Interaction| {
            let kind = answered_here(interaction).ok()?;
            let factor = factor_of(state, claims, interaction).ok()?;
            Some(match kind {
                StepUpKind::Otp => self.providers.factors.asks_first(state.mfa_provider(MfaProviderId::new(factor))?),
                StepUpKind::Password => {
                    state.identity_provider(ProviderId::new(factor))?.kind() == IdentityProviderKind::Oidc
                }
            })
        };
        let numbered = (0_u8..).zip(interactions);
        numbered.filter(|(_, interaction)| asks_first(interaction) == Some(true)).map(|(index, _)| index).collect()
    }

    /// The interaction, if the user's present entitlements lead to it.
    pub(super) fn interaction_of(
        &self,
        state: &State,
        claims: &ClaimsToken,
        caller: &CertifiedClient,
        reference: InteractionRef,
        now: UnixMillis,
    ) -> Result<Interaction, Refusal> {
        let not_entitled = || Refusal::new(ErrorCode::NotEntitled, "no entitlement of yours asks for this");
        let device = self.device_claims.of((claims.head.user_id, claims.head.device_id), now).unwrap_or_default();
        let assignment = self.assign(state, claims, &device, caller.address, now);
        let uses = assignment
            .entitlements
            .keys()
            .filter_map(|(id, _)| state.entitlement(*id))
            .any(|entitlement| !entitlement.disabled && entitlement.conditions.contains(&reference.condition_id));
        if assignment.stopped.is_some() || !uses {
            return Err(not_entitled());
        }
        let condition = state.condition(reference.condition_id).ok_or_else(not_entitled)?;
        condition.remedy_methods.get(usize::from(reference.interaction_index)).cloned().ok_or_else(not_entitled)
    }
}

/// The proof that an interaction asks a Controller for.
pub(super) fn answered_here(interaction: &Interaction) -> Result<StepUpKind, Refusal> {
    match (interaction.kind, &interaction.claim_suffix) {
        (InteractionKind::OtpAuthentication, Some(_)) => Ok(StepUpKind::Otp),
        (InteractionKind::PasswordAuthentication, Some(_)) => Ok(StepUpKind::Password),
        _ => Err(Refusal::invalid("this interaction is not answered at a controller")),
    }
}

/// Who verifies: as the interaction says, else the provider of the sign-in (passwords) or the only MFA provider.
pub(super) fn factor_of(state: &State, claims: &ClaimsToken, interaction: &Interaction) -> Result<Uuid, Refusal> {
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
