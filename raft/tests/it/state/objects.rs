//! Administered objects: names, references, versions, and what a change means for live sessions.

use ringwall_protocol::entitlement::{Action, ActionKind, Entitlement, Logic, Subtype};
use ringwall_protocol::id::{ConditionId, EntitlementId, PolicyId, SiteId, UserId};
use ringwall_protocol::name::{DnScope, UserDn};
use ringwall_protocol::object::settings::ApplyChanges;
use ringwall_protocol::object::{EntityBase, GlobalSettings, LocalUser, Object, ObjectKind};
use ringwall_protocol::policy::{Condition, Policy, PolicyKind};
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::local_password::{PasswordHash, SetLocalPassword};
use ringwall_raft::state::object::{DeleteObject, Expected, PutObject};
use ringwall_raft::{Rejection, Reply};

use crate::fixture::*;

fn entitlement(number: u128) -> Entitlement {
    Entitlement {
        base: EntityBase::new(EntitlementId::new(id(0xe0 + number)), format!("entitlement{number}")),
        disabled: false,
        site: site(),
        condition_logic: Logic::And,
        conditions: Vec::new(),
        actions: vec![Action {
            subtype: Some(Subtype::TcpUp),
            action: ActionKind::Allow,
            hosts: vec!["10.0.0.1".to_owned()],
            ports: vec!["80".to_owned()],
            types: Vec::new(),
        }],
        app_shortcuts: Vec::new(),
    }
}

fn condition() -> Condition {
    Condition {
        base: EntityBase::new(ConditionId::new(id(0xcc)), "condition"),
        expression: "true".to_owned(),
        repeat_schedules: Vec::new(),
        remedy_logic: Logic::And,
        remedy_methods: Vec::new(),
    }
}

fn policy() -> Policy {
    Policy {
        base: EntityBase::new(PolicyId::new(id(0xbb)), "policy"),
        disabled: false,
        expression: "true".to_owned(),
        kind: PolicyKind::Access,
        entitlements: vec![entitlement(1).base.id],
        entitlement_links: Vec::new(),
        override_site: None,
        override_site_claim: None,
        dns_settings: Vec::new(),
        administrative_roles: Vec::new(),
        stop_message: None,
    }
}

fn local_user() -> LocalUser {
    LocalUser {
        base: EntityBase::new(UserId::new(id(0xaa)), "alice"),
        first_name: String::new(),
        last_name: String::new(),
        email: String::new(),
        phone: String::new(),
        disabled: false,
        labels: Default::default(),
    }
}

fn delete(kind: ObjectKind, object: uuid::Uuid) -> DeleteObject {
    DeleteObject { kind, id: object, expected: Expected::Anything }
}

fn put(replica: &mut Replica, object: impl Into<Object>) -> Option<Revocation> {
    match replica.apply(PutObject::new(object)) {
        Reply::Changed { version, revocation } => {
            assert_eq!(version, replica.state.index());
            revocation.map(|index| replica.state.revocations().find(index).expect("kept").clone())
        }
        other => panic!("expected a change, got {other:?}"),
    }
}

#[test]
fn names_are_unique_within_a_kind() {
    let mut replica = Replica::founded();
    put(&mut replica, entitlement(1));
    let mut twin = entitlement(2);
    twin.base.name = "entitlement1".to_owned();
    assert!(matches!(replica.refusal(PutObject::new(twin.clone())), Rejection::NameTaken { .. }));
    let mut renamed = entitlement(1);
    renamed.base.name = "other".to_owned();
    put(&mut replica, renamed);
    put(&mut replica, twin);
    let mut condition = condition();
    condition.base.name = "other".to_owned();
    put(&mut replica, condition);
}

