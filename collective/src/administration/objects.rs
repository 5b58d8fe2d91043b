//! Administered objects: list, read, create, replace, delete, and several together. One implementation for every kind.
//!
//! A replacement is proposed for the version that was checked, so that nothing is written over what nobody looked at.
//! Replacing an object by itself proposes nothing.

mod batch;
mod decision;
pub(in crate::administration) use batch::{after, complete};
pub(in crate::administration) use decision::{brings_secret, decide_again};
pub(crate) mod decode;
pub(crate) mod listing;
pub(crate) mod present;
mod provider_hosts;
pub(crate) mod provider_secrets;
pub(crate) mod provider_test;
pub(crate) mod validate;

use std::sync::Arc;

use ringwall_protocol::id::{LogIndex, UserId};
use ringwall_protocol::object::role::PrivilegeType;
use ringwall_protocol::object::{Object, ObjectKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::List;
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::local_password::{PasswordHash, SetLocalPassword};
use ringwall_raft::state::object::{Expected, PutObject, Stored};
use ringwall_raft::{Command, Outcome, State};
use ringwall_trust::password::{self, Cost};
use ringwall_trust::secret::SystemRandom;
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use self::decision::{Creation, decide_creation, decide_deletion, decide_replacement, settle_replacement};
use self::decode::Body;
use self::listing::{Habits, Wanted};
use self::present::present;
use super::access::authority::{Administrator, target_of};
use super::access::lasting;
use super::approvals::{self, carry_out};
use super::denial::Denial;
use super::repeat::Repeat;
use crate::administration::members::appliances::remove_appliance;
use crate::audit::event as trail;
use crate::identity::Providers;
use crate::identity::hashing::Lane;
use crate::replica::Replica;
use crate::replica::vault::Vault;

/// An object as it is now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// The object as the API presents it, without secrets.
    pub(crate) object: Value,
    /// Index of the log entry that wrote it last, for `ETag`.
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

    /// The object with this id, as the API presents it.
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
        let Creation { object, password, secrets } =
            decide_creation(who, kind, body, repeat, &self.providers.outbound)?;
        let (id, name) = (object.id(), object.name().to_owned());
        let put = PutObject { object, expected: Expected::Absent };
        let order = self.with_secrets(self.with_password(put, id, password).await?, id, &secrets);
        check_lasting(who, kind, &order)?;
        let outcome = self.write(who, order, repeat).await?;
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
        let asked = decide_replacement(who, (kind, id), body, expected, &self.providers.outbound)?;
        let password = match asked.password {
            Some(password) if self.is_password(&who.state, id, &password).await? => None,
            other => other,
        };
        let secrets = self.new_secrets(&who.state, id, asked.secrets)?;
        let secret = password.is_some() || !secrets.is_empty();
        let Some(put) = settle_replacement(who, asked.stored, asked.after, secret)? else {
            return Ok(written(asked.stored, &who.state, who.now));
        };
        let name = put.object.name().to_owned();
        let order = self.with_secrets(self.with_password(put, id, password).await?, id, &secrets);
        check_lasting(who, kind, &order)?;
        let outcome = self.write(who, order, repeat).await?;
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
        let (object, delete) = decide_deletion(who, (kind, id), expected)?;
        check_lasting(who, kind, &delete.clone().into())?;
        let outcome = match object {
            Object::Appliance(appliance) => remove_appliance(&self.replica, who, appliance, delete, repeat).await?,
            Object::IdentityProvider(_) | Object::MfaProvider(_) => {
                self.write(who, provider_secrets::with_removal(delete), repeat).await?
            }
            _ => self.write(who, delete.into(), repeat).await?,
        };
        trail::changed(who, "entity_deleted", kind.collection(), &id.to_string(), object.name(), outcome.index);
        Ok(())
    }

    /// Writes what was decided; what gives somebody the authority to approve waits for approval itself (T65).
    async fn write(&self, who: &Administrator, order: Command, repeat: &Repeat) -> Result<Outcome, Denial> {
        match approvals::hands_on_approval(who, &order) {
            true => carry_out(&self.replica, who, ProtectedOrder::HandOnAuthority(order), repeat).await,
            false => repeat.propose(&self.replica, order).await,
        }
    }

    /// The change, with the password's hash in the same entry.
    async fn with_password(
        &self,
        put: PutObject,
        id: Uuid,
        password: Option<Zeroizing<String>>,
    ) -> Result<Command, Denial> {
        let Some(password) = password else { return Ok(put.into()) };
        let hash = self
            .providers
            .hashing
            .run(Lane::Known, move || password::hash(&password, Cost::PASSWORD, &SystemRandom))
            .await?;
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
        Ok(self.providers.hashing.run(Lane::Known, move || password::verify(&password, &known)).await?)
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

/// Nobody takes the last administrator's authority away (T61).
fn check_lasting(who: &Administrator, kind: ObjectKind, order: &Command) -> Result<(), Denial> {
    if lasting::concerns(kind) { lasting::check(who, order) } else { Ok(()) }
}

fn find(state: &State, kind: ObjectKind, id: Uuid) -> Option<&Stored> {
    state.object(kind, id)
}

fn sees(who: &Administrator, object: &Object) -> bool {
    let scoped = Some((object.id(), object.tags()));
    who.authority.permits(PrivilegeType::View, target_of(object.kind()), scoped)
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
        let unknown =
            || Denial::contradiction("identityProviderName", format!("there is no identity provider {name:?}"));
        let provider = provider.ok_or_else(unknown)?;
        body.set("identityProvider", provider.to_string().into());
    }
    Ok(body)
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
