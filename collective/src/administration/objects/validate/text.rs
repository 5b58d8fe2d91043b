//! Forms of texts that several kinds of objects have.

use ringwall_protocol::object::Object;

/// The notes of any object.
pub(super) fn notes(object: &Object) -> &str {
    match object {
        Object::Site(one) => &one.base.notes,
        Object::Appliance(one) => &one.base.notes,
        Object::Entitlement(one) => &one.base.notes,
        Object::Condition(one) => &one.base.notes,
        Object::CriteriaScript(one) => &one.base.notes,
        Object::Policy(one) => &one.base.notes,
        Object::IdentityProvider(one) => &one.base.notes,
        Object::MfaProvider(one) => &one.base.notes,
        Object::LocalUser(one) => &one.base.notes,
        Object::IpPool(one) => &one.base.notes,
        Object::ClientProfile(one) => &one.base.notes,
        Object::AdministrativeRole(one) => &one.base.notes,
    }
}
