//! What an object must be before it is proposed: every rule that one object and the state around it can break, all told
//! at once. Pure.
//!
//! The replicated state checks again what protects it; here people learn what is wrong, field by field.

mod access;
mod appliance;
mod identity;
mod network;
mod oidc;
mod people;
mod provider;
mod text;

use ringwall_protocol::expression::Scripts;
use ringwall_protocol::form;
use ringwall_protocol::object::{MAX_TAGS, Object};
use ringwall_raft::State;
use ringwall_raft::state::object::reference;

pub(crate) use people::check_password;

use crate::administration::faults::Faults;

/// What is wrong with `object` in place of `before`, in `state`.
#[must_use]
pub(crate) fn validate(object: &Object, before: Option<&Object>, state: &State) -> Faults {
    let mut faults = Faults::default();
    base(object, &mut faults);
    references(object, state, &mut faults);
    match object {
        Object::Site(one) => network::site(one, state, &mut faults),
        Object::IpPool(one) => network::ip_pool(one, before, state, &mut faults),
        Object::Appliance(one) => appliance::appliance(one, before, &mut faults),
        Object::ClientProfile(one) => appliance::client_profile(one, before, &mut faults),
        Object::Entitlement(one) => access::entitlement(one, &mut faults),
        Object::Condition(one) => access::condition(one, state, &mut faults),
        Object::CriteriaScript(one) => access::script(one, &mut faults),
        Object::Policy(one) => access::policy(one, &scripts(state), &mut faults),
        Object::IdentityProvider(one) => identity::identity_provider(one, before, state, &mut faults),
        Object::MfaProvider(one) => identity::mfa_provider(one, before, &mut faults),
        Object::LocalUser(one) => people::local_user(one, before, &mut faults),
        Object::AdministrativeRole(one) => people::role(one, &mut faults),
    }
    faults
}

/// All criteria scripts, compiled; those that do not compile are left out.
#[must_use]
pub(crate) fn scripts(state: &State) -> Scripts {
    let mut scripts = Scripts::default();
    for script in state.criteria_scripts() {
        // One that does not compile is unknown to whoever calls it, as it is when policies are evaluated.
        drop(scripts.add(&script.base.name, &script.expression));
    }
    scripts
}

fn base(object: &Object, faults: &mut Faults) {
    faults.unless_fits(object.name(), form::OBJECT_NAME, "name");
    faults.contradict_unless(!object.id().is_nil(), "id", "must not be nil");
    if object.tags().len() > MAX_TAGS {
        faults.add("tags", format!("are at most {MAX_TAGS}"));
    }
    for (at, tag) in object.tags().iter().enumerate() {
        faults.unless_fits(tag, form::TAG, &format!("tags[{at}]"));
    }
    faults.unless_fits(text::notes(object), form::NOTES, "notes");
}

/// Every reference leads somewhere; to itself counts.
fn references(object: &Object, state: &State, faults: &mut Faults) {
    for one in reference::of(object) {
        let itself = (one.kind, one.id) == (object.kind(), object.id());
        if !itself && state.object(one.kind, one.id).is_none() {
            faults.contradict(one.field, format!("there is no {} {}", one.kind, one.id));
        }
    }
}

/// Fields of one kind of mistake that many kinds of objects share.
fn duplicates<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<usize> {
    let mut seen = std::collections::BTreeSet::new();
    items.into_iter().enumerate().filter_map(|(at, item)| (!seen.insert(item)).then_some(at)).collect()
}

#[cfg(test)]
pub(in crate::administration) mod tests;
