//! Whether an administrator may create, replace or delete an object as he asks, and what that changes. Pure: from his
//! privileges, the state in which they were checked, and the request. Hashing, secrets and the log are left to the caller.

use std::sync::Arc;

use ringwall_protocol::id::LogIndex;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::{Object, ObjectKind};
use ringwall_protocol::wire::admin::FieldError;
use ringwall_raft::state::object::batch::ApplyObjects;
use ringwall_raft::state::object::{DeleteObject, Expected, PutObject, Stored, reference};
use ringwall_raft::{Command, State};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::batch::after;
use super::decode::{Body, Secrets};
use super::provider_hosts::forbidden_hosts;
use super::validate::{check_password, validate};
use super::{find, not_found, prepared, provider_secrets, same, sees};
use crate::administration::access::authority::{Administrator, target_of};
use crate::administration::access::granting::{self, Change};
use crate::administration::denial::Denial;
use crate::administration::repeat::Repeat;
use crate::identity::outbound::Outbound;

/// An object about to be created.
pub(super) struct Creation {
    /// The object as it is to be stored.
    pub(super) object: Object,
    /// Password of a new local user.
    pub(super) password: Option<Zeroizing<String>>,
    /// Secrets of a new provider.
    pub(super) secrets: Secrets,
}

/// An object about to be replaced.
pub(super) struct Replacement<'a> {
    /// As it is.
    pub(super) stored: &'a Stored,
    /// As it will be.
    pub(super) after: Object,
    /// Password that came with it; perhaps the one that the user has.
    pub(super) password: Option<Zeroizing<String>>,
    /// Secrets that came with it; perhaps those that are known.
    pub(super) secrets: Secrets,
}

/// Whether an object may be created.
///
/// # Errors
/// `Invalid` field by field, `Forbidden`.
pub(super) fn decide_creation(
    who: &Administrator,
    kind: ObjectKind,
    body: Value,
    repeat: &Repeat,
    outbound: &Outbound,
) -> Result<Creation, Denial> {
    who.authority.require_some(PrivilegeType::Create, target_of(kind))?;
    let now = who.now;
    let mut body = prepared(body, kind, &who.state)?;
    let id = body.id().map_err(Denial::Invalid)?.unwrap_or_else(|| repeat.new_id(now.0));
    add_default_tags(&mut body, who, kind);
    let password = body.take_password();
    let given = body.take_secrets();
    let object = body.into_object(kind, id).map_err(Denial::Invalid)?;
    who.authority.require(PrivilegeType::Create, target_of(kind), Some((id, object.tags())))?;
    check_site_references(who, None, &object)?;
    let mut faults = validate(&object, None, &who.state);
    faults.contradictions(password_errors(kind, password.as_deref(), None, &who.state));
    faults.contradictions(forbidden_hosts(outbound, &object));
    faults.contradictions(provider_secrets::errors(&object, None, &given, &who.state));
    faults.judge()?;
    let secret = password.is_some() || !given.is_empty();
    let change = Change { before: None, after: Some(&object), password: secret };
    granting::check(&who.authority, &who.state, change, now)?;
    Ok(Creation { object, password, secrets: given })
}

/// Whether an object may be replaced. What of its secrets is new is for [`settle_replacement`].
///
/// # Errors
/// `NotFound`, `Invalid` field by field, `Forbidden`; `Conflict` if it is not at `expected`.
pub(super) fn decide_replacement<'a>(
    who: &'a Administrator,
    (kind, id): (ObjectKind, Uuid),
    body: Value,
    expected: Option<LogIndex>,
    outbound: &Outbound,
) -> Result<Replacement<'a>, Denial> {
    let target = target_of(kind);
    who.authority.require_some(PrivilegeType::Edit, target)?;
    let stored = find(&who.state, kind, id).filter(|stored| sees(who, &stored.object) || edits(who, &stored.object));
    let stored = stored.ok_or_else(|| not_found(kind, id))?;
    let before = &stored.object;
    let mut body = prepared(body, kind, &who.state)?;
    if body.id().map_err(Denial::Invalid)?.is_some_and(|sent| sent != id) {
        return Err(Denial::contradiction("id", "is another one than the path's; ids never change"));
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
    check_site_references(who, Some(before), &after)?;
    let mut faults = validate(&after, Some(before), &who.state);
    faults.contradictions(password_errors(kind, password.as_deref(), Some(before), &who.state));
    faults.contradictions(forbidden_hosts(outbound, &after));
    faults.contradictions(provider_secrets::errors(&after, Some(before), &given, &who.state));
    faults.judge()?;
    if let Some(expected) = expected.filter(|expected| *expected != stored.version) {
        return Err(Denial::Conflict(format!("expected version {expected}, it is at {}", stored.version)));
    }
    Ok(Replacement { stored, after, password, secrets: given })
}

/// The change that a replacement comes to; `None` if nothing differs. `secret`: a password or secret is new.
///
/// # Errors
/// `Conflict` for a script that is called by its former name; `Forbidden` for what would hand on too much.
pub(super) fn settle_replacement(
    who: &Administrator,
    stored: &Stored,
    after: Object,
    secret: bool,
) -> Result<Option<PutObject>, Denial> {
    let before = &stored.object;
    if !secret && same(before, &after) {
        return Ok(None);
    }
    if let (Object::CriteriaScript(script), true) = (before, before.name() != after.name()) {
        refuse_if_called(&who.state, &script.base.name)?;
    }
    let change = Change { before: Some(before), after: Some(&after), password: secret };
    granting::check(&who.authority, &who.state, change, who.now)?;
    Ok(Some(PutObject { object: after, expected: Expected::Version(stored.version) }))
}

