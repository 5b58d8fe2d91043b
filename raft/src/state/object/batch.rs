//! Objects, settings and secrets written together: all of a batch, or none of it.
//!
//! A batch is what `ringctl apply` sends for its files. Unlike a [`Command::Group`] it may change what concerns different
//! people: one entry makes one revocation, and the others are kept as owed in the same entry, so that none is forgotten
//! whoever leads next ([`RevokeOwed`]).

use std::collections::BTreeMap;

use ringwall_protocol::id::LogIndex;
use ringwall_protocol::object::ObjectKind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::state::State;
use crate::state::command::Command;
use crate::state::rejection::Rejection;
use crate::state::reply::Reply;
use crate::state::revocation::Revoke;
use crate::state::step::{Cutoff, Step};

/// Most parts of a batch: 2,000 objects, each with a secret and a note.
pub const MAX_PARTS: usize = 10_000;
/// Longest batch, in bytes of its encoding: a quarter of what peers take in one message.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Most fields that a note names, and the longest name of one, in bytes: twice what the largest kind has.
const MAX_FIELDS: usize = 64;
const MAX_FIELD_NAME: usize = 64;

/// Writes and deletes objects together. Parts are applied in order; one that is refused undoes those before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplyObjects {
    /// At most [`MAX_PARTS`], and [`MAX_BYTES`] encoded; objects, their secrets and notes, and the settings.
    pub parts: Vec<Command>,
}

/// Tells whether a field is as it was: the first 8 bytes of a hash of its value, which the proposer computes. It proves
/// nothing against whoever can write the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldDigest(pub [u8; 8]);

/// An object's fields as a file left them, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppliedFields(pub BTreeMap<String, FieldDigest>);

/// Notes how a file left an object. Later changes by others leave the note as it is; the object's deletion drops it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteApplied {
    /// Kind.
    pub kind: ObjectKind,
    /// Id of the object.
    pub id: Uuid,
    /// All of its fields that a caller can set, at most 64.
    pub fields: AppliedFields,
}

/// Makes a revocation that a batch owes. Repeated, it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeOwed {
    /// Entry of the batch.
    pub batch: LogIndex,
    /// Which of those that it owes, from 0.
    pub nth: u32,
}

impl ApplyObjects {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.check_size()?;
        step.owe_revocations();
        let mut revocation = None;
        for (at, part) in (0_u32..).zip(&self.parts) {
            if !belongs(part) {
                let message = "writes something else than objects, settings and their secrets";
                return Err(Rejection::invalid(format!("parts[{at}]"), message));
            }
            let reply = part.apply(step).map_err(|why| Rejection::InGroup { at, why: Box::new(why) })?;
            revocation = revocation.or(reply.revocation());
        }
        Ok(Reply::Changed { version: step.index, revocation })
    }

    fn check_size(&self) -> Result<(), Rejection> {
        if self.parts.len() > MAX_PARTS {
            return Err(Rejection::too_many("parts of a batch", MAX_PARTS));
        }
        let size = crate::codec::encode(&self.parts).map_or(usize::MAX, |bytes| bytes.len());
        if size > MAX_BYTES {
            return Err(Rejection::invalid("parts", format!("take {size} bytes, at most {MAX_BYTES}")));
        }
        Ok(())
    }

    /// Whether all parts write objects or what belongs to them, and none the settings.
    pub(crate) fn writes_objects_only(&self) -> bool {
        self.parts.iter().all(|part| belongs(part) && !matches!(part, Command::ChangeSettings(_)))
    }
}

impl NoteApplied {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if step.state.objects.find(self.kind, self.id).is_none() {
            return Err(Rejection::not_found(self.kind.collection(), self.id));
        }
        if self.fields.0.len() > MAX_FIELDS || self.fields.0.keys().any(|name| name.len() > MAX_FIELD_NAME) {
            let message = format!("are at most {MAX_FIELDS}, with names of at most {MAX_FIELD_NAME} bytes");
            return Err(Rejection::invalid("fields", message));
        }
        step.state.applied.insert((self.kind, self.id), self.fields.clone());
        Ok(Reply::Done)
    }
}

impl RevokeOwed {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let Some(owed) = step.state.owed_revocations.remove(&(self.batch, self.nth)) else { return Ok(Reply::Done) };
        let Revoke { scope, kinds, site, mode, reason } = Revoke::clone(&owed);
        Ok(Reply::Revoked(step.revoke(Cutoff { scope, kinds, site, mode, reason })?))
    }
}

impl State {
    /// An object's fields as the last file left them; absent if none did.
    #[must_use]
    pub fn applied_fields(&self, kind: ObjectKind, id: Uuid) -> Option<&AppliedFields> {
        self.applied.find(&(kind, id))
    }

    /// Revocations that batches owe, as commands that make them, oldest first. Each is proposed by itself.
    pub fn revocations_owed(&self) -> impl Iterator<Item = RevokeOwed> {
        self.owed_revocations.iter().map(|((batch, nth), _)| RevokeOwed { batch: *batch, nth: *nth })
    }
}

/// Whether a command may be part of a batch.
const fn belongs(part: &Command) -> bool {
    matches!(
        part,
        Command::PutObject(_)
            | Command::DeleteObject(_)
            | Command::SetLocalPassword(_)
            | Command::PutSecret(_)
            | Command::RemoveSecret(_)
            | Command::EndAdminSessionsOf(_)
            | Command::ChangeSettings(_)
            | Command::NoteApplied(_)
    )
}
