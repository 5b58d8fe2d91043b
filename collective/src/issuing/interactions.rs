//! Interactions of conditions: which ones a Controller takes the answer to, who verifies it, and what is asked first. All of
//! it from the condition in this Controller's state, never from the Client (T5).

use std::collections::BTreeSet;

use ringwall_protocol::assign::Assignment;
use ringwall_protocol::claims::StepUpKind;
use ringwall_protocol::id::{MfaProviderId, ProviderId};
use ringwall_protocol::interaction::{Interaction, InteractionKind, InteractionRef};
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::{IdentityProvider, MfaProvider};
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;
use uuid::Uuid;

use super::check;
use crate::identity::factor::refused;
use crate::refusal::Refusal;

/// How the answer to an interaction is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way<'a> {
    /// It is typed, and comes with the request.
    Typed,
    /// The MFA provider asks first.
    FactorAsksFirst(&'a MfaProvider),
    /// The identity provider asks, in a browser.
    Browser(&'a IdentityProvider),
}

/// What an interaction asks for, of whom, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// The proof.
    pub(crate) kind: StepUpKind,
    /// Who verifies it: an MFA provider, or an identity provider.
    pub(crate) factor: Uuid,
    /// How.
    pub(crate) way: Way<'a>,
}

/// Decides how the answer to an interaction is taken. Pure; `asks_first` says what an MFA provider does.
///
/// # Errors
/// `invalid` for what no Controller answers; `mfaRefused` without a provider that verifies it.
pub(crate) fn plan<'a>(
    state: &'a State,
    claims: &ClaimsToken,
    interaction: &Interaction,
    asks_first: impl Fn(&MfaProvider) -> bool,
) -> Result<Plan<'a>, Refusal> {
    let kind = answered_here(interaction)?;
    let factor = factor_of(state, claims, interaction)?;
    let way = match kind {
        StepUpKind::Otp => {
            let provider = state.mfa_provider(MfaProviderId::new(factor)).ok_or_else(refused)?;
            if asks_first(provider) { Way::FactorAsksFirst(provider) } else { Way::Typed }
        }
        StepUpKind::Password => {
            let provider = state.identity_provider(ProviderId::new(factor)).ok_or_else(refused)?;
            if provider.kind() == IdentityProviderKind::Oidc { Way::Browser(provider) } else { Way::Typed }
        }
    };
    Ok(Plan { kind, factor, way })
}

/// The interaction that a reference names, if an entitlement that `assignment` gives leads to it (T5).
///
/// # Errors
/// `notEntitled`.
pub(crate) fn permitted(
    state: &State,
    assignment: &Assignment,
    reference: InteractionRef,
) -> Result<Interaction, Refusal> {
    let not_entitled = || Refusal::new(ErrorCode::NotEntitled, "no entitlement of yours asks for this");
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

/// Which interactions a user has to be asked for before he can answer: on a page, or elsewhere. What cannot be asked at
/// all is left to the refusal of its answer.
pub(crate) fn asked_first(
    state: &State,
    claims: &ClaimsToken,
    interactions: &[Interaction],
    asks_first: impl Fn(&MfaProvider) -> bool,
) -> BTreeSet<u8> {
    let asks = |interaction: &Interaction| {
        plan(state, claims, interaction, &asks_first).is_ok_and(|plan| !matches!(plan.way, Way::Typed))
    };
    (0_u8..).zip(interactions).filter(|(_, interaction)| asks(interaction)).map(|(index, _)| index).collect()
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
