//! What a changed object means for live sessions and for Gateways (T38).
//!
//! Whatever decides entitlements appends a revocation of entitlement tokens to the same entry, for the Sites
//! concerned, in the mode that the settings ask for; disabling an entitlement cuts. A user or provider that goes, or
//! is disabled, is cut with everything.

use std::collections::BTreeSet;

use ringwall_protocol::id::{LogIndex, SiteId};
use ringwall_protocol::name::{DnScope, ProviderName, UserDn, UserName};
use ringwall_protocol::object::settings::ApplyChanges;
use ringwall_protocol::object::{LocalUser, Object};
use ringwall_protocol::policy::{Policy, PolicyKind};
use ringwall_protocol::revocation::RevocationMode;

use crate::state::State;
use crate::state::rejection::Rejection;
use crate::state::step::{Cutoff, Step};

/// Whose entitlement tokens no longer say what the policies say.
#[derive(Debug, PartialEq, Eq)]
enum Concerned {
    Nobody,
    Sites(BTreeSet<SiteId>),
    Everyone,
}

/// Tells Gateways and revokes what must be. `step.state` already holds the change. Returns the revocation's index.
pub(crate) fn of_change(
    step: &mut Step<'_>,
    before: Option<&Object>,
    after: Option<&Object>,
) -> Result<Option<LogIndex>, Rejection> {
    let Some(object) = after.or(before) else { return Ok(None) };
    match object {
        Object::Appliance(appliance) => {
            if after.is_some() {
                step.follow_appliance(appliance)?;
            } else {
                step.drop_join_tokens(appliance.base.id);
            }
            Ok(None)
        }
        Object::LocalUser(user) => local_user(step, user, before.is_some(), after.is_none()),
        Object::IdentityProvider(provider) if after.is_none() => {
            let name = ProviderName::parse(provider.base.name.as_str()).expect("checked when it was written");
            step.forget_devices(|device| device.provider_id == provider.base.id);
            step.forget_security_keys_of(&name);
            step.forget_seeds_of(&name);
            let reason = format!("identity provider {name} was deleted");
            step.revoke(Cutoff::cut(DnScope::Provider(name), reason)).map(Some)
        }
        Object::IpPool(_) => {
            let sites: Vec<_> = step.state.sites().map(|site| site.base.id).collect();
            sites.into_iter().for_each(|site| step.tell_feed_site(site));
            Ok(None)
        }
        Object::Site(site) => {
            step.tell_feed_site(site.base.id);
            entitlements(step, before, after, object)
        }
        Object::Entitlement(_) | Object::Condition(_) | Object::CriteriaScript(_) | Object::Policy(_) => {
            entitlements(step, before, after, object)
        }
        Object::ClientProfile(profile) => {
            if after.is_none() {
                step.state.profile_exports.remove(&profile.base.id);
            }
            Ok(None)
        }
        Object::IdentityProvider(_) | Object::MfaProvider(_) => {
            if proves_otherwise(before, after) {
                step.end_sessions_proved_by(object.id());
            }
            Ok(None)
        }
        Object::AdministrativeRole(_) => Ok(None),
    }
}

fn local_user(step: &mut Step<'_>, user: &LocalUser, existed: bool, gone: bool) -> Result<Option<LogIndex>, Rejection> {
    if gone {
        step.state.local_passwords.remove(&user.base.id);
        step.state.totp.remove(&user.base.id);
        step.state.security_keys.remove(&user.base.id);
        step.state.admin_keys.remove(&user.base.id);
        step.forget_devices(|device| device.user_id == user.base.id);
    }
    let (true, true, Some(provider)) = (existed, gone || user.disabled, step.state.local_provider()) else {
        return Ok(None);
    };
    let dn = UserDn {
        user: UserName::parse(user.base.name.as_str()).expect("checked when it was written"),
        provider: ProviderName::parse(provider.base.name.as_str()).expect("checked when it was written"),
    };
    let reason = if gone { "the user was deleted" } else { "the user was disabled" };
    step.revoke(Cutoff::cut(DnScope::User(dn), reason)).map(Some)
}

/// Whether a provider lets others in than it did, or by other proofs (T57).
fn proves_otherwise(before: Option<&Object>, after: Option<&Object>) -> bool {
    match (before, after) {
        (Some(Object::IdentityProvider(before)), Some(Object::IdentityProvider(after))) => {
            before.settings != after.settings
                || before.admin_provider != after.admin_provider
                || before.on_boarding_2fa != after.on_boarding_2fa
                || before.claim_mappings != after.claim_mappings
                || before.claim_scripts != after.claim_scripts
        }
        (Some(Object::MfaProvider(before)), Some(Object::MfaProvider(after))) => before.settings != after.settings,
        _ => false,
    }
}

