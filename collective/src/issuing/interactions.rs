//! Interactions of conditions: which ones a Controller takes the answer to, who verifies it, and what is asked first. All of
//! it from the condition in this Controller's state, never from the Client (T5).

use std::collections::BTreeSet;

use ringwall_protocol::claims::StepUpKind;
use ringwall_protocol::id::{MfaProviderId, ProviderId};
use ringwall_protocol::interaction::{Interaction, InteractionKind};
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;
use uuid::Uuid;

use super::{Issuing, check};
use crate::identity::factor::Factor;
use crate::refusal::Refusal;

impl Issuing {
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
}

/// The proof that an interaction asks a Controller for.
pub(crate) fn answered_here(interaction: &Interaction) -> Result<StepUpKind, Refusal> {
    match (interaction.kind, &interaction.claim_suffix) {
        (InteractionKind::OtpAuthentication, Some(_)) => Ok(StepUpKind::Otp),
        (InteractionKind::PasswordAuthentication, Some(_)) => Ok(StepUpKind::Password),
        _ => Err(Refusal::invalid("this interaction is not answered at a controller")),
    }
}

/// Who verifies: as the interaction says, else the provider of the sign-in (passwords) or the only MFA provider.
pub(crate) fn factor_of(state: &State, claims: &ClaimsToken, interaction: &Interaction) -> Result<Uuid, Refusal> {
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
