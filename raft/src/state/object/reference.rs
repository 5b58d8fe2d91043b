//! Which objects an object refers to, and which refer to it.

use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::object::{Object, ObjectKind};
use uuid::Uuid;

use crate::state::State;
use crate::state::rejection::{Referrer, Rejection};

/// Most referrers that a refusal names.
const NAMED: usize = 20;

/// A reference: the field as the admin API writes it, and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it stands.
    pub field: String,
    /// What it must be.
    pub kind: ObjectKind,
    /// Id of the object.
    pub id: Uuid,
}

/// Everything that `object` refers to.
#[must_use]
pub fn of(object: &Object) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut add = |field: String, kind: ObjectKind, id: Uuid| found.push(Reference { field, kind, id });
    match object {
        Object::Site(site) => {
            if let Some(fallback) = site.fallback_site {
                add("fallbackSite".to_owned(), ObjectKind::Site, fallback.uuid());
            }
            for (at, mapping) in site.ip_pool_mappings.iter().enumerate() {
                add(format!("ipPoolMappings[{at}].from"), ObjectKind::IpPool, mapping.from.uuid());
                add(format!("ipPoolMappings[{at}].to"), ObjectKind::IpPool, mapping.to.uuid());
            }
        }
        Object::Appliance(appliance) => {
            if let Some(site) = appliance.site {
                add("site".to_owned(), ObjectKind::Site, site.uuid());
            }
        }
        Object::Entitlement(entitlement) => {
            add("site".to_owned(), ObjectKind::Site, entitlement.site.uuid());
            for (at, condition) in entitlement.conditions.iter().enumerate() {
                add(format!("conditions[{at}]"), ObjectKind::Condition, condition.uuid());
            }
        }
        Object::Condition(condition) => {
            for (at, method) in condition.remedy_methods.iter().enumerate() {
                let kind = match method.kind {
                    InteractionKind::OtpAuthentication => ObjectKind::MfaProvider,
                    InteractionKind::PasswordAuthentication => ObjectKind::IdentityProvider,
                    InteractionKind::DisplayMessage | InteractionKind::Reason => continue,
                };
                if let Some(id) = method.provider_id {
                    add(format!("remedyMethods[{at}].providerId"), kind, id);
                }
            }
        }
        Object::Policy(policy) => {
            for (at, entitlement) in policy.entitlements.iter().enumerate() {
                add(format!("entitlements[{at}]"), ObjectKind::Entitlement, entitlement.uuid());
            }
            for (at, role) in policy.administrative_roles.iter().enumerate() {
                add(format!("administrativeRoles[{at}]"), ObjectKind::AdministrativeRole, role.uuid());
            }
            if let Some(site) = policy.override_site {
                add("overrideSite".to_owned(), ObjectKind::Site, site.uuid());
            }
        }
        Object::IdentityProvider(provider) => {
            for (field, pool) in [("ipPoolV4", provider.ip_pool_v4), ("ipPoolV6", provider.ip_pool_v6)] {
                if let Some(pool) = pool {
                    add(field.to_owned(), ObjectKind::IpPool, pool.uuid());
                }
            }
            if let Some(mfa) = &provider.on_boarding_2fa {
                add("onBoarding2FA.mfaProviderId".to_owned(), ObjectKind::MfaProvider, mfa.mfa_provider_id.uuid());
            }
        }
        Object::ClientProfile(profile) => {
            add("identityProvider".to_owned(), ObjectKind::IdentityProvider, profile.identity_provider.uuid());
        }
        Object::CriteriaScript(_)
        | Object::MfaProvider(_)
        | Object::LocalUser(_)
        | Object::IpPool(_)
        | Object::AdministrativeRole(_) => {}
    }
    found
}

/// Every reference of `object` leads somewhere; to itself counts.
pub(crate) fn check(object: &Object, state: &State) -> Result<(), Rejection> {
    for Reference { field, kind, id } in of(object) {
        let itself = kind == object.kind() && id == object.id();
        if !itself && state.objects.find(kind, id).is_none() {
            return Err(Rejection::MissingReference { field, kind, id });
        }
    }
    Ok(())
}

/// Who refers to an object, itself apart; at most [`NAMED`].
pub(crate) fn referrers(state: &State, kind: ObjectKind, id: Uuid) -> Vec<Referrer> {
    state
        .objects
        .iter()
        .map(|stored| &stored.object)
        .filter(|object| (object.kind(), object.id()) != (kind, id))
        .filter(|object| of(object).iter().any(|reference| (reference.kind, reference.id) == (kind, id)))
        .take(NAMED)
        .map(|object| Referrer { kind: object.kind(), id: object.id(), name: object.name().to_owned() })
        .collect()
}
