//! Messages of `POST /admin/apply`: objects as files describe them, written together or not at all.
//!
//! Each object is whole: a field that the request leaves out gets its default. With `dryRun` the answer is the plan and
//! nothing is written; sent again with the plan's `base`, the request is refused if anything that it concerns changed since.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::form::Count;
use crate::id::LogIndex;
use crate::object::{GlobalSettings, ObjectKind};
use crate::wire::what_if::{DraftDeletion, DraftObject, DraftOutcome, MAX_DRAFT};

/// Objects that are written together, in the order of their references.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRequest {
    /// The Collective's settings, whole; absent: they stay. `dualControl` cannot be changed by it.
    #[serde(default)]
    #[schemars(with = "Option<GlobalSettings>")]
    pub settings: Option<Value>,
    /// At most [`MAX_DRAFT`], deletions included. With the `id` of a known object it replaces that one.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_DRAFT))]
    pub objects: Vec<DraftObject>,
    /// Objects that are deleted after the others are written.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_DRAFT))]
    pub deletions: Vec<DraftDeletion>,
    /// Index of the state that the caller has seen: refused if an object that is written or deleted is newer.
    #[serde(default)]
    pub base: Option<LogIndex>,
    /// Only tell what would be done. Passwords and secrets of known objects are not compared then: nobody guesses them so.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAnswer {
    /// Index of the state in which it was decided.
    pub base: LogIndex,
    /// Index of the log entry that did it; absent if nothing was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<LogIndex>,
    /// Settings that change.
    pub settings: Vec<FieldChange>,
    /// Object by object, in the order of the request, then deletions. Empty for a request that was repeated.
    pub changes: Vec<AppliedChange>,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedChange {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What.
    pub what: DraftOutcome,
    /// Fields that differ, by name; none for an object that is created or deleted.
    pub fields: Vec<FieldChange>,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Its name; of nested fields the outermost.
    pub field: String,
    /// Its value before; `null` for a secret.
    pub before: Value,
    /// Its value afterwards; `null` for a secret.
    pub after: Value,
    /// The request left it out: it gets its default.
    pub left_out: bool,
    /// Somebody else changed it since it was applied last: that change is overwritten.
    pub overwrites: bool,
}
