//! Objects as the admin API shows them: their fields, and what belongs to them for convenience. Pure.

use ringwall_protocol::id::UserId;
use ringwall_protocol::name::{ProviderName, UserDn, UserName};
use ringwall_protocol::object::identity_provider::ProviderSettings;
use ringwall_protocol::object::{IdentityProvider, Object, ObjectKind};
use ringwall_protocol::time::{Rfc3339, UnixMillis};
use ringwall_raft::State;
use ringwall_raft::state::lockout::LockoutSubject;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::identity::directory::secrets;

/// What an entitlement is shown with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BesideEntitlement {
    /// Name of its Site.
    site_name: Option<String>,
}

/// What a client profile is shown with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BesideProfile {
    /// Name of its identity provider.
    identity_provider_name: Option<String>,
    /// Where the Controllers are unless the profile says otherwise.
    global_hostname: String,
    /// When its link was read last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Rfc3339")]
    exported: Option<String>,
}

/// What a local user is shown with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BesideUser {
    /// There is a password.
    password_set: bool,
    /// Devices that are not registered are locked out.
    locked: bool,
}

/// What an identity provider is shown with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BesideIdentityProvider {
    /// Its secrets that were given; none is ever shown.
    secrets_set: Vec<String>,
    /// What is allowed but weaker than it could be.
    weaknesses: Vec<&'static str>,
}

/// What an MFA provider is shown with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BesideMfaProvider {
    /// Its secrets that were given; none is ever shown.
    secrets_set: Vec<String>,
}

/// The object as JSON.
#[must_use]
pub(crate) fn present(object: &Object, state: &State, now: UnixMillis) -> Value {
    let mut value = plain(object);
    let beside = match object {
        Object::Entitlement(one) => serde_json::to_value(BesideEntitlement {
            site_name: state.site(one.site).map(|site| site.base.name.clone()),
        }),
        Object::ClientProfile(one) => serde_json::to_value(BesideProfile {
            identity_provider_name: state.identity_provider(one.identity_provider).map(|one| one.base.name.clone()),
            global_hostname: state.settings().profile_hostname.clone(),
            exported: state.profile_exported(one.base.id).map(|at| at.to_string()),
        }),
        Object::LocalUser(one) => serde_json::to_value(BesideUser {
            password_set: state.local_password(one.base.id).is_some(),
            locked: is_locked(state, one.base.id, now),
        }),
        Object::IdentityProvider(one) => serde_json::to_value(BesideIdentityProvider {
            secrets_set: secrets_set(state, object.id(), one.kind().secrets()),
            weaknesses: weaknesses(one),
        }),
        Object::MfaProvider(one) => serde_json::to_value(BesideMfaProvider {
            secrets_set: secrets_set(state, object.id(), one.kind().secrets()),
        }),
        _ => return value,
    };
    if let (Some(fields), Ok(Value::Object(beside))) = (value.as_object_mut(), beside) {
        fields.extend(beside);
    }
    value
}

/// The description of what objects of a kind are shown with, beyond their own fields.
pub(crate) fn beside(kind: ObjectKind, generator: &mut SchemaGenerator) -> Option<Schema> {
    Some(match kind {
        ObjectKind::Entitlement => BesideEntitlement::json_schema(generator),
        ObjectKind::ClientProfile => BesideProfile::json_schema(generator),
        ObjectKind::LocalUser => BesideUser::json_schema(generator),
        ObjectKind::IdentityProvider => BesideIdentityProvider::json_schema(generator),
        ObjectKind::MfaProvider => BesideMfaProvider::json_schema(generator),
        _ => return None,
    })
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
fn secrets_set(state: &State, provider: uuid::Uuid, fields: &[&str]) -> Vec<String> {
    let set = fields.iter().filter(|field| secrets::is_set(state, provider, field));
    set.map(|field| (*field).to_owned()).collect()
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
