//! Which values an object may have: bounds that protect the state, and rules that need other objects to be judged.
//! Whether an expression parses is checked by who proposes; here only its length is.

use ringwall_protocol::entitlement::{Entitlement, Logic, MAX_NAMES};
use ringwall_protocol::form::OBJECT_NAME;
use ringwall_protocol::name::{ProviderName, UserName};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::identity_provider::{BREAK_GLASS, IdentityProviderKind};
use ringwall_protocol::object::site::MAX_GRACE_SECONDS;
use ringwall_protocol::object::{Appliance, IdentityProvider, IpPool, MAX_TAGS, Object, Site};
use ringwall_protocol::policy::{Condition, MAX_EXPRESSION, MAX_INTERACTIONS};
use ringwall_protocol::time::UnixMillis;

use crate::state::State;
use crate::state::address::pool;
use crate::state::rejection::Rejection;

/// Longest encoding of one object, in bytes: an entitlement with all its names and ports fits ten times.
const MAX_OBJECT: usize = 544 * 1024;
/// Length of a lease in seconds.
const LEASE: std::ops::RangeInclusive<u32> = 5..=60;
/// Shortest lease of an address in days: above every token's lifetime.
const MIN_ADDRESS_LEASE_DAYS: u32 = 8;

/// Checks what is to be written in place of `before`.
pub(crate) fn object(object: &Object, before: Option<&Object>, state: &State) -> Result<(), Rejection> {
    base(object)?;
    match object {
        Object::Site(one) => site(one, state),
        Object::Appliance(one) => appliance(one, before),
        Object::Entitlement(one) => entitlement(one),
        Object::Condition(one) => condition(one),
        Object::CriteriaScript(one) => expression(&one.expression),
        Object::Policy(one) => expression(&one.expression),
        Object::IdentityProvider(one) => identity_provider(one, before, state),
        Object::LocalUser(one) => {
            UserName::parse(one.base.name.as_str()).map_err(|why| Rejection::invalid("name", why.to_string()))?;
            unrenamed(object, before)
        }
        Object::IpPool(one) => ip_pool(one, state),
        Object::MfaProvider(_) | Object::ClientProfile(_) | Object::AdministrativeRole(_) => Ok(()),
    }
}

