//! Objects written together, as `ringctl apply` sends its files: all of them in one log entry, or none.
//!
//! Each part is decided by the functions that decide it when it stands alone, in the state that the parts before it lead to,
//! and with the privileges that it wants there. What a plan showed is what is written: with the index of the plan's state,
//! an object that changed since refuses the whole request. A plan says nothing of passwords and secrets of known objects.

mod compare;

use std::collections::BTreeSet;
use std::sync::Arc;

use ringwall_protocol::id::{CommandId, LogIndex, NodeId, UserId};
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::{Object, ObjectKind};
use ringwall_protocol::wire::apply::{AppliedChange, ApplyAnswer, ApplyRequest, FieldChange};
use ringwall_protocol::wire::what_if::{DraftDeletion, DraftObject, DraftOutcome, MAX_DRAFT};
use ringwall_raft::state::apply;
use ringwall_raft::state::collective::ChangeSettings;
use ringwall_raft::state::local_password::{PasswordHash, SetLocalPassword};
use ringwall_raft::state::object::batch::{ApplyObjects, NoteApplied};
use ringwall_raft::state::object::{Expected, PutObject};
use ringwall_raft::{Command, CommandEnvelope, State};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use self::compare::{compare, digests, given_fields, secret_change};
use super::decision::{Creation, decide_creation, decide_deletion, decide_replacement, settle_replacement};
use super::decode::Secrets;
use super::present::plain;
use super::{Objects, provider_secrets};
use crate::administration::access::authority::{Administrator, Authority, target_of};
use crate::administration::access::lasting;
use crate::administration::denial::Denial;
use crate::administration::members::settings;
use crate::administration::repeat::Repeat;
use crate::audit::event as trail;
use crate::issuing::check;

/// Stands for the hash of a password in a plan; no password has it.
const PLANNED_HASH: &str = "$planned";

/// A batch in the making.
struct Batch {
    /// The caller, with the state as it is after the parts so far.
    who: Administrator,
    /// The state in which he was checked.
    start: Arc<State>,
    /// Index of the state that he has seen.
    base: Option<LogIndex>,
    /// Nothing of it is proposed.
    dry_run: bool,
    parts: Vec<Command>,
    settings: Vec<FieldChange>,
    changes: Vec<AppliedChange>,
}

impl Objects {
    /// Writes and deletes objects together, or tells what that would do. Files' objects are whole: what a body leaves out
    /// gets its default.
    ///
    /// # Errors
    /// As for each of the objects, with fields as `objects[n].field`; `Conflict` if something changed since `base`;
    /// `ApprovalWanted` for all of it if a part gives somebody the authority to approve.
    pub(crate) async fn apply_objects(
        &self,
        who: &Administrator,
        request: ApplyRequest,
        repeat: &Repeat,
    ) -> Result<ApplyAnswer, Denial> {
        let (dry_run, base) = (request.dry_run, who.state.index());
        if !dry_run && repeat.is_known(&who.state) {
            // Done before, under the same key: the entry is that of the first time.
            let index = repeat.propose(&self.replica, ApplyObjects { parts: Vec::new() }).await?.index;
            return Ok(ApplyAnswer { base, index: Some(index), ..ApplyAnswer::default() });
        }
        let Batch { parts, settings, changes, .. } = self.decide_batch(who, request, repeat).await?;
        let mut answer = ApplyAnswer { base, index: None, settings, changes };
        if parts.is_empty() {
            return Ok(answer);
        }
        let order = Command::from(ApplyObjects { parts });
        let changed = answer.changes.iter().filter(|change| change.what != DraftOutcome::Unchanged);
        if changed.map(|change| change.kind).any(lasting::concerns) {
            lasting::check(who, &order)?;
        }
        if !dry_run {
            let index = self.write(who, order, repeat).await?.index;
            record(who, &answer, index);
            self.make_owed_revocations().await;
            answer.index = Some(index);
        }
        Ok(answer)
    }

