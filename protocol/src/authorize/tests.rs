//! What a session may reach, and what would help it.

use std::collections::BTreeMap;

use super::*;
use crate::claims::{ClaimMap, Reason, StepUp, StepUpKind, UntrustedClaims};
use crate::entitlement::{Action, ActionKind, Subtype};
use crate::id::*;
use crate::interaction::{Interaction, InteractionKind};
use crate::rules::matching::Flow;
use crate::rules::{Direction, Protocol};
use crate::token::{Confirmation, GrantedCondition, GrantedEntitlement, Routes, TokenHead};

pub(super) const NOW: UnixMillis = UnixMillis(1_795_348_800_000);

fn id<T>(make: fn([u8; 16]) -> T, n: u8) -> T {
    make([n; 16])
}

pub(super) fn interaction(kind: InteractionKind, suffix: Option<&str>) -> Interaction {
    let claim_suffix = suffix.map(ToOwned::to_owned);
    Interaction { kind, message: "please".to_owned(), claim_suffix, provider_id: None, blocking: false }
}

pub(super) fn condition(expression: &str, interactions: Vec<Interaction>) -> GrantedCondition {
    GrantedCondition {
        name: expression.to_owned(),
        expression: expression.to_owned(),
        remedy_logic: Logic::And,
        interactions,
        asked_first: Default::default(),
        repeat_schedules: vec![],
    }
}

pub(super) fn entitlement(n: u8, port: &str, logic: Logic, conditions: &[u8]) -> GrantedEntitlement {
    GrantedEntitlement {
        app_shortcuts: vec![],
        id: id(EntitlementId::from_random, n),
        name: format!("entitlement {n}"),
        condition_logic: logic,
        conditions: conditions.iter().map(|c| id(ConditionId::from_random, *c)).collect(),
        actions: vec![Action {
            subtype: Some(Subtype::TcpUp),
            action: ActionKind::Allow,
            hosts: vec!["10.0.0.1".to_owned()],
            ports: vec![port.to_owned()],
            types: vec![],
        }],
    }
}

pub(super) fn prepared(conditions: Vec<(u8, GrantedCondition)>, entitlements: Vec<GrantedEntitlement>) -> Prepared {
    let head = TokenHead {
        iss: id(CollectiveId::from_random, 1),
        sub: "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=ada,OU=local".parse().expect("a DN"),
        sid: id(SignInId::from_random, 2),
        jti: id(TokenId::from_random, 3),
        iat: 0,
        nbf: 0,
        exp: u64::MAX,
        aud: uuid::Uuid::nil(),
        idx: LogIndex(1),
        epoch: 1,
        inc: id(IncarnationId::from_random, 4),
        cnf: Confirmation { jkt: Thumbprint([5; 32]) },
        user_id: id(UserId::from_random, 6),
        provider_id: id(ProviderId::from_random, 7),
        device_id: id(DeviceId::from_random, 8),
    };
    let token = EntitlementToken {
        head,
        claims_idx: LogIndex(1),
        policy_idx: LogIndex(1),
        site_name: "office".to_owned(),
        gateways: vec![],
        entitlements,
        conditions: conditions.into_iter().map(|(n, it)| (id(ConditionId::from_random, n), it)).collect(),
        routes: Routes::default(),
        dns: vec![],
        lease_seconds: 15,
    };
    Prepared::new(token).expect("conditions compile")
}

#[derive(Default)]
pub(super) struct Known {
    pub(super) user: ClaimMap,
    pub(super) device: UntrustedClaims,
    pub(super) system: ClaimMap,
    pub(super) step_ups: BTreeMap<String, StepUp>,
    pub(super) reasons: BTreeMap<String, Reason>,
}

impl Known {
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            user: &self.user,
            device: Some(&self.device),
            system: &self.system,
            step_ups: &self.step_ups,
            reasons: &self.reasons,
            now: NOW,
        }
    }

    fn with_otp(suffix: &str) -> Self {
        let proof = StepUp {
            kind: StepUpKind::Otp,
            provider_id: uuid::Uuid::nil(),
            condition_id: None,
            at: NOW,
            transaction_id: None,
        };
        Self { step_ups: [(suffix.to_owned(), proof)].into(), ..Self::default() }
    }
}

pub(super) fn authorize(prepared: &Prepared, known: &Known) -> Authorization {
    prepared.authorize(&known.facts(), &ResolvedNames::default()).expect("few rules")
}

fn flow(port: u16) -> Flow {
    Flow { direction: Direction::Up, protocol: Protocol::Tcp, remote: "10.0.0.1".parse().expect("ip"), port }
}

#[test]
fn no_condition_is_always_and_one_of_none_is_never() {
    let prepared = prepared(vec![], vec![entitlement(1, "80", Logic::And, &[]), entitlement(2, "81", Logic::Or, &[])]);
    let now = authorize(&prepared, &Known::default());
    assert!(now.rules.passes(&flow(80)));
    assert!(!now.rules.passes(&flow(81)));
}

#[test]
fn and_wants_all_conditions_or_wants_one() {
    let conditions = vec![(1, condition("true", vec![])), (2, condition("false", vec![]))];
    let both =
        prepared(conditions, vec![entitlement(1, "80", Logic::And, &[1, 2]), entitlement(2, "81", Logic::Or, &[1, 2])]);
    let now = authorize(&both, &Known::default());
    assert!(!now.rules.passes(&flow(80)));
    assert!(now.rules.passes(&flow(81)));
    assert_eq!(now.states[0].failed_conditions, [id(ConditionId::from_random, 2)]);
}

