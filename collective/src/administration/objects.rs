//! Administered objects: list, read, create, replace, delete. One implementation for every kind.
//!
//! A replacement is proposed for the version that was checked, so that nothing is written over what nobody looked at.
//! Replacing an object by itself proposes nothing.

pub(crate) mod decode;
pub(crate) mod listing;
pub(crate) mod present;
mod provider_hosts;
pub(crate) mod provider_secrets;
pub(crate) mod provider_test;
pub(crate) mod validate;

use ringwall_protocol::id::{LogIndex, UserId};
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::role::PrivilegeType;
use ringwall_protocol::object::{Object, ObjectKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::{FieldError, List};
use ringwall_raft::state::local_password::{PasswordHash, SetLocalPassword};
use ringwall_raft::state::object::{DeleteObject, Expected, PutObject, Stored};
use ringwall_raft::{Command, State};
use ringwall_trust::password::{self, Cost};
use ringwall_trust::secret::SystemRandom;
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use self::decode::Body;
use self::listing::{Habits, Wanted};
use self::present::present;
use self::validate::{check_password, validate};
use super::access::authority::{Administrator, target_of};
use super::access::granting;
use super::access::granting::Change;
use super::denial::Denial;
use super::repeat::Repeat;
use crate::administration::members::appliances::remove_appliance;
use crate::audit::event as trail;
use crate::identity::Providers;
use crate::replica::Replica;
use crate::setup::vault::Vault;
use std::sync::Arc;

/// An object as it is now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// As JSON.
    pub(crate) object: Value,
    /// Its version.
    pub(crate) version: LogIndex,
}

/// What keeps administered objects.
pub(crate) struct Objects {
    pub(crate) replica: Replica,
    pub(crate) vault: Arc<Vault>,
    pub(crate) providers: Arc<Providers>,
}

impl Objects {
    /// The objects of a kind that the caller may see.
    ///
    /// # Errors
    /// [`Denial::Forbidden`] if he may see none of the kind.
    pub(crate) fn list_objects(
        &self,
        who: &Administrator,
        kind: ObjectKind,
        wanted: &Wanted,
    ) -> Result<List<Value>, Denial> {
        who.authority.require_some(PrivilegeType::View, target_of(kind))?;
        let now = who.now;
        let visible = who.state.objects().of_kind(kind).filter(|stored| sees(who, &stored.object));
        let items = visible.map(|stored| present(&stored.object, &who.state, now)).collect();
        Ok(wanted.of(items, Habits::OBJECTS))
    }

    /// One object.
    ///
    /// # Errors
    /// [`Denial::NotFound`], also for one that the caller may not see.
    pub(crate) fn read_object(&self, who: &Administrator, kind: ObjectKind, id: Uuid) -> Result<Written, Denial> {
        who.authority.require_some(PrivilegeType::View, target_of(kind))?;
        let stored = find(&who.state, kind, id).filter(|stored| sees(who, &stored.object));
        stored.map(|stored| written(stored, &who.state, who.now)).ok_or_else(|| not_found(kind, id))
    }

    /// Creates an object.
    ///
    /// # Errors
    /// `Invalid` field by field, `Forbidden`, `Conflict` for a name or id that is taken.
    pub(crate) async fn create_object(
        &self,
        who: &Administrator,
        kind: ObjectKind,
        body: Value,
        repeat: &Repeat,
    ) -> Result<Written, Denial> {
        who.authority.require_some(PrivilegeType::Create, target_of(kind))?;
        let now = who.now;
        let mut body = prepared(body, kind, &who.state)?;
        let id = body.id().map_err(Denial::Invalid)?.unwrap_or_else(|| repeat.new_id(now.0));
        add_default_tags(&mut body, who, kind);
        let password = body.take_password();
        let given = body.take_secrets();
        let object = body.into_object(kind, id).map_err(Denial::Invalid)?;
        who.authority.require(PrivilegeType::Create, target_of(kind), Some((id, object.tags())))?;
        let mut errors = validate(&object, None, &who.state);
        errors.extend(password_errors(kind, password.as_deref(), None, &who.state));
        errors.extend(self.forbidden_hosts(&object));
        errors.extend(provider_secrets::errors(&object, None, &given, &who.state));
        Denial::unless_empty(errors)?;
        let secret = password.is_some() || !given.is_empty();
        let change = Change { before: None, after: Some(&object), password: secret };
        granting::check(&who.authority, &who.state, change, now)?;
        let name = object.name().to_owned();
        let put = PutObject { object, expected: Expected::Absent };
        let order = self.with_secrets(self.with_password(put, id, password).await?, id, &given);
        let outcome = repeat.propose(&self.replica, order).await?;
        trail::changed(who, "entity_created", kind.collection(), &id.to_string(), &name, outcome.index);
        read_back(&self.replica, who.now, kind, id).await
    }

