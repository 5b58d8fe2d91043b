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
use ringwall_protocol::object::{MAX_NOTES, MAX_OBJECT_NAME, MAX_TAGS, Object};
use ringwall_protocol::wire::admin::FieldError;
use ringwall_raft::State;
use ringwall_raft::state::object::reference;

pub(crate) use people::check_password;

/// Longest tag, in bytes.
const MAX_TAG: usize = 128;
/// Most errors that one answer names.
const MAX_ERRORS: usize = 64;

/// Rules that were broken.
#[derive(Debug, Default)]
pub(in crate::administration) struct Faults(Vec<FieldError>);

impl Faults {
    /// A field is wrong.
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(FieldError { field: field.into(), message: message.into() });
        }
    }

    /// A field is wrong unless `holds`.
    fn unless(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.add(field, message);
        }
    }
}

/// What is wrong with `object` in place of `before`, in `state`.
#[must_use]
pub(crate) fn validate(object: &Object, before: Option<&Object>, state: &State) -> Vec<FieldError> {
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
    faults.0
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
    let name = object.name();
    if name.trim().is_empty() || name.len() > MAX_OBJECT_NAME || name.chars().any(char::is_control) {
        faults.add("name", format!("has 1 to {MAX_OBJECT_NAME} bytes and no control characters"));
    }
    faults.unless(!object.id().is_nil(), "id", "must not be nil");
    if object.tags().len() > MAX_TAGS {
        faults.add("tags", format!("are at most {MAX_TAGS}"));
    }
    for (at, tag) in object.tags().iter().enumerate() {
        if tag.trim().is_empty() || tag.len() > MAX_TAG || tag.chars().any(char::is_control) {
            faults.add(format!("tags[{at}]"), format!("has 1 to {MAX_TAG} bytes and no control characters"));
        }
    }
    if text::notes(object).len() > MAX_NOTES {
        faults.add("notes", format!("have at most {MAX_NOTES} bytes"));
    }
}

/// Every reference leads somewhere; to itself counts.
fn references(object: &Object, state: &State, faults: &mut Faults) {
    for one in reference::of(object) {
        let itself = (one.kind, one.id) == (object.kind(), object.id());
        if !itself && state.object(one.kind, one.id).is_none() {
            faults.add(one.field, format!("there is no {} {}", one.kind, one.id));
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
