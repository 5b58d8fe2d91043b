//! Administered objects: written and deleted as a whole, by id, with unique names and living references.
//!
//! What a change means for live sessions is decided in `consequence`; what refers to what in `reference`; which
//! values are allowed in [`check`]; several together in [`batch`].

pub mod batch;
pub mod check;
pub(crate) mod consequence;
pub mod reference;

use ringwall_protocol::entitlement::Entitlement;
use ringwall_protocol::id::{
    ApplianceId, ConditionId, CriteriaScriptId, EntitlementId, IpPoolId, LogIndex, MfaProviderId, PolicyId, ProfileId,
    ProviderId, RoleId, SiteId, UserId,
};
use ringwall_protocol::object::{
    AdministrativeRole, Appliance, ClientProfile, IdentityProvider, IpPool, LocalUser, MfaProvider, Object, ObjectKind,
    Site,
};
use ringwall_protocol::policy::{Condition, CriteriaScript, Policy};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::map::Map;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Most objects of one kind: ten times what the largest installation is known to have.
pub(crate) const MAX_OBJECTS_OF_A_KIND: usize = 200_000;

/// An object and when it last changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// It.
    pub object: Object,
    /// Index of the entry that wrote it.
    pub version: LogIndex,
}

/// All administered objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Objects {
    by_id: Map<(ObjectKind, Uuid), Stored>,
    by_name: Map<(ObjectKind, String), Uuid>,
}

/// Writes an object, new or in place of the former one with its id.
///
/// Times, and an appliance's `activated` and `state`, are the system's: what comes is disregarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutObject {
    /// The whole object.
    pub object: Object,
    /// Whether it must exist, must not, or be at a version.
    #[serde(default)]
    pub expected: Expected,
}

/// What a writer believes of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expected {
    /// Nothing.
    #[default]
    Anything,
    /// It does not exist.
    Absent,
    /// It exists.
    Present,
    /// It exists at this version.
    Version(LogIndex),
}

/// Deletes an object that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteObject {
    /// Kind.
    pub kind: ObjectKind,
    /// Id of the object.
    pub id: Uuid,
    /// Whether it must be at a version.
    #[serde(default)]
    pub expected: Expected,
}

impl Objects {
    /// The object with this id.
    #[must_use]
    pub(crate) fn find(&self, kind: ObjectKind, id: Uuid) -> Option<&Stored> {
        self.by_id.find(&(kind, id))
    }

    /// The object with this name.
    #[must_use]
    pub fn named(&self, kind: ObjectKind, name: &str) -> Option<&Stored> {
        let id = self.by_name.find(&(kind, name.to_owned()))?;
        self.find(kind, *id)
    }

    /// All of a kind, in order of their ids.
    pub fn of_kind(&self, kind: ObjectKind) -> impl DoubleEndedIterator<Item = &Stored> {
        self.by_id.range((kind, Uuid::nil())..=(kind, Uuid::max())).map(|(_, stored)| stored)
    }

    /// All.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Stored> {
        self.by_id.values()
    }

    pub(crate) fn amend(&mut self, kind: ObjectKind, id: Uuid, version: LogIndex, change: impl FnOnce(&mut Object)) {
        if let Some(stored) = self.by_id.find_mut(&(kind, id)) {
            change(&mut stored.object);
            stored.version = version;
        }
    }

    fn write(&mut self, stored: Stored) {
        let (kind, id) = (stored.object.kind(), stored.object.id());
        if let Some(former) = self.by_id.find(&(kind, id)).map(|former| former.object.name().to_owned()) {
            self.by_name.remove(&(kind, former));
        }
        self.by_name.insert((kind, stored.object.name().to_owned()), id);
        self.by_id.insert((kind, id), stored);
    }

    fn erase(&mut self, kind: ObjectKind, id: Uuid) {
        if let Some(former) = self.by_id.remove(&(kind, id)) {
            self.by_name.remove(&(kind, former.object.name().to_owned()));
        }
    }
}