    /// Replaces an object as a whole.
    ///
    /// # Errors
    /// As for creating one; `NotFound`; `Conflict` if it is not at `expected`, or changed meanwhile.
    pub(crate) async fn replace_object(
        &self,
        who: &Administrator,
        (kind, id): (ObjectKind, Uuid),
        body: Value,
        expected: Option<LogIndex>,
        repeat: &Repeat,
    ) -> Result<Written, Denial> {
        let target = target_of(kind);
        who.authority.require_some(PrivilegeType::Edit, target)?;
        let stored =
            find(&who.state, kind, id).filter(|stored| sees(who, &stored.object) || edits(who, &stored.object));
        let stored = stored.ok_or_else(|| not_found(kind, id))?;
        let before = &stored.object;
        let mut body = prepared(body, kind, &who.state)?;
        if body.id().map_err(Denial::Invalid)?.is_some_and(|sent| sent != id) {
            return Err(Denial::field("id", "is another one than the path's; ids never change"));
        }
        let password = body.take_password();
        let given = body.take_secrets();
        let after = body.into_object(kind, id).map_err(Denial::Invalid)?;
        for object in [before, &after] {
            who.authority.require(PrivilegeType::Edit, target, Some((id, object.tags())))?;
        }
        if before.tags() != after.tags() {
            who.authority.require(PrivilegeType::Tag, target, Some((id, before.tags())))?;
        }
        let mut errors = validate(&after, Some(before), &who.state);
        errors.extend(password_errors(kind, password.as_deref(), Some(before), &who.state));
        errors.extend(self.forbidden_hosts(&after));
        errors.extend(provider_secrets::errors(&after, Some(before), &given, &who.state));
        Denial::unless_empty(errors)?;
        if let Some(expected) = expected.filter(|expected| *expected != stored.version) {
            return Err(Denial::Conflict(format!("expected version {expected}, it is at {}", stored.version)));
        }
        let new_password = match password {
            Some(password) if self.is_password(&who.state, id, &password).await? => None,
            other => other,
        };
        let given = self.new_secrets(&who.state, id, given)?;
        if new_password.is_none() && given.is_empty() && same(before, &after) {
            return Ok(written(stored, &who.state, who.now));
        }
        if let (Object::CriteriaScript(script), true) = (before, before.name() != after.name()) {
            refuse_if_called(&who.state, &script.base.name)?;
        }
        let secret = new_password.is_some() || !given.is_empty();
        let change = Change { before: Some(before), after: Some(&after), password: secret };
        granting::check(&who.authority, &who.state, change, who.now)?;
        let name = after.name().to_owned();
        let put = PutObject { object: after, expected: Expected::Version(stored.version) };
        let order = self.with_secrets(self.with_password(put, id, new_password).await?, id, &given);
        let outcome = repeat.propose(&self.replica, order).await?;
        trail::changed(who, "entity_updated", kind.collection(), &id.to_string(), &name, outcome.index);
        read_back(&self.replica, who.now, kind, id).await
    }

    /// Deletes an object that nothing refers to; an appliance that joined is removed from the Collective.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict` with the names of those who refer to it.
    pub(crate) async fn delete_object(
        &self,
        who: &Administrator,
        (kind, id): (ObjectKind, Uuid),
        expected: Option<LogIndex>,
        repeat: &Repeat,
    ) -> Result<(), Denial> {
        who.authority.require_some(PrivilegeType::Delete, target_of(kind))?;
        let may = |object: &Object| {
            who.authority.permits(PrivilegeType::Delete, target_of(kind), Some((object.id(), object.tags())))
        };
        let stored = find(&who.state, kind, id).filter(|stored| sees(who, &stored.object) || may(&stored.object));
        let stored = stored.ok_or_else(|| not_found(kind, id))?;
        let object = &stored.object;
        who.authority.require(PrivilegeType::Delete, target_of(kind), Some((id, object.tags())))?;
        let change = Change { before: Some(object), after: None, password: false };
        granting::check(&who.authority, &who.state, change, who.now)?;
        match object {
            Object::CriteriaScript(script) => refuse_if_called(&who.state, &script.base.name)?,
            Object::IdentityProvider(provider) if provider.kind() == IdentityProviderKind::LocalDatabase => {
                return Err(Denial::Conflict("the provider of local users is part of every collective".to_owned()));
            }
            Object::LocalUser(user) if user.base.id == who.session.user_id => {
                return Err(Denial::Conflict("administrators do not delete themselves".to_owned()));
            }
            _ => {}
        }
        let delete = DeleteObject { kind, id, expected: expected.map_or(Expected::Present, Expected::Version) };
        let outcome = match object {
            Object::Appliance(appliance) => remove_appliance(&self.replica, who, appliance, delete, repeat).await?,
            Object::IdentityProvider(_) | Object::MfaProvider(_) => {
                repeat.propose(&self.replica, provider_secrets::with_removal(delete)).await?
            }
            _ => repeat.propose(&self.replica, delete).await?,
        };
        trail::changed(who, "entity_deleted", kind.collection(), &id.to_string(), object.name(), outcome.index);
        Ok(())
    }