fn entitlements(
    step: &mut Step<'_>,
    before: Option<&Object>,
    after: Option<&Object>,
    object: &Object,
) -> Result<Option<LogIndex>, Rejection> {
    let cut = disables(before, after);
    let mode = match step.state.settings().apply_changes {
        _ if cut => RevocationMode::Cut,
        ApplyChanges::RenewNow => RevocationMode::RenewNow,
        ApplyChanges::Cut => RevocationMode::Cut,
        ApplyChanges::OnRenewal => return Ok(None),
    };
    let site = match concerned(step.state, before, after) {
        Concerned::Nobody => return Ok(None),
        Concerned::Sites(sites) if sites.len() == 1 => sites.first().copied(),
        Concerned::Sites(_) | Concerned::Everyone => None,
    };
    let reason = format!("{} {:?} changed", object.kind(), object.name());
    step.revoke(Cutoff::entitlements(site, mode, reason)).map(Some)
}

/// An entitlement that gave access gives none now.
fn disables(before: Option<&Object>, after: Option<&Object>) -> bool {
    let gives = |object: Option<&Object>| matches!(object, Some(Object::Entitlement(one)) if !one.disabled);
    gives(before) && !gives(after)
}

fn concerned(state: &State, before: Option<&Object>, after: Option<&Object>) -> Concerned {
    // No token is of a Site that was not there, or to which nothing refers any more.
    let site_begins_or_ends = before.is_some() != after.is_some() && matches!(before.or(after), Some(Object::Site(_)));
    if site_begins_or_ends || before.zip(after).is_some_and(|(before, after)| same_meaning(before, after)) {
        return Concerned::Nobody;
    }
    let all = [before, after].into_iter().flatten().map(|object| sites_of(state, object));
    all.fold(Concerned::Nobody, join)
}

/// Whether two versions differ in nothing that tokens are made from: times and notes.
fn same_meaning(before: &Object, after: &Object) -> bool {
    let plain = |object: &Object| {
        let mut object = object.clone();
        object.stamp(Default::default(), Default::default());
        match &mut object {
            Object::Site(one) => one.base.notes.clear(),
            Object::Entitlement(one) => one.base.notes.clear(),
            Object::Condition(one) => one.base.notes.clear(),
            Object::CriteriaScript(one) => one.base.notes.clear(),
            Object::Policy(one) => one.base.notes.clear(),
            _ => {}
        }
        object
    };
    plain(before) == plain(after)
}

fn sites_of(state: &State, object: &Object) -> Concerned {
    match object {
        Object::Site(site) => one(site.base.id),
        // An entitlement takes effect where policies override its Site too.
        Object::Entitlement(entitlement) => {
            let mut sites = BTreeSet::from([entitlement.site]);
            for policy in state.policies().filter(|policy| policy.gives(entitlement)) {
                if policy.override_site_claim.is_some() {
                    return Concerned::Everyone;
                }
                sites.extend(policy.override_site);
            }
            Concerned::Sites(sites)
        }
        Object::Condition(condition) => {
            let users = state.entitlements().filter(|one| one.conditions.contains(&condition.base.id));
            users.map(|one| sites_of(state, &Object::Entitlement(one.clone()))).fold(Concerned::Nobody, join)
        }
        Object::Policy(policy) => sites_of_policy(state, policy),
        Object::CriteriaScript(_) => Concerned::Everyone,
        _ => Concerned::Nobody,
    }
}

fn sites_of_policy(state: &State, policy: &Policy) -> Concerned {
    match policy.kind {
        PolicyKind::Admin => return Concerned::Nobody,
        PolicyKind::Stop | PolicyKind::Dns | PolicyKind::Device => return Concerned::Everyone,
        PolicyKind::Access | PolicyKind::Mixed => {}
    }
    if policy.override_site_claim.is_some() || !policy.dns_settings.is_empty() {
        return Concerned::Everyone;
    }
    let mut sites: BTreeSet<SiteId> =
        state.entitlements().filter(|one| policy.gives(one)).map(|one| one.site).collect();
    sites.extend(policy.override_site);
    if sites.is_empty() { Concerned::Nobody } else { Concerned::Sites(sites) }
}

fn one(site: SiteId) -> Concerned {
    Concerned::Sites(BTreeSet::from([site]))
}

fn join(sum: Concerned, more: Concerned) -> Concerned {
    match (sum, more) {
        (Concerned::Everyone, _) | (_, Concerned::Everyone) => Concerned::Everyone,
        (Concerned::Nobody, other) | (other, Concerned::Nobody) => other,
        (Concerned::Sites(one), Concerned::Sites(two)) => Concerned::Sites(one.into_iter().chain(two).collect()),
    }
}