impl PutObject {
    /// Writes whatever stands there.
    #[must_use]
    pub fn new(object: impl Into<Object>) -> Self {
        Self { object: object.into(), expected: Expected::Anything }
    }

    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let (kind, id) = (self.object.kind(), self.object.id());
        let before = step.state.objects.find(kind, id).cloned();
        self.expected.check(kind, id, before.as_ref())?;
        let name = self.object.name();
        if let Some(holder) = step.state.objects.named(kind, name).map(|holder| holder.object.id())
            && holder != id
        {
            return Err(Rejection::NameTaken { kind, name: name.to_owned(), holder });
        }
        if before.is_none() && step.state.objects.of_kind(kind).count() >= MAX_OBJECTS_OF_A_KIND {
            return Err(Rejection::too_many("objects of a kind", MAX_OBJECTS_OF_A_KIND));
        }
        check::object(&self.object, before.as_ref().map(|stored| &stored.object), step.state)?;
        reference::check(&self.object, step.state)?;
        let mut object = self.object.clone();
        let created = before.as_ref().map_or(step.now, |stored| check::created(&stored.object));
        object.stamp(created, step.now);
        check::keep_system_fields(&mut object, before.as_ref().map(|stored| &stored.object));
        if let Object::ClientProfile(profile) = &mut object {
            step.settle_generation(profile)?;
        }
        let version = step.index;
        step.state.objects.write(Stored { object: object.clone(), version });
        let before = before.map(|stored| stored.object);
        let revocation = consequence::of_change(step, before.as_ref(), Some(&object))?;
        Ok(Reply::Changed { version, revocation })
    }
}

impl DeleteObject {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let Some(before) = step.state.objects.find(self.kind, self.id).cloned() else {
            return Err(Rejection::not_found(self.kind.collection(), self.id));
        };
        self.expected.check(self.kind, self.id, Some(&before))?;
        let by = reference::referrers(step.state, self.kind, self.id);
        if !by.is_empty() {
            return Err(Rejection::Referenced { by });
        }
        check::deletion(&before.object, step.state)?;
        step.state.objects.erase(self.kind, self.id);
        step.state.applied.remove(&(self.kind, self.id));
        let revocation = consequence::of_change(step, Some(&before.object), None)?;
        Ok(Reply::Changed { version: step.index, revocation })
    }
}

impl Expected {
    fn check(self, kind: ObjectKind, id: Uuid, stored: Option<&Stored>) -> Result<(), Rejection> {
        match (self, stored) {
            (Self::Anything, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(Rejection::exists(kind.collection(), id)),
            (Self::Version(expected), Some(stored)) if expected == stored.version => Ok(()),
            (Self::Version(expected), Some(stored)) => Err(Rejection::Stale { expected, actual: stored.version }),
            (Self::Present | Self::Version(_), None) => Err(Rejection::not_found(kind.collection(), id)),
        }
    }
}

macro_rules! accessors {
    ($($one:ident $all:ident $type:ident $id:ty;)*) => {
        impl State {
            $(
                #[doc = concat!("The ", stringify!($type), " with this id.")]
                #[must_use]
                pub fn $one(&self, id: $id) -> Option<&$type> {
                    match &self.objects.find(ObjectKind::$type, id.uuid())?.object {
                        Object::$type(object) => Some(object),
                        _ => None,
                    }
                }
                #[doc = concat!("Every ", stringify!($type), ", in order of ids.")]
                pub fn $all(&self) -> impl DoubleEndedIterator<Item = &$type> {
                    self.objects.of_kind(ObjectKind::$type).filter_map(|stored| match &stored.object {
                        Object::$type(object) => Some(object),
                        _ => None,
                    })
                }
            )*
        }
    };
}

accessors! {
    site sites Site SiteId;
    appliance appliances Appliance ApplianceId;
    entitlement entitlements Entitlement EntitlementId;
    condition conditions Condition ConditionId;
    criteria_script criteria_scripts CriteriaScript CriteriaScriptId;
    policy policies Policy PolicyId;
    identity_provider identity_providers IdentityProvider ProviderId;
    mfa_provider mfa_providers MfaProvider MfaProviderId;
    local_user local_users LocalUser UserId;
    ip_pool ip_pools IpPool IpPoolId;
    client_profile client_profiles ClientProfile ProfileId;
    administrative_role administrative_roles AdministrativeRole RoleId;
}
