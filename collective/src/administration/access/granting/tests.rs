//! Nobody grants what they do not hold.

use ringwall_protocol::id::{PolicyId, RoleId, UserId};
use ringwall_protocol::object::role::{PrivilegeScope, PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::{AdministrativeRole, EntityBase};
use ringwall_protocol::policy::PolicyKind;

use super::*;
use crate::administration::fixture::{Fixture, NOW, local_user, policy};

fn privilege(action: PrivilegeType, target: PrivilegeTarget) -> Privilege {
    Privilege { action, target, scope: PrivilegeScope::default(), default_tags: BTreeSet::new() }
}

fn role(n: u8, privileges: Vec<Privilege>) -> AdministrativeRole {
    AdministrativeRole { base: EntityBase::new(RoleId::from_random([n; 16]), format!("role {n}")), privileges }
}

/// Somebody who may write everything and holds nothing else.
fn clerk() -> Authority {
    let actions = [PrivilegeType::View, PrivilegeType::Create, PrivilegeType::Edit, PrivilegeType::Delete];
    Authority::new(actions.map(|action| privilege(action, PrivilegeTarget::All)).to_vec())
}

fn root() -> Authority {
    Authority::new(vec![privilege(PrivilegeType::All, PrivilegeTarget::All)])
}

fn may(authority: &Authority, state: &State, before: Option<&Object>, after: &Object) -> bool {
    check(authority, state, Change { before, after: Some(after), password: false }, NOW).is_ok()
}

#[test]
fn a_role_can_be_written_only_by_who_holds_what_is_in_it() {
    let state = Fixture::founded().state;
    let revoking = Object::from(role(1, vec![privilege(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice)]));
    let viewing = Object::from(role(1, vec![privilege(PrivilegeType::View, PrivilegeTarget::Site)]));
    assert!(!may(&clerk(), &state, None, &revoking));
    assert!(!may(&clerk(), &state, Some(&viewing), &revoking));
    assert!(may(&clerk(), &state, None, &viewing));
    assert!(may(&clerk(), &state, Some(&revoking), &revoking), "what is there already is not handed on");
    assert!(may(&root(), &state, None, &revoking));
}

#[test]
fn policies_that_give_roles_and_their_criteria_are_closed_to_who_holds_less() {
    let mut fixture = Fixture::founded();
    let strong = role(1, vec![privilege(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice)]);
    let giving = |expression: &str| Policy {
        kind: PolicyKind::Admin,
        administrative_roles: vec![strong.base.id],
        ..policy(PolicyId::from_random([1; 16]), "giving", expression)
    };
    fixture.put(strong.clone());
    fixture.put(giving("user.team == \"admins\""));
    let (narrow, wide) = (Object::from(giving("user.team == \"admins\"")), Object::from(giving("true")));
    assert!(!may(&clerk(), &fixture.state, None, &narrow));
    assert!(!may(&clerk(), &fixture.state, Some(&narrow), &wide));
    assert!(may(&clerk(), &fixture.state, Some(&narrow), &narrow));
    let stop = |disabled| Policy {
        kind: PolicyKind::Stop,
        disabled,
        ..policy(PolicyId::from_random([3; 16]), "stop", "user.team == \"admins\"")
    };
    let (stopping, freeing) = (Object::from(stop(false)), Object::from(stop(true)));
    assert!(!may(&clerk(), &fixture.state, Some(&stopping), &freeing), "what stops people also keeps roles from them");
    assert!(may(&clerk(), &fixture.state, None, &stopping));
    let plain = Object::from(policy(PolicyId::from_random([2; 16]), "plain", "true"));
    assert!(may(&clerk(), &fixture.state, None, &plain));
}

#[test]
fn labels_and_passwords_that_make_an_administrator_are_grants_too() {
    let mut fixture = Fixture::founded();
    let strong = role(1, vec![privilege(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice)]);
    fixture.put(strong.clone());
    fixture.put(Policy {
        kind: PolicyKind::Admin,
        administrative_roles: vec![strong.base.id],
        ..policy(
            PolicyId::from_random([1; 16]),
            "giving",
            "user.team == \"admins\" && isClientInNetwork(\"10.0.0.0/8\")",
        )
    });
    let plain = local_user(UserId::from_random([5; 16]), "eve");
    let mut chosen = plain.clone();
    chosen.labels.insert("team".to_owned(), "admins".to_owned());
    let (plain, chosen_object) = (Object::from(plain), Object::from(chosen.clone()));
    assert!(may(&clerk(), &fixture.state, None, &plain));
    assert!(!may(&clerk(), &fixture.state, None, &chosen_object));
    assert!(!may(&clerk(), &fixture.state, Some(&plain), &chosen_object));
    assert!(may(&clerk(), &fixture.state, Some(&chosen_object), &chosen_object));
    let password = Change { before: Some(&chosen_object), after: Some(&chosen_object), password: true };
    assert!(check(&clerk(), &fixture.state, password, NOW).is_err());
    assert!(check(&root(), &fixture.state, password, NOW).is_ok());
    assert!(check_credential(&clerk(), &fixture.state, &chosen, NOW).is_err());
}

#[test]
fn criteria_that_look_at_the_clock_are_judged_for_every_hour() {
    let mut fixture = Fixture::founded();
    let strong = role(1, vec![privilege(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice)]);
    fixture.put(strong.clone());
    for (n, span) in [(1, ("03:00", "04:00")), (2, ("15:00", "16:00"))] {
        fixture.put(Policy {
            kind: PolicyKind::Admin,
            administrative_roles: vec![strong.base.id],
            ..policy(
                PolicyId::from_random([n; 16]),
                &format!("night {n}"),
                &format!("inTimeRange({:?}, {:?})", span.0, span.1),
            )
        });
    }
    let eve = Object::from(local_user(UserId::from_random([5; 16]), "eve"));
    assert!(!may(&clerk(), &fixture.state, None, &eve));
}

#[test]
fn a_provider_of_administrators_is_closed_to_who_holds_less() {
    let mut fixture = Fixture::founded();
    let strong = role(1, vec![privilege(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice)]);
    let policy = Policy {
        kind: PolicyKind::Admin,
        administrative_roles: BTreeSet::from([strong.base.id]).into_iter().collect(),
        ..policy(PolicyId::from_random([7; 16]), "admins", "user.username == \"root\"")
    };
    fixture.put(strong);
    fixture.put(policy);
    let provider = |admin: bool, host: &str| -> Object {
        let provider: IdentityProvider = serde_json::from_value(serde_json::json!({
            "id": "0190a000-0000-7000-8000-000000000001", "name": "corp", "type": "Radius", "hostnames": [host],
            "adminProvider": admin,
        }))
        .expect("a provider");
        provider.into()
    };
    let (own, theirs) = (provider(true, "radius.corp.example"), provider(true, "radius.evil.example"));
    let state = &fixture.state;
    assert!(!may(&clerk(), state, None, &theirs), "its servers would say who is root");
    assert!(!may(&clerk(), state, Some(&own), &theirs));
    assert!(!may(&clerk(), state, Some(&provider(false, "radius.corp.example")), &own));
    assert!(may(&clerk(), state, Some(&own), &own));
    assert!(may(&clerk(), state, None, &provider(false, "radius.evil.example")), "it lets no administrator in");
    let secret = Change { before: Some(&own), after: Some(&own), password: true };
    assert!(check(&clerk(), state, secret, NOW).is_err(), "another secret is another server's");
    assert!(may(&root(), state, None, &theirs));
}