/// Whether an object without referrers may go.
pub(crate) fn deletion(object: &Object, state: &State) -> Result<(), Rejection> {
    match object {
        Object::Appliance(appliance) if appliance.activated => Err(Rejection::WrongState {
            what: format!("appliance {:?}", appliance.base.name),
            state: format!("{:?}", appliance.state).to_lowercase(),
        }),
        Object::IpPool(pool) if state.addresses.any_held_of(pool.base.id) => Err(Rejection::WrongState {
            what: format!("pool {:?}", pool.base.name),
            state: "giving addresses to registered devices".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// When an object was created.
pub(crate) fn created(object: &Object) -> UnixMillis {
    match object {
        Object::Site(one) => one.base.created,
        Object::Appliance(one) => one.base.created,
        Object::Entitlement(one) => one.base.created,
        Object::Condition(one) => one.base.created,
        Object::CriteriaScript(one) => one.base.created,
        Object::Policy(one) => one.base.created,
        Object::IdentityProvider(one) => one.base.created,
        Object::MfaProvider(one) => one.base.created,
        Object::LocalUser(one) => one.base.created,
        Object::IpPool(one) => one.base.created,
        Object::ClientProfile(one) => one.base.created,
        Object::AdministrativeRole(one) => one.base.created,
    }
}

/// Puts back what only the system sets.
pub(crate) fn keep_system_fields(object: &mut Object, before: Option<&Object>) {
    if let Object::Appliance(appliance) = object {
        let (activated, state) = match before {
            Some(Object::Appliance(before)) => (before.activated, before.state),
            _ => Default::default(),
        };
        appliance.activated = activated;
        appliance.state = state;
    }
}

fn base(object: &Object) -> Result<(), Rejection> {
    let name = object.name();
    if !OBJECT_NAME.fits(name) {
        return Err(Rejection::invalid("name", OBJECT_NAME.rule));
    }
    if object.tags().len() > MAX_TAGS {
        return Err(Rejection::invalid("tags", format!("are at most {MAX_TAGS}")));
    }
    let size = crate::codec::encode(object).map_or(usize::MAX, |bytes| bytes.len());
    if size > MAX_OBJECT {
        return Err(Rejection::invalid("object", format!("takes {size} bytes, at most {MAX_OBJECT}")));
    }
    Ok(())
}

fn site(site: &Site, state: &State) -> Result<(), Rejection> {
    if !LEASE.contains(&site.lease_seconds) {
        return Err(Rejection::invalid("leaseSeconds", "lies between 5 and 60"));
    }
    if site.grace_seconds.is_some_and(|grace| grace < site.lease_seconds || grace > MAX_GRACE_SECONDS) {
        return Err(Rejection::invalid("graceSeconds", format!("lies between leaseSeconds and {MAX_GRACE_SECONDS}")));
    }
    if !(1..=2).contains(&site.witnesses) {
        return Err(Rejection::invalid("witnesses", "is 1 or 2"));
    }
    let active = state.controllers().filter(|one| one.state == ApplianceState::Active).count();
    if usize::from(site.witnesses) > active.max(1) {
        return Err(Rejection::invalid(
            "witnesses",
            "of 2 want a second active Controller: a lease could not be confirmed",
        ));
    }
    Ok(())
}

fn appliance(appliance: &Appliance, before: Option<&Object>) -> Result<(), Rejection> {
    if appliance.controller.enabled == appliance.gateway.enabled {
        return Err(Rejection::invalid("controller.enabled", "or gateway.enabled is set, and not both"));
    }
    if appliance.gateway.enabled && appliance.site.is_none() {
        return Err(Rejection::invalid("site", "is needed for a Gateway"));
    }
    if appliance.gateway.vpn.weight > 10_000 {
        return Err(Rejection::invalid("gateway.vpn.weight", "is at most 10000"));
    }
    super::super::member::check_addresses(&appliance.client_interface.addresses)?;
    if let Some(Object::Appliance(before)) = before
        && before.activated
        && before.controller != appliance.controller
    {
        return Err(Rejection::invalid("controller", "of an appliance that has joined cannot change"));
    }
    Ok(())
}

fn entitlement(entitlement: &Entitlement) -> Result<(), Rejection> {
    if entitlement.conditions.is_empty() && entitlement.condition_logic == Logic::Or {
        return Err(Rejection::invalid("conditions", "must not be empty with conditionLogic or: nothing could pass"));
    }
    if entitlement.actions.is_empty() {
        return Err(Rejection::invalid("actions", "must not be empty"));
    }
    let hosts: usize = entitlement.actions.iter().map(|action| action.hosts.len()).sum();
    if hosts > 16 * MAX_NAMES {
        return Err(Rejection::invalid("actions", format!("name at most {} hosts", 16 * MAX_NAMES)));
    }
    Ok(())
}

fn condition(condition: &Condition) -> Result<(), Rejection> {
    if condition.remedy_methods.len() > MAX_INTERACTIONS {
        return Err(Rejection::invalid("remedyMethods", format!("are at most {MAX_INTERACTIONS}")));
    }
    expression(&condition.expression)
}

fn expression(text: &str) -> Result<(), Rejection> {
    if text.trim().is_empty() || text.len() > MAX_EXPRESSION {
        return Err(Rejection::invalid("expression", format!("has 1 to {MAX_EXPRESSION} bytes")));
    }
    Ok(())
}

fn identity_provider(provider: &IdentityProvider, before: Option<&Object>, state: &State) -> Result<(), Rejection> {
    ProviderName::parse(provider.base.name.as_str()).map_err(|why| Rejection::invalid("name", why.to_string()))?;
    if provider.base.name == BREAK_GLASS {
        return Err(Rejection::invalid("name", "is reserved for the break-glass administrator"));
    }
    if provider.kind() == IdentityProviderKind::LocalDatabase
        && state.local_provider().is_some_and(|local| local.base.id != provider.base.id)
    {
        return Err(Rejection::invalid("type", "LocalDatabase is taken: local users have one provider"));
    }
    if let Some(Object::IdentityProvider(before)) = before
        && before.kind() != provider.kind()
    {
        return Err(Rejection::invalid("type", "cannot change"));
    }
    for (field, pool, six) in [("ipPoolV4", provider.ip_pool_v4, false), ("ipPoolV6", provider.ip_pool_v6, true)] {
        if let Some(pool) = pool.and_then(|pool| state.ip_pool(pool))
            && pool.ip_version6 != six
        {
            return Err(Rejection::invalid(field, "is a pool of the other family"));
        }
    }
    unrenamed(&Object::IdentityProvider(provider.clone()), before)
}

/// Names that stand in Distinguished Names never change: tokens and revocations would name different users.
fn unrenamed(object: &Object, before: Option<&Object>) -> Result<(), Rejection> {
    match before {
        Some(before) if before.name() != object.name() => {
            Err(Rejection::invalid("name", "cannot change: it is part of distinguished names"))
        }
        _ => Ok(()),
    }
}

fn ip_pool(one: &IpPool, state: &State) -> Result<(), Rejection> {
    if one.lease_time_days < MIN_ADDRESS_LEASE_DAYS {
        return Err(Rejection::invalid("leaseTimeDays", format!("is at least {MIN_ADDRESS_LEASE_DAYS}")));
    }
    let spans = pool::spans(one).map_err(|message| Rejection::invalid("ranges", message))?;
    for other in state.ip_pools().filter(|other| other.base.id != one.base.id) {
        let others = pool::spans(other).unwrap_or_default();
        if spans.iter().any(|span| others.iter().any(|theirs| span.overlaps(theirs))) {
            return Err(Rejection::invalid("ranges", format!("overlap pool {:?}", other.base.name)));
        }
    }
    Ok(())
}