#[test]
fn references_must_lead_somewhere_and_hold_what_they_name() {
    let mut replica = Replica::founded();
    let mut with_condition = entitlement(1);
    with_condition.conditions = vec![condition().base.id];
    let missing = replica.refusal(PutObject::new(with_condition.clone()));
    assert!(
        matches!(&missing, Rejection::MissingReference { field, kind: ObjectKind::Condition, .. } if field == "conditions[0]"),
        "{missing}"
    );
    put(&mut replica, condition());
    put(&mut replica, with_condition);
    let held = replica.refusal(delete(ObjectKind::Condition, condition().base.id.uuid()));
    assert_eq!(held.to_string(), "still in use by Entitlement \"entitlement1\"");
    let held = replica.refusal(delete(ObjectKind::Site, site().uuid()));
    assert!(matches!(held, Rejection::Referenced { by } if by.len() == 1));
    replica.apply(delete(ObjectKind::Entitlement, entitlement(1).base.id.uuid())).accepted().unwrap();
    replica.apply(delete(ObjectKind::Condition, condition().base.id.uuid())).accepted().unwrap();
    assert!(replica.state.condition(condition().base.id).is_none());
}

#[test]
fn a_writer_with_an_old_version_is_refused() {
    let mut replica = Replica::founded();
    put(&mut replica, entitlement(1));
    let version = replica.state.index();
    let expecting = |expected| PutObject { object: entitlement(1).into(), expected };
    assert!(matches!(replica.refusal(expecting(Expected::Absent)), Rejection::Exists { .. }));
    replica.apply(expecting(Expected::Version(version))).accepted().unwrap();
    let stale = replica.refusal(expecting(Expected::Version(version)));
    assert!(matches!(stale, Rejection::Stale { expected, .. } if expected == version));
    let absent = PutObject { object: entitlement(2).into(), expected: Expected::Present };
    assert!(matches!(replica.refusal(absent), Rejection::NotFound { .. }));
}

#[test]
fn the_system_sets_times_and_an_appliances_life() {
    let mut replica = Replica::founded();
    let mut appliance = gateway_object(1);
    appliance.activated = true;
    appliance.state = ringwall_protocol::object::appliance::ApplianceState::Active;
    put(&mut replica, appliance);
    let stored = replica.state.appliance(gateway(1)).unwrap().clone();
    assert!(!stored.activated);
    assert_eq!((stored.base.created, stored.base.updated), (START, START));
    replica.now = START.plus(std::time::Duration::from_secs(5));
    put(&mut replica, stored);
    let stored = replica.state.appliance(gateway(1)).unwrap();
    assert_eq!((stored.base.created, stored.base.updated), (START, replica.now));
}

#[test]
fn a_changed_entitlement_renews_its_site_and_a_disabled_one_cuts_it() {
    let mut replica = Replica::founded();
    put(&mut replica, entitlement(1));
    put(&mut replica, policy());
    let mut changed = entitlement(1);
    changed.actions[0].ports = vec!["443".to_owned()];
    let renewed = put(&mut replica, changed.clone()).expect("a revocation");
    assert_eq!((renewed.mode, renewed.site), (RevocationMode::RenewNow, Some(site())));
    assert_eq!(renewed.kinds, [TokenKind::Entitlement].into());
    assert_eq!((renewed.told, renewed.effective), (1, 0));
    changed.base.notes = "only a note".to_owned();
    assert_eq!(put(&mut replica, changed.clone()), None, "notes concern nobody");
    changed.disabled = true;
    let cut = put(&mut replica, changed).expect("a revocation");
    assert_eq!((cut.mode, cut.site, cut.effective), (RevocationMode::Cut, Some(site()), 1));
}

#[test]
fn changes_reach_sessions_as_the_settings_say() {
    let mut replica = Replica::founded();
    put(&mut replica, entitlement(1));
    for (apply_changes, expected) in [
        (ApplyChanges::OnRenewal, None),
        (ApplyChanges::Cut, Some(RevocationMode::Cut)),
        (ApplyChanges::RenewNow, Some(RevocationMode::RenewNow)),
    ] {
        let settings = GlobalSettings { apply_changes, ..GlobalSettings::default() };
        replica.apply(ChangeSettings { settings, expected_version: None }).accepted().unwrap();
        let mut policy = policy();
        policy.expression = format!("user.x == {}", replica.state.index());
        assert_eq!(put(&mut replica, policy).map(|one| one.mode), expected);
    }
}

