//! Nobody grants what he does not hold (T40): to write a role, a policy that gives roles, or whatever decides
//! who gets them, an administrator must hold everything that is handed on by it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ringwall_protocol::assign::PolicySet;
use ringwall_protocol::claims::{ClaimMap, Facts};
use ringwall_protocol::expression::{Expression, ExpressionError, Scripts};
use ringwall_protocol::form::network;
use ringwall_protocol::id::RoleId;
use ringwall_protocol::object::role::Privilege;
use ringwall_protocol::object::{IdentityProvider, LocalUser, Object};
use ringwall_protocol::policy::{Policy, PolicyKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;

use super::authority::Authority;
use crate::administration::denial::Denial;
use crate::identity::directory::claims_of_local_user;

/// Most places that are tried for one user.
const MAX_PLACES: usize = 64;

/// A change to an object, about to be proposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// As it is.
    pub(crate) before: Option<&'a Object>,
    /// As it will be; absent: deleted.
    pub(crate) after: Option<&'a Object>,
    /// A local user gets another password, or a provider another secret.
    pub(crate) password: bool,
}

/// Refuses a change that hands on more than `authority` holds.
///
/// # Errors
/// [`Denial::Forbidden`] that names a privilege that is missing.
pub(crate) fn check(authority: &Authority, state: &State, change: Change<'_>, now: UnixMillis) -> Result<(), Denial> {
    match handed_on(state, change, now).iter().find(|privilege| !authority.covers(privilege)) {
        None => Ok(()),
        Some(missing) => Err(Denial::Forbidden(format!(
            "this would hand on the privilege {:?} on {:?}, which you do not hold yourself",
            missing.action, missing.target
        ))),
    }
}

/// The privileges that a change gives to somebody.
#[must_use]
pub(crate) fn handed_on(state: &State, change: Change<'_>, now: UnixMillis) -> Vec<Privilege> {
    match (change.before, change.after) {
        (before, Some(Object::AdministrativeRole(role))) => {
            let had = match before {
                Some(Object::AdministrativeRole(before)) => before.privileges.clone(),
                _ => Vec::new(),
            };
            role.privileges.iter().filter(|privilege| !had.contains(privilege)).cloned().collect()
        }
        (before, Some(Object::Policy(policy))) => by_policy(state, before, policy),
        (before, after) => by_circumstance(state, before, after, change.password, now),
    }
}

/// The roles that a local user has or would have as an administrator.
#[must_use]
pub(crate) fn roles_of_local_user(state: &State, user: &LocalUser, now: UnixMillis) -> BTreeSet<RoleId> {
    let Some(provider) = state.local_provider().filter(|provider| provider.admin_provider) else {
        return BTreeSet::new();
    };
    roles_of(state, &claims_of_local_user(user, provider), now)
}

/// Refuses to touch what proves a local user (password, one-time seed) for whoever holds less than that user.
///
/// # Errors
/// [`Denial::Forbidden`].
pub(crate) fn check_credential(
    authority: &Authority,
    state: &State,
    user: &LocalUser,
    now: UnixMillis,
) -> Result<(), Denial> {
    let object = Object::LocalUser(user.clone());
    check(authority, state, Change { before: Some(&object), after: Some(&object), password: true }, now)
}

/// A policy that changes whom it concerns or what it gives hands on all of its roles.
fn by_policy(state: &State, before: Option<&Object>, after: &Policy) -> Vec<Privilege> {
    let same = matches!(before, Some(Object::Policy(before))
        if before.expression == after.expression
            && before.disabled == after.disabled
            && before.kind == after.kind
            && before.administrative_roles == after.administrative_roles);
    if same {
        return Vec::new();
    }
    // What keeps people from their roles gives them back when it no longer does.
    let stopped = matches!(before, Some(Object::Policy(before)) if before.kind == PolicyKind::Stop && !before.disabled);
    let freed = if stopped { privileges(state, all_roles(state)) } else { Vec::new() };
    privileges(state, &after.administrative_roles).into_iter().chain(freed).collect()
}

/// Changes to what criteria look at.
fn by_circumstance(
    state: &State,
    before: Option<&Object>,
    after: Option<&Object>,
    password: bool,
    now: UnixMillis,
) -> Vec<Privilege> {
    match (before, after) {
        (before, Some(Object::LocalUser(user))) => {
            let had = match before {
                Some(Object::LocalUser(before)) if !password => roles_of_local_user(state, before, now),
                _ => BTreeSet::new(),
            };
            let has = roles_of_local_user(state, user, now);
            privileges(state, has.difference(&had))
        }
        (before, Some(Object::CriteriaScript(script))) => {
            let same = matches!(before, Some(Object::CriteriaScript(before))
                if before.expression == script.expression && before.base.name == script.base.name);
            if same { Vec::new() } else { privileges(state, roles_behind_script(state, &script.base.name)) }
        }
        (before, Some(Object::IdentityProvider(provider))) => {
            let before = before.and_then(|before| match before {
                Object::IdentityProvider(before) => Some(before),
                _ => None,
            });
            // A new secret may be one that other servers answer to.
            if opens_nothing(before, provider, password) { Vec::new() } else { privileges(state, all_roles(state)) }
        }
        // Who verifies administrators' other factor can let it be anybody's.
        (Some(Object::MfaProvider(before)), Some(Object::MfaProvider(after))) => {
            let same = before.settings == after.settings && !password;
            let verifies = state
                .identity_providers()
                .filter(|provider| provider.admin_provider)
                .any(|one| one.on_boarding_2fa.as_ref().is_some_and(|mfa| mfa.mfa_provider_id == after.base.id));
            if same || !verifies { Vec::new() } else { privileges(state, all_roles(state)) }
        }
        // A Stop policy keeps people from their roles; without it they have them.
        (Some(Object::Policy(policy)), None) if policy.kind == PolicyKind::Stop => privileges(state, all_roles(state)),
        _ => Vec::new(),
    }
}