    async fn decide_batch(&self, who: &Administrator, request: ApplyRequest, repeat: &Repeat) -> Result<Batch, Denial> {
        let ApplyRequest { settings, objects, deletions, base, dry_run } = request;
        check_bounds(&objects, &deletions)?;
        let mut batch = Batch { dry_run, ..Batch::new(who, base) };
        if let Some(settings) = settings {
            batch.change_settings(settings).map_err(|denial| denial.placed("settings", ""))?;
        }
        for (at, one) in objects.into_iter().enumerate() {
            let name = one.object["name"].as_str().unwrap_or_default().to_owned();
            let written = self.write_one(&mut batch, one, &repeat.nth(at)).await;
            written.map_err(|denial| denial.placed(&format!("objects[{at}]"), &name))?;
        }
        for (at, DraftDeletion { kind, id }) in deletions.into_iter().enumerate() {
            batch.delete_one(kind, id).map_err(|denial| denial.placed(&format!("deletions[{at}]"), ""))?;
        }
        Ok(batch)
    }

    async fn write_one(&self, batch: &mut Batch, one: DraftObject, repeat: &Repeat) -> Result<(), Denial> {
        let DraftObject { kind, object } = one;
        match id_of(&object).filter(|id| batch.who.state.object(kind, *id).is_some()) {
            Some(id) => self.replace_one(batch, (kind, id), object).await,
            None => self.create_one(batch, kind, object, repeat).await,
        }
    }

    async fn create_one(
        &self,
        batch: &mut Batch,
        kind: ObjectKind,
        body: Value,
        repeat: &Repeat,
    ) -> Result<(), Denial> {
        let Creation { object, password, secrets } =
            decide_creation(&batch.who, kind, body, repeat, &self.providers.outbound)?;
        let (id, name) = (object.id(), object.name().to_owned());
        let put = PutObject { object, expected: Expected::Absent };
        let order = self.with_credentials(batch.dry_run, put, password, &secrets).await?;
        batch.take(order)?;
        batch.note(kind, id)?;
        batch.changes.push(AppliedChange { kind, id, name, what: DraftOutcome::Created, fields: Vec::new() });
        Ok(())
    }

    async fn replace_one(
        &self,
        batch: &mut Batch,
        (kind, id): (ObjectKind, Uuid),
        mut body: Value,
    ) -> Result<(), Denial> {
        let who = batch.who.clone();
        let given = given_fields(&body);
        complete(&mut body, &who.authority, &who.state, kind);
        let asked = decide_replacement(&who, (kind, id), body, None, &self.providers.outbound)?;
        batch.check_base(kind, id)?;
        // A plan that told whether a password is right would let its caller guess without a trace: whoever guesses wrongly
        // otherwise has changed it.
        let (password, secrets) = match (batch.dry_run, asked.password) {
            (true, _) => (None, Secrets::new()),
            (false, Some(password)) if self.is_password(&who.state, id, &password).await? => {
                (None, self.new_secrets(&who.state, id, asked.secrets)?)
            }
            (false, password) => (password, self.new_secrets(&who.state, id, asked.secrets)?),
        };
        let applied = who.state.applied_fields(kind, id);
        let mut fields = compare(&plain(&asked.stored.object), &plain(&asked.after), &given, applied);
        fields.extend(password.iter().map(|_| secret_change("password")));
        fields.extend(secrets.keys().map(|field| secret_change(field)));
        let name = asked.after.name().to_owned();
        let secret = password.is_some() || !secrets.is_empty();
        let put = settle_replacement(&who, asked.stored, asked.after, secret)?;
        let what = if put.is_some() { DraftOutcome::Changed } else { DraftOutcome::Unchanged };
        if let Some(put) = put {
            let put = PutObject { expected: batch.expected(kind, id), ..put };
            let order = self.with_credentials(batch.dry_run, put, password, &secrets).await?;
            batch.take(order)?;
        }
        batch.note(kind, id)?;
        batch.changes.push(AppliedChange { kind, id, name, what, fields });
        Ok(())
    }

