//! Objects as the admin API shows them: their fields, and what belongs to them for convenience. Pure.

use ringwall_protocol::id::UserId;
use ringwall_protocol::name::{ProviderName, UserDn, UserName};
use ringwall_protocol::object::identity_provider::ProviderSettings;
use ringwall_protocol::object::{IdentityProvider, Object};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;
use ringwall_raft::state::lockout::LockoutSubject;
use serde_json::Value;

use crate::identity::directory::secrets;

/// The object as JSON.
#[must_use]
pub(crate) fn present(object: &Object, state: &State, now: UnixMillis) -> Value {
    let mut value = plain(object);
    match object {
        Object::Entitlement(one) => {
            value["siteName"] = state.site(one.site).map(|site| site.base.name.clone()).into();
        }
        Object::ClientProfile(one) => {
            let provider = state.identity_provider(one.identity_provider);
            value["identityProviderName"] = provider.map(|provider| provider.base.name.clone()).into();
            value["globalHostname"] = state.settings().profile_hostname.clone().into();
            if let Some(at) = state.profile_exported(one.base.id) {
                value["exported"] = at.to_string().into();
            }
        }
        Object::LocalUser(one) => {
            value["passwordSet"] = state.local_password(one.base.id).is_some().into();
            value["locked"] = is_locked(state, one.base.id, now).into();
        }
        Object::IdentityProvider(one) => {
            value["secretsSet"] = secrets_set(state, object.id(), one.kind().secrets());
            value["weaknesses"] = weaknesses(one).into();
        }
        Object::MfaProvider(one) => {
            value["secretsSet"] = secrets_set(state, object.id(), one.kind().secrets());
        }
        _ => {}
    }
    value
}

/// What is allowed but weaker than it could be.
fn weaknesses(provider: &IdentityProvider) -> Vec<&'static str> {
    let mut found = Vec::new();
    match &provider.settings {
        ProviderSettings::Ldap(ldap) if ldap.allow_plain => found.push("passwords travel unprotected (allowPlain)"),
        ProviderSettings::LdapCertificate(one) if one.ldap.allow_plain => {
            found.push("the Controller's password travels unprotected (allowPlain)");
        }
        ProviderSettings::Radius(_) => {
            found.push("RADIUS protects passwords with MD5 only: keep it in a network of its own")
        }
        _ => {}
    }
    found
}

/// Which of a provider's secrets were given; none is ever shown.
fn secrets_set(state: &State, provider: uuid::Uuid, fields: &[&str]) -> Value {
    fields.iter().copied().filter(|field| secrets::is_set(state, provider, field)).collect()
}

/// The object's own fields.
#[must_use]
pub(crate) fn plain(object: &Object) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.remove("kind");
    }
    value
}

/// Whether devices that are not registered are locked out for this user.
fn is_locked(state: &State, user: UserId, now: UnixMillis) -> bool {
    user_dn(state, user).is_some_and(|user| state.locked_out(&LockoutSubject { user, device: None }, now).is_some())
}

/// The DN of a local user.
#[must_use]
pub(crate) fn user_dn(state: &State, user: UserId) -> Option<UserDn> {
    let user = UserName::parse(state.local_user(user)?.base.name.clone()).ok()?;
    let provider = ProviderName::parse(state.local_provider()?.base.name.clone()).ok()?;
    Some(UserDn { user, provider })
}