/// Whether a provider proves administrators just as it did: whoever says which servers vouch for a name, or what claims
/// it has, says who is an administrator.
fn opens_nothing(before: Option<&IdentityProvider>, after: &IdentityProvider, secret: bool) -> bool {
    if !after.admin_provider {
        return true;
    }
    !secret
        && before.is_some_and(|before| {
            before.admin_provider
                && before.settings == after.settings
                && before.claim_mappings == after.claim_mappings
                && before.claim_scripts == after.claim_scripts
                && before.on_boarding_2fa == after.on_boarding_2fa
        })
}

fn privileges<'a>(state: &State, roles: impl IntoIterator<Item = &'a RoleId>) -> Vec<Privilege> {
    Authority::of(state, roles).privileges().to_vec()
}

/// Every role that some policy gives.
fn all_roles(state: &State) -> BTreeSet<&RoleId> {
    state.policies().filter(|policy| !policy.disabled).flat_map(|policy| &policy.administrative_roles).collect()
}

/// Roles of policies that call a criteria script.
fn roles_behind_script<'a>(state: &'a State, name: &str) -> BTreeSet<&'a RoleId> {
    let callers = state.policies().filter(|policy| !policy.disabled && calls(state, &policy.expression, name));
    callers.flat_map(|policy| &policy.administrative_roles).collect()
}

/// Whether an expression calls a criteria script: without it, and with all others, it does not compile.
#[must_use]
pub(crate) fn calls(state: &State, expression: &str, script: &str) -> bool {
    let mut others = Scripts::default();
    for other in state.criteria_scripts().filter(|other| other.base.name != script) {
        // One that does not compile is unknown to everybody.
        drop(others.add(&other.base.name, &other.expression));
    }
    matches!(Expression::compile_with(expression, &others), Err(ExpressionError::UnknownFunction(name)) if name == script)
}

/// Roles that policies give to whoever has these claims, wherever and whenever that may be: what could be given counts
/// as given.
fn roles_of(state: &State, user: &ClaimMap, now: UnixMillis) -> BTreeSet<RoleId> {
    let giving: Vec<Policy> =
        state.policies().filter(|policy| !policy.administrative_roles.is_empty()).cloned().collect();
    let set = PolicySet::new(&giving, state.criteria_scripts());
    let (step_ups, reasons) = (BTreeMap::new(), BTreeMap::new());
    let mut roles = BTreeSet::new();
    for (now, system) in circumstances(&giving, state, now) {
        let facts = Facts { user, device: None, system: &system, step_ups: &step_ups, reasons: &reasons, now };
        // Roles are given by policies alone; entitlements need not be looked at.
        let assignment = set.assign(&facts, std::iter::empty());
        roles.extend(assignment.roles);
        // What a device says cannot be judged here: false is false, but an error is a maybe.
        let unclear = assignment.findings.iter().filter(|finding| finding.error.is_some());
        for policy in unclear.filter_map(|finding| giving.iter().find(|policy| policy.base.id == finding.id)) {
            if mentions(policy, state, &["system", "device"]) {
                roles.extend(&policy.administrative_roles);
            }
        }
    }
    roles
}

/// Every time and place that can make a difference.
fn circumstances(policies: &[Policy], state: &State, now: UnixMillis) -> Vec<(UnixMillis, ClaimMap)> {
    let places = places(policies, state);
    let at = |now: UnixMillis| places.iter().map(move |place| (now, place.clone()));
    moments(policies, state, now).into_iter().flat_map(at).collect()
}

/// Nowhere, and one address of every network that criteria name.
fn places(policies: &[Policy], state: &State) -> Vec<ClaimMap> {
    let scripts = state.criteria_scripts().map(|script| script.expression.as_str());
    let sources = policies.iter().map(|policy| policy.expression.as_str()).chain(scripts);
    let quoted = sources.flat_map(|source| source.split(['"', '\'']));
    let address = |text: &str| network(text).map(|net| net.addr()).or_else(|| text.parse().ok());
    let addresses: BTreeSet<IpAddr> = quoted.filter_map(address).take(MAX_PLACES).collect();
    let place = |address: IpAddr| ClaimMap([("clientSrcIP".to_owned(), address.to_string().into())].into());
    std::iter::once(ClaimMap::default()).chain(addresses.into_iter().map(place)).collect()
}

/// Now; or, where criteria look at the clock, every quarter of an hour of a week.
fn moments(policies: &[Policy], state: &State, now: UnixMillis) -> Vec<UnixMillis> {
    const QUARTER: Duration = Duration::from_secs(15 * 60);
    let timed = policies.iter().any(|policy| mentions(policy, state, &["inTimeRange", "weekday"]));
    let quarters = if timed { 7 * 24 * 4 } else { 1 };
    (0..quarters).map(|nth| now.plus(QUARTER * nth)).collect()
}

/// Whether a policy's criteria, or any script, have one of these words.
fn mentions(policy: &Policy, state: &State, words: &[&str]) -> bool {
    let has = |text: &str| words.iter().any(|word| text.contains(word));
    has(&policy.expression) || state.criteria_scripts().any(|script| has(&script.expression))
}

#[cfg(test)]
mod tests;