    /// An object with its password and secrets. A plan's password is not hashed: that takes time, and it is written nowhere.
    async fn with_credentials(
        &self,
        dry_run: bool,
        put: PutObject,
        password: Option<Zeroizing<String>>,
        secrets: &Secrets,
    ) -> Result<Command, Denial> {
        let id = put.object.id();
        let order = match password {
            Some(_) if dry_run => {
                let set = SetLocalPassword {
                    user: UserId::new(id),
                    hash: PasswordHash::new(PLANNED_HASH),
                    must_change: false,
                };
                Command::Group(vec![put.into(), set.into()])
            }
            password => self.with_password(put, id, password).await?,
        };
        Ok(self.with_secrets(order, id, secrets))
    }

    /// Makes the revocations that batches owe. What fails here is left to the leader, who looks twice a second.
    async fn make_owed_revocations(&self) {
        let Ok(state) = self.replica.current().await else { return };
        for owed in state.revocations_owed() {
            if let Err(refusal) = self.replica.change(owed).await {
                tracing::warn!(%refusal, "a revocation of a batch is left to the leader");
                return;
            }
        }
    }
}

impl Batch {
    fn new(who: &Administrator, base: Option<LogIndex>) -> Self {
        let (who, start) = (who.clone(), Arc::clone(&who.state));
        Self { who, start, base, dry_run: false, parts: Vec::new(), settings: Vec::new(), changes: Vec::new() }
    }

    fn change_settings(&mut self, body: Value) -> Result<(), Denial> {
        self.who.authority.require(PrivilegeType::Edit, PrivilegeTarget::GlobalSetting, None)?;
        let given = given_fields(&body);
        let after = settings::read_whole(body)?;
        let before = self.who.state.settings();
        if *before == after {
            return Ok(());
        }
        if before.dual_control != after.dual_control {
            let message = "is not changed together with anything else: change it by PUT /global-settings";
            return Err(Denial::contradiction("dualControl", message));
        }
        let version = check::collective(&self.start)?.settings_version;
        if self.base.is_some_and(|base| version > base) {
            return Err(changed_since("the settings"));
        }
        let values = [before, &after].map(|settings| serde_json::to_value(settings).unwrap_or_default());
        self.settings = compare(&values[0], &values[1], &given, None);
        self.take(ChangeSettings { settings: after, expected_version: Some(version) })
    }

    fn delete_one(&mut self, kind: ObjectKind, id: Uuid) -> Result<(), Denial> {
        let who = self.who.clone();
        let (object, delete) = decide_deletion(&who, (kind, id), None)?;
        self.check_base(kind, id)?;
        let name = object.name().to_owned();
        match object {
            Object::IdentityProvider(_) | Object::MfaProvider(_) => {
                self.take(provider_secrets::with_removal(delete))?
            }
            _ => self.take(delete)?,
        }
        self.changes.push(AppliedChange { kind, id, name, what: DraftOutcome::Deleted, fields: Vec::new() });
        Ok(())
    }

    /// Adds an order, and goes on from what it leads to.
    fn take(&mut self, order: impl Into<Command>) -> Result<(), Denial> {
        let parts = match order.into() {
            Command::Group(parts) => parts,
            single => vec![single],
        };
        self.who.state = Arc::new(after(&self.who, ApplyObjects { parts: parts.clone() })?);
        self.parts.extend(parts);
        Ok(())
    }

    /// Notes how the object is left, unless that is known.
    fn note(&mut self, kind: ObjectKind, id: Uuid) -> Result<(), Denial> {
        let Some(stored) = self.who.state.object(kind, id) else { return Ok(()) };
        let fields = digests(&plain(&stored.object));
        if self.who.state.applied_fields(kind, id) == Some(&fields) {
            return Ok(());
        }
        self.take(NoteApplied { kind, id, fields })
    }

    fn check_base(&self, kind: ObjectKind, id: Uuid) -> Result<(), Denial> {
        let version = self.start.object(kind, id).map(|stored| stored.version);
        match (version, self.base) {
            (Some(version), Some(base)) if version > base => Err(changed_since("it")),
            _ => Ok(()),
        }
    }

