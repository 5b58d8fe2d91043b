//! Interactions and the expressions that ask for their answers.

use std::collections::BTreeSet;

use ringwall_protocol::expression::AnswerTest;
use ringwall_protocol::id::{MfaProviderId, ProviderId};
use ringwall_protocol::interaction::{Interaction, InteractionKind};
use ringwall_protocol::wire::what_if::Severity;
use ringwall_raft::State;
use uuid::Uuid;

use super::{Found, View};

/// The function that asks for the answer of an interaction.
const fn function_of(kind: InteractionKind) -> Option<&'static str> {
    match kind {
        InteractionKind::OtpAuthentication => Some("hasMfa"),
        InteractionKind::PasswordAuthentication => Some("hasPassword"),
        InteractionKind::Reason => Some("hasReason"),
        _ => None,
    }
}

/// A user answers, and the condition does not look at the answer: it will never open by it.
pub(super) fn untested_interactions(view: &View<'_>, found: &mut Found) {
    for condition in view.state.conditions() {
        let Some(expression) = view.compile(&condition.expression) else { continue };
        let tests = expression.answer_tests();
        for (at, method) in condition.remedy_methods.iter().enumerate() {
            let Some((function, suffix)) = function_of(method.kind).zip(method.claim_suffix.as_deref()) else {
                continue;
            };
            let asks = |test: &AnswerTest| {
                test.function == function && test.suffix.as_deref().is_none_or(|asked| asked == suffix)
            };
            if !tests.iter().any(asks) {
                let message = format!(
                    "the condition never tests its interaction's claim: no {function}({suffix:?}, …) in its expression, so \
                     an answer changes nothing"
                );
                let field = format!("remedyMethods[{at}].claimSuffix");
                found.add(Severity::Error, "untested-interaction", condition, field, message);
            }
        }
    }
}

/// A condition asks for an answer that nobody is ever asked to give.
pub(super) fn unanswerable_questions(view: &View<'_>, found: &mut Found) {
    let asked_for = |method: &Interaction| Some((function_of(method.kind)?, method.claim_suffix.clone()?));
    let methods = view.state.conditions().flat_map(|condition| &condition.remedy_methods);
    let mut given: BTreeSet<(&str, String)> = methods.filter_map(asked_for).collect();
    let at_sign_in = view.state.identity_providers().filter_map(|provider| provider.on_boarding_2fa.as_ref());
    given.extend(at_sign_in.map(|factor| ("hasMfa", factor.claim_suffix.clone())));
    for condition in view.state.conditions() {
        let Some(expression) = view.compile(&condition.expression) else { continue };
        for test in expression.answer_tests() {
            let Some(suffix) = &test.suffix else { continue };
            if !given.iter().any(|(function, known)| *function == test.function && known == suffix) {
                let message = format!(
                    "{}({suffix:?}, …) never holds: no interaction and no sign-in asks for an answer under {suffix:?}",
                    test.function
                );
                found.add(Severity::Error, "unanswerable-question", condition, "expression", message);
            }
        }
    }
}

/// An interaction whose provider is gone: whoever answers is refused.
pub(super) fn unusable_providers(view: &View<'_>, found: &mut Found) {
    for condition in view.state.conditions() {
        for (at, method) in condition.remedy_methods.iter().enumerate() {
            let Some(id) = method.provider_id else { continue };
            if is_missing(view.state, method.kind, id) {
                let field = format!("remedyMethods[{at}].providerId");
                let message = format!("there is no provider {id}: whoever answers is refused");
                found.add(Severity::Error, "missing-provider", condition, field, message);
            }
        }
    }
}

/// Whether an interaction of this kind names a provider that is not there.
pub(super) fn is_missing(state: &State, kind: InteractionKind, id: Uuid) -> bool {
    match kind {
        InteractionKind::OtpAuthentication => state.mfa_provider(MfaProviderId::new(id)).is_none(),
        InteractionKind::PasswordAuthentication => state.identity_provider(ProviderId::new(id)).is_none(),
        _ => false,
    }
}