#[test]
fn what_concerns_several_sites_is_revoked_for_all() {
    let mut replica = Replica::founded();
    let mut lab = site_object();
    lab.base = EntityBase::new(SiteId::new(id(0x52)), "lab");
    assert_eq!(put(&mut replica, lab.clone()), None, "a new Site concerns nobody");
    put(&mut replica, entitlement(1));
    let mut other = entitlement(2);
    other.site = lab.base.id;
    put(&mut replica, other.clone());
    let mut policy = policy();
    let one = put(&mut replica, policy.clone()).expect("a revocation");
    assert_eq!(one.site, Some(site()));
    policy.entitlements.push(other.base.id);
    let both = put(&mut replica, policy.clone()).expect("a revocation");
    assert_eq!(both.site, None);
    policy.kind = PolicyKind::Stop;
    assert_eq!(put(&mut replica, policy).expect("a revocation").site, None);
}

#[test]
fn a_user_who_is_disabled_or_deleted_is_cut() {
    let mut replica = Replica::founded();
    assert_eq!(put(&mut replica, local_user()), None);
    let alice: UserDn = "CN=alice,OU=local".parse().unwrap();
    let hash = PasswordHash::new("$argon2id$…");
    let set = SetLocalPassword { user: local_user().base.id, hash: hash.clone(), must_change: true };
    replica.apply(set).accepted().unwrap();
    assert_eq!(replica.state.local_password(local_user().base.id).unwrap().hash, hash);
    let mut disabled = local_user();
    disabled.disabled = true;
    let cut = put(&mut replica, disabled).expect("a cut");
    assert_eq!((cut.scope, cut.mode), (RevocationScope::Dn(DnScope::User(alice.clone())), RevocationMode::Cut));
    let reply = replica.apply(delete(ObjectKind::LocalUser, local_user().base.id.uuid()));
    let cut = replica.state.revocations().find(reply.revocation().expect("a cut")).unwrap();
    assert_eq!(cut.scope, RevocationScope::Dn(DnScope::User(alice)));
    assert!(replica.state.local_password(local_user().base.id).is_none());
    assert!(replica.state.local_user_named("alice").is_none());
}

#[test]
fn names_that_stand_in_distinguished_names_do_not_change() {
    let mut replica = Replica::founded();
    put(&mut replica, local_user());
    let mut renamed = local_user();
    renamed.base.name = "bob".to_owned();
    assert!(matches!(replica.refusal(PutObject::new(renamed)), Rejection::Invalid { field, .. } if field == "name"));
    let mut provider = provider_object(1);
    provider.base.name = "other".to_owned();
    assert!(matches!(replica.refusal(PutObject::new(provider)), Rejection::Invalid { field, .. } if field == "name"));
}

#[test]
fn values_out_of_bounds_are_refused_by_field() {
    let mut replica = Replica::founded();
    let mut refused = |object: Object| match replica.refusal(PutObject::new(object)) {
        Rejection::Invalid { field, .. } => field,
        other => panic!("expected an invalid field, got {other}"),
    };
    let mut site = site_object();
    site.lease_seconds = 3;
    assert_eq!(refused(site.into()), "leaseSeconds");
    let mut never = entitlement(1);
    never.condition_logic = Logic::Or;
    assert_eq!(refused(never.into()), "conditions");
    let mut nameless = entitlement(1);
    nameless.base.name.clear();
    assert_eq!(refused(nameless.into()), "name");
    let mut both = gateway_object(1);
    both.controller.enabled = true;
    assert_eq!(refused(both.into()), "controller.enabled");
    let mut reversed = pool_object("10.0.0.0/24");
    reversed.ranges[0] = serde_json::from_str(r#"{"first": "10.0.0.9", "last": "10.0.0.1"}"#).unwrap();
    assert_eq!(refused(reversed.into()), "ranges");
    let mut long = policy();
    long.entitlements.clear();
    long.expression = "x".repeat(9_000);
    assert_eq!(refused(long.into()), "expression");
}