#[test]
fn a_step_up_opens_the_way_and_its_end_is_known() {
    let asked =
        condition(r#"hasMfa("vault", 60)"#, vec![interaction(InteractionKind::OtpAuthentication, Some("vault"))]);
    let prepared = prepared(vec![(1, asked)], vec![entitlement(1, "443", Logic::And, &[1])]);
    let before = authorize(&prepared, &Known::default());
    assert!(!before.rules.passes(&flow(443)));
    assert!(before.depends_on("stepUps.vault"));
    assert!(!before.depends_on("device.os"));
    let help = prepared.would_help(&flow(443), &before, &Known::default().facts(), &ResolvedNames::default());
    assert_eq!(help.len(), 1);
    assert_eq!(help[0].kind, InteractionKind::OtpAuthentication);
    let after = authorize(&prepared, &Known::with_otp("vault"));
    assert!(after.rules.passes(&flow(443)));
    assert_eq!(after.valid_until, Some(UnixMillis(NOW.0 + 3_600_000)));
}

#[test]
fn nothing_is_offered_for_what_passes_or_what_nothing_would_open() {
    let asked = condition("false", vec![interaction(InteractionKind::Reason, Some("why"))]);
    let prepared =
        prepared(vec![(1, asked)], vec![entitlement(1, "80", Logic::And, &[]), entitlement(2, "81", Logic::And, &[1])]);
    let now = authorize(&prepared, &Known::default());
    let offered =
        |port| prepared.would_help(&flow(port), &now, &Known::default().facts(), &ResolvedNames::default()).len();
    assert_eq!((offered(80), offered(81), offered(82)), (0, 1, 0));
}

#[test]
fn interactions_are_offered_in_turn_and_messages_every_time() {
    let asked = condition(
        r#"hasMfa("one", 60) && hasReason("two", 60)"#,
        vec![
            interaction(InteractionKind::DisplayMessage, None),
            interaction(InteractionKind::OtpAuthentication, Some("one")),
            interaction(InteractionKind::Reason, Some("two")),
        ],
    );
    let prepared = prepared(vec![(1, asked)], vec![entitlement(1, "80", Logic::And, &[1])]);
    let kinds = |known: &Known| -> Vec<InteractionKind> {
        let now = authorize(&prepared, known);
        let help = prepared.would_help(&flow(80), &now, &known.facts(), &ResolvedNames::default());
        help.into_iter().map(|help| help.kind).collect()
    };
    assert_eq!(kinds(&Known::default()), [InteractionKind::DisplayMessage, InteractionKind::OtpAuthentication]);
    assert_eq!(kinds(&Known::with_otp("one")), [InteractionKind::DisplayMessage, InteractionKind::Reason]);
}

#[test]
fn where_one_interaction_is_enough_the_user_chooses() {
    let interactions = vec![
        interaction(InteractionKind::OtpAuthentication, Some("one")),
        interaction(InteractionKind::DisplayMessage, None),
        interaction(InteractionKind::Reason, Some("two")),
    ];
    let asked = |remedy_logic| GrantedCondition {
        remedy_logic,
        ..condition(r#"hasMfa("one", 60) || hasReason("two", 60)"#, interactions.clone())
    };
    let indexes = |remedy_logic| -> Vec<u8> {
        let prepared = prepared(vec![(1, asked(remedy_logic))], vec![entitlement(1, "80", Logic::And, &[1])]);
        let known = Known::default();
        let now = authorize(&prepared, &known);
        let help = prepared.would_help(&flow(80), &now, &known.facts(), &ResolvedNames::default());
        help.into_iter().map(|help| help.interaction.interaction_index).collect()
    };
    assert_eq!(indexes(Logic::Or), [1, 0, 2], "the message, then whatever would do");
    assert_eq!(indexes(Logic::And), [1, 0], "the message, then the first of all that are needed");
}

#[test]
fn a_block_that_would_still_win_gets_no_help() {
    let asked = condition("false", vec![interaction(InteractionKind::Reason, Some("why"))]);
    let mut block = entitlement(2, "80", Logic::And, &[]);
    block.actions[0].action = ActionKind::Block;
    let prepared = prepared(vec![(1, asked)], vec![entitlement(1, "80", Logic::And, &[1]), block]);
    let now = authorize(&prepared, &Known::default());
    assert!(prepared.would_help(&flow(80), &now, &Known::default().facts(), &ResolvedNames::default()).is_empty());
}

#[test]
fn a_schedule_is_a_deadline_like_any_other() {
    let mut asked = condition("device.firewall", vec![]);
    let until = |asked: GrantedCondition| {
        let prepared = prepared(vec![(1, asked)], vec![entitlement(1, "80", Logic::And, &[1])]);
        authorize(&prepared, &Known::default()).valid_until
    };
    assert_eq!(until(asked.clone()), None);
    asked.repeat_schedules = vec!["1h exact".to_owned(), "15m exact".to_owned(), "12:05 exact".to_owned()];
    assert_eq!(until(asked.clone()), Some(UnixMillis(NOW.0 + 5 * 60_000)));
    asked.expression = "inTimeRange(\"12:00\", \"12:02\")".to_owned();
    assert_eq!(until(asked), Some(UnixMillis(NOW.0 + 2 * 60_000)), "whatever comes first");
}