    /// The change, with the password's hash in the same entry.
    async fn with_password(
        &self,
        put: PutObject,
        id: Uuid,
        password: Option<Zeroizing<String>>,
    ) -> Result<Command, Denial> {
        let Some(password) = password else { return Ok(put.into()) };
        let hash = self.providers.hashing.run(move || password::hash(&password, Cost::PASSWORD, &SystemRandom)).await?;
        let hash = hash.map_err(|error| Denial::field("password", error.to_string()))?;
        let set = SetLocalPassword { user: UserId::new(id), hash: PasswordHash::new(hash), must_change: false };
        Ok(Command::Group(vec![put.into(), set.into()]))
    }

    /// Whether a user has this password already.
    async fn is_password(&self, state: &State, id: Uuid, password: &str) -> Result<bool, Denial> {
        let Some(known) = state.local_password(UserId::new(id)).map(|known| known.hash.as_str().to_owned()) else {
            return Ok(false);
        };
        let password = Zeroizing::new(password.to_owned());
        Ok(self.providers.hashing.run(move || password::verify(&password, &known)).await?)
    }
}

/// The object as it is once everything that was answered is applied here.
pub(in crate::administration) async fn read_back(
    replica: &Replica,
    now: UnixMillis,
    kind: ObjectKind,
    id: Uuid,
) -> Result<Written, Denial> {
    let state = replica.current().await?;
    let gone = || Denial::Conflict("it was written, and deleted by somebody else since".to_owned());
    find(&state, kind, id).map(|stored| written(stored, &state, now)).ok_or_else(gone)
}

fn find(state: &State, kind: ObjectKind, id: Uuid) -> Option<&Stored> {
    state.object(kind, id)
}

fn sees(who: &Administrator, object: &Object) -> bool {
    let scoped = Some((object.id(), object.tags()));
    who.authority.permits(PrivilegeType::View, target_of(object.kind()), scoped)
}

fn edits(who: &Administrator, object: &Object) -> bool {
    let scoped = Some((object.id(), object.tags()));
    who.authority.permits(PrivilegeType::Edit, target_of(object.kind()), scoped)
}

fn written(stored: &Stored, state: &State, now: UnixMillis) -> Written {
    Written { object: present(&stored.object, state, now), version: stored.version }
}

pub(in crate::administration) fn not_found(kind: ObjectKind, id: Uuid) -> Denial {
    Denial::NotFound(format!("there is no {kind} {id}"))
}

/// A body with what the vendor's tools write in another form.
pub(in crate::administration) fn prepared(body: Value, kind: ObjectKind, state: &State) -> Result<Body, Denial> {
    let mut body = Body::new(body).map_err(Denial::Invalid)?;
    if kind == ObjectKind::ClientProfile
        && body.field("identityProvider").is_none()
        && let Some(name) = body.field("identityProviderName").and_then(Value::as_str)
    {
        let provider = state.identity_provider_named(name).map(|provider| provider.base.id);
        let unknown = || Denial::field("identityProviderName", format!("there is no identity provider {name:?}"));
        let provider = provider.ok_or_else(unknown)?;
        body.set("identityProvider", provider.to_string().into());
    }
    Ok(body)
}

fn add_default_tags(body: &mut Body, who: &Administrator, kind: ObjectKind) {
    let defaults = who.authority.default_tags(target_of(kind));
    let mut tags = match body.field("tags") {
        None => Vec::new(),
        Some(Value::Array(tags)) => tags.clone(),
        Some(_) => return,
    };
    if !defaults.is_empty() {
        tags.extend(defaults.into_iter().map(Value::from));
        body.set("tags", tags.into());
    }
}

/// A new user has a password; one that is set must be good.
fn password_errors(
    kind: ObjectKind,
    password: Option<&String>,
    before: Option<&Object>,
    state: &State,
) -> Option<FieldError> {
    match (kind, password, before) {
        (ObjectKind::LocalUser, Some(password), _) => check_password(password, state.local_provider()),
        (ObjectKind::LocalUser, None, None) => {
            Some(FieldError { field: "password".to_owned(), message: "is missing".to_owned() })
        }
        _ => None,
    }
}

/// Whether two versions differ in nothing that a caller can set.
pub(in crate::administration) fn same(before: &Object, after: &Object) -> bool {
    let plain = |object: &Object| {
        let mut object = object.clone();
        object.stamp(UnixMillis::default(), UnixMillis::default());
        if let Object::Appliance(appliance) = &mut object {
            appliance.activated = false;
            appliance.state = Default::default();
        }
        object
    };
    plain(before) == plain(after)
}

fn refuse_if_called(state: &State, script: &str) -> Result<(), Denial> {
    let callers = state.policies().filter(|policy| granting::calls(state, &policy.expression, script));
    let callers: Vec<String> = callers.map(|policy| format!("Policy {:?}", policy.base.name)).take(20).collect();
    if callers.is_empty() {
        return Ok(());
    }
    Err(Denial::Conflict(format!("still in use by {}", callers.join(", "))))
}
