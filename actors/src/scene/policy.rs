//! What policies ask for: conditions, actions, step-ups, revocations.

use ringwall_protocol::claims::{StepUp, StepUpKind};
use ringwall_protocol::entitlement::{Action, ActionKind, Logic, Subtype};
use ringwall_protocol::id::{ConditionId, LogIndex};
use ringwall_protocol::interaction::{Interaction, InteractionKind};
use ringwall_protocol::name::{DnScope, SessionDn};
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::GrantedCondition;

/// A condition with at most one interaction.
pub(crate) struct TestCondition {
    pub(crate) id: ConditionId,
    pub(crate) expression: &'static str,
    pub(crate) interaction: Option<InteractionKind>,
}

impl TestCondition {
    pub(crate) fn new(id: u8, expression: &'static str, interaction: Option<InteractionKind>) -> Self {
        Self { id: ConditionId::from_random([id; 16]), expression, interaction }
    }

    pub(super) fn granted(&self) -> GrantedCondition {
        let interaction = |kind| Interaction {
            kind,
            message: "why?".to_owned(),
            claim_suffix: Some("ticket".to_owned()),
            provider_id: None,
            blocking: false,
        };
        GrantedCondition {
            name: "condition".to_owned(),
            expression: self.expression.to_owned(),
            remedy_logic: Logic::And,
            interactions: self.interaction.map(interaction).into_iter().collect(),
            asked_first: Default::default(),
            repeat_schedules: vec![],
        }
    }
}

/// Web on one host.
pub(super) fn allow_web(host: &str) -> Action {
    Action {
        subtype: Some(Subtype::TcpUp),
        action: ActionKind::Allow,
        hosts: vec![host.to_owned()],
        ports: vec!["443".to_owned()],
        types: vec![],
    }
}

/// A step-up that a Controller verified at `at`.
pub(crate) fn step_up(condition: ConditionId, at: UnixMillis) -> StepUp {
    StepUp {
        kind: StepUpKind::Otp,
        provider_id: uuid::Uuid::nil(),
        condition_id: Some(condition),
        at,
        transaction_id: None,
    }
}

/// A revocation of all kinds of tokens.
pub(crate) fn revocation(index: u64, scope: RevocationScope, mode: RevocationMode) -> Revocation {
    let done = u16::from(mode == RevocationMode::Cut);
    Revocation {
        index: LogIndex(index),
        scope,
        kinds: TokenKind::ALL.into(),
        site: None,
        mode,
        reason: String::new(),
        at: UnixMillis(0),
        told: done,
        effective: done,
    }
}

/// The scope of one device.
pub(crate) fn device_scope(dn: &SessionDn) -> RevocationScope {
    RevocationScope::Dn(DnScope::Device(dn.clone()))
}