/// Whether an object may be deleted.
///
/// # Errors
/// `NotFound`, `Forbidden`; `Conflict` for what is in use, or belongs to every Collective, or is the caller himself.
pub(super) fn decide_deletion(
    who: &Administrator,
    (kind, id): (ObjectKind, Uuid),
    expected: Option<LogIndex>,
) -> Result<(&Object, DeleteObject), Denial> {
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
    Ok((object, delete))
}

/// Whether an administrator may have objects written that another one has decided to write. What the state itself refuses
/// (names, references, versions) is left to it.
///
/// # Errors
/// `Forbidden`; `Invalid` field by field; as [`decide_deletion`].
pub(in crate::administration) fn decide_again(who: &Administrator, command: &Command) -> Result<(), Denial> {
    let parts = match command {
        Command::Group(parts) => parts.as_slice(),
        Command::ApplyObjects(batch) => return decide_batch_again(who, &batch.parts),
        single => std::slice::from_ref(single),
    };
    let secret = parts.iter().any(|part| matches!(part, Command::SetLocalPassword(_) | Command::PutSecret(_)));
    parts.iter().try_for_each(|part| decide_part_again(who, part, secret))
}

/// The parts of a batch refer to each other: each is decided in the state that those before it lead to.
fn decide_batch_again(who: &Administrator, parts: &[Command]) -> Result<(), Denial> {
    let mut who = who.clone();
    for part in parts {
        let secret = matches!(part, Command::PutObject(put) if brings_secret(parts, put.object.id()));
        decide_part_again(&who, part, secret)?;
        who.state = Arc::new(after(&who, ApplyObjects { parts: vec![part.clone()] })?);
    }
    Ok(())
}

/// Whether parts of a batch bring a password of this user, or a secret of this provider: with every new secret the sessions
/// that the former ones opened end.
#[must_use]
pub(in crate::administration) fn brings_secret(parts: &[Command], id: Uuid) -> bool {
    parts.iter().any(|part| match part {
        Command::SetLocalPassword(set) => set.user.uuid() == id,
        Command::EndAdminSessionsOf(ends) => ends.provider == id,
        _ => false,
    })
}

fn decide_part_again(who: &Administrator, part: &Command, secret: bool) -> Result<(), Denial> {
    match part {
        Command::PutObject(put) => decide_put_again(who, &put.object, secret),
        Command::DeleteObject(delete) => decide_deletion(who, (delete.kind, delete.id), None).map(|_| ()),
        _ => Ok(()),
    }
}

fn decide_put_again(who: &Administrator, after: &Object, secret: bool) -> Result<(), Denial> {
    let (id, target) = (after.id(), target_of(after.kind()));
    let before = find(&who.state, after.kind(), id).map(|stored| &stored.object);
    let action = if before.is_some() { PrivilegeType::Edit } else { PrivilegeType::Create };
    for object in before.into_iter().chain([after]) {
        who.authority.require(action, target, Some((id, object.tags())))?;
    }
    if let Some(before) = before.filter(|before| before.tags() != after.tags()) {
        who.authority.require(PrivilegeType::Tag, target, Some((id, before.tags())))?;
    }
    check_site_references(who, before, after)?;
    validate(after, before, &who.state).judge()?;
    let change = Change { before, after: Some(after), password: secret };
    granting::check(&who.authority, &who.state, change, who.now)
}

/// Whoever names a Site must hold something on that Site too: a Gateway gets all that its Site's Gateways have, so that it
/// wants `Edit`; what only leads there wants `View` (T66). Sites that the object named before are not asked about again.
fn check_site_references(who: &Administrator, before: Option<&Object>, after: &Object) -> Result<(), Denial> {
    let named = |object: &Object| -> Vec<Uuid> {
        let references = reference::of(object).into_iter().filter(|reference| reference.kind == ObjectKind::Site);
        references.map(|reference| reference.id).collect()
    };
    let action = match after {
        Object::Appliance(_) => PrivilegeType::Edit,
        Object::Entitlement(_) | Object::Policy(_) => PrivilegeType::View,
        _ => return Ok(()),
    };
    let known = before.map(named).unwrap_or_default();
    for site in named(after).into_iter().filter(|site| !known.contains(site)) {
        // One that does not exist is refused by its field.
        if let Some(stored) = find(&who.state, ObjectKind::Site, site) {
            let target = PrivilegeTarget::Site;
            who.authority.require(action, target, Some((site, stored.object.tags()))).map_err(|_| {
                let name = stored.object.name();
                Denial::Forbidden(format!(
                    "the privilege {action:?} on Site is missing for {name:?}, to which this refers"
                ))
            })?;
        }
    }
    Ok(())
}

fn edits(who: &Administrator, object: &Object) -> bool {
    let scoped = Some((object.id(), object.tags()));
    who.authority.permits(PrivilegeType::Edit, target_of(object.kind()), scoped)
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

fn refuse_if_called(state: &State, script: &str) -> Result<(), Denial> {
    let callers = state.policies().filter(|policy| granting::calls(state, &policy.expression, script));
    let callers: Vec<String> = callers.map(|policy| format!("Policy {:?}", policy.base.name)).take(20).collect();
    if callers.is_empty() {
        return Ok(());
    }
    Err(Denial::Conflict(format!("still in use by {}", callers.join(", "))))
}