    /// What the log is to find of an object: the version that was looked at, unless a part of this batch writes it, too.
    fn expected(&self, kind: ObjectKind, id: Uuid) -> Expected {
        let version = |state: &State| state.object(kind, id).map(|stored| stored.version);
        match version(&self.start) {
            Some(known) if version(&self.who.state) == Some(known) => Expected::Version(known),
            _ => Expected::Present,
        }
    }
}

/// The state after a command, for deciding what comes after it; nothing is proposed.
///
/// # Errors
/// The command's refusal.
pub(in crate::administration) fn after(who: &Administrator, command: impl Into<Command>) -> Result<State, Denial> {
    let index = LogIndex(who.state.index().0 + 1);
    let envelope = CommandEnvelope::new(CommandId::new(Uuid::new_v4()), NodeId(0), who.now, command.into());
    let transition = apply(&who.state, index, &envelope);
    transition.outcome.reply.accepted()?;
    Ok(transition.state)
}

/// Writes into a body what a replacement keeps although a file does not name it: tags that the caller's objects always
/// have, and the generation that rotations of a profile's key have come to. A body of a new object stays as it is.
pub(in crate::administration) fn complete(body: &mut Value, authority: &Authority, state: &State, kind: ObjectKind) {
    let stored = id_of(body).and_then(|id| state.object(kind, id));
    let (Some(stored), Some(fields)) = (stored, body.as_object_mut()) else { return };
    let tags = authority.default_tags(target_of(kind));
    let known = fields.get("tags").filter(|tags| !tags.is_null()).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    if let (false, Value::Array(mut all)) = (tags.is_empty(), known) {
        all.extend(tags.into_iter().map(Value::from));
        fields.insert("tags".to_owned(), all.into());
    }
    if let Object::ClientProfile(profile) = &stored.object
        && fields.get("keyGeneration").is_none_or(Value::is_null)
    {
        fields.insert("keyGeneration".to_owned(), profile.key_generation.into());
    }
}

fn id_of(body: &Value) -> Option<Uuid> {
    body["id"].as_str()?.parse().ok()
}

/// Not too many, and none twice: the second would undo the first.
fn check_bounds(objects: &[DraftObject], deletions: &[DraftDeletion]) -> Result<(), Denial> {
    if objects.len() + deletions.len() > MAX_DRAFT {
        return Err(Denial::contradiction("objects", format!("are at most {MAX_DRAFT}, deletions included")));
    }
    let mut seen = BTreeSet::new();
    let written =
        objects.iter().enumerate().filter_map(|(at, one)| Some(("objects", at, one.kind, id_of(&one.object)?)));
    let deleted = deletions.iter().enumerate().map(|(at, one)| ("deletions", at, one.kind, one.id));
    match written.chain(deleted).find(|(_, _, kind, id)| !seen.insert((*kind, *id))) {
        None => Ok(()),
        Some((list, at, kind, id)) => {
            let message = format!("names the {kind} {id} a second time");
            Err(Denial::contradiction(format!("{list}[{at}].id"), message))
        }
    }
}

fn changed_since(what: &str) -> Denial {
    Denial::Conflict(format!("{what} changed after the plan was made; nothing is written: look at the plan again"))
}

/// One audit event for each object that was written or deleted, and for the settings.
fn record(who: &Administrator, answer: &ApplyAnswer, index: LogIndex) {
    if !answer.settings.is_empty() {
        trail::changed(who, "entity_updated", "global-settings", "global-settings", "global settings", index);
    }
    for change in &answer.changes {
        let kind = match change.what {
            DraftOutcome::Created => "entity_created",
            DraftOutcome::Changed => "entity_updated",
            DraftOutcome::Deleted => "entity_deleted",
            DraftOutcome::Unchanged => continue,
        };
        trail::changed(who, kind, change.kind.collection(), &change.id.to_string(), &change.name, index);
    }
}

#[cfg(test)]
mod tests;
