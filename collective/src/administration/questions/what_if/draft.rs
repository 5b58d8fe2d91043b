//! A draft applied to a copy of the state: decoded, checked and written exactly as the admin API would, and never
//! proposed. Pure but for ids that the caller left out.

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{CommandId, LogIndex};
use ringwall_protocol::object::role::PrivilegeType;
use ringwall_protocol::object::{Object, ObjectKind};
use ringwall_protocol::revocation::Revocation;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::what_if::{Draft, DraftChange, DraftObject, DraftOutcome, MAX_DRAFT};
use ringwall_raft::state::apply;
use ringwall_raft::state::object::{DeleteObject, Expected, PutObject};
use ringwall_raft::{Command, CommandEnvelope, State};
use uuid::Uuid;

use crate::administration::access::authority::{Administrator, target_of};
use crate::administration::access::granting::{self, Change};
use crate::administration::denial::Denial;
use crate::administration::objects::validate::validate;
use crate::administration::objects::{complete, not_found, prepared, same};

/// A state as it would be, and how it came to be.
pub(in crate::administration) struct Drafted {
    /// The state after the draft.
    pub(in crate::administration) state: State,
    /// Object by object.
    pub(super) changes: Vec<DraftChange>,
    /// Revocations that come with the changes.
    pub(super) revocations: Vec<Revocation>,
}

impl Drafted {
    /// Applies `draft` to the state that the administrator's request was checked in.
    ///
    /// # Errors
    /// As the changes themselves; fields are named as `objects[n].field`.
    pub(in crate::administration) fn new(who: &Administrator, draft: &Draft, now: UnixMillis) -> Result<Self, Denial> {
        if draft.objects.len() + draft.deletions.len() > MAX_DRAFT {
            return Err(Denial::contradiction("objects", format!("are at most {MAX_DRAFT}, deletions included")));
        }
        let mut drafted = Self { state: State::clone(&who.state), changes: Vec::new(), revocations: Vec::new() };
        for (at, one) in draft.objects.iter().enumerate() {
            let name = one.object["name"].as_str().unwrap_or_default();
            drafted.write(who, one, now).map_err(|denial| denial.placed(&format!("objects[{at}]"), name))?;
        }
        for (at, one) in draft.deletions.iter().enumerate() {
            let deleted = drafted.delete(who, one.kind, one.id, now);
            deleted.map_err(|denial| denial.placed(&format!("deletions[{at}]"), ""))?;
        }
        Ok(drafted)
    }

    fn write(&mut self, who: &Administrator, one: &DraftObject, now: UnixMillis) -> Result<(), Denial> {
        let (kind, target) = (one.kind, target_of(one.kind));
        let mut sent = one.object.clone();
        complete(&mut sent, &who.authority, &self.state, kind);
        let mut body = prepared(sent, kind, &self.state)?;
        let id = body.id().map_err(Denial::Invalid)?.unwrap_or_else(Uuid::new_v4);
        let before = self.state.object(kind, id).map(|stored| stored.object.clone());
        // Passwords and secrets are nothing that policies look at; the order itself checks them.
        drop((body.take_password(), body.take_secrets()));
        let after = body.into_object(kind, id).map_err(Denial::Invalid)?;
        let action = if before.is_some() { PrivilegeType::Edit } else { PrivilegeType::Create };
        for object in before.iter().chain([&after]) {
            who.authority.require(action, target, Some((id, object.tags())))?;
        }
        validate(&after, before.as_ref(), &self.state).judge()?;
        let change = DraftChange { kind, id, name: after.name().to_owned(), what: DraftOutcome::Unchanged };
        if before.as_ref().is_some_and(|before| same(before, &after)) {
            self.changes.push(change);
            return Ok(());
        }
        let granted = Change { before: before.as_ref(), after: Some(&after), password: false };
        granting::check(&who.authority, &self.state, granted, now)?;
        let what = if before.is_some() { DraftOutcome::Changed } else { DraftOutcome::Created };
        self.apply(PutObject { object: after, expected: Expected::Anything }, now)?;
        self.changes.push(DraftChange { what, ..change });
        Ok(())
    }

    fn delete(&mut self, who: &Administrator, kind: ObjectKind, id: Uuid, now: UnixMillis) -> Result<(), Denial> {
        let before: Option<Object> = self.state.object(kind, id).map(|stored| stored.object.clone());
        let before = before.ok_or_else(|| not_found(kind, id))?;
        who.authority.require(PrivilegeType::Delete, target_of(kind), Some((id, before.tags())))?;
        let change = Change { before: Some(&before), after: None, password: false };
        granting::check(&who.authority, &self.state, change, now)?;
        self.apply(DeleteObject { kind, id, expected: Expected::Present }, now)?;
        self.changes.push(DraftChange { kind, id, name: before.name().to_owned(), what: DraftOutcome::Deleted });
        Ok(())
    }

    /// Carries out a command as the log would.
    fn apply(&mut self, command: impl Into<Command>, now: UnixMillis) -> Result<(), Denial> {
        let index = LogIndex(self.state.index().0 + 1);
        let node = self.state.controllers().next().map_or(ringwall_protocol::id::NodeId(0), |one| one.node);
        let envelope = CommandEnvelope::new(CommandId::new(Uuid::new_v4()), node, now, command.into());
        let transition = apply(&self.state, index, &envelope);
        transition.outcome.reply.accepted()?;
        self.state = transition.state;
        self.revocations.extend(transition.events.into_iter().filter_map(|scoped| match scoped.event {
            FeedEvent::RevocationAdded { revocation } => Some(revocation),
            _ => None,
        }));
        Ok(())
    }
}
