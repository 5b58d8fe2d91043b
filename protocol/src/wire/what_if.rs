//! Messages of questions about changes that nobody has made yet: who would gain or lose what (`POST /admin/simulate`),
//! and what could not work (`/admin/lint`).
//!
//! Everything is bounded: a draft's objects, the people that are looked at, and the length of the answer.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::form::Count;
use crate::id::{EntitlementId, SiteId};
use crate::object::ObjectKind;

/// Most objects of one draft: a whole file of them; the request's body is bounded besides.
pub const MAX_DRAFT: usize = 2_000;
/// Most people that one simulation looks at: ten times a large Gateway's sessions would take minutes.
pub const MAX_EXAMINED: usize = 20_000;
/// Most affected people that one answer names.
pub const MAX_NAMED: usize = 1_000;
/// Most findings of one answer.
pub const MAX_FINDINGS: usize = 2_000;

/// Objects as they would be written, in the order of their references.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// At most [`MAX_DRAFT`].
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_DRAFT))]
    pub objects: Vec<DraftObject>,
    /// Objects that would be deleted, after the others are written.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_DRAFT))]
    pub deletions: Vec<DraftDeletion>,
}

/// One object of a draft.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DraftObject {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its fields as the admin API takes them; with the `id` of a known object it replaces that one.
    pub object: Value,
}

impl JsonSchema for DraftObject {
    fn schema_name() -> Cow<'static, str> {
        "DraftObject".into()
    }
    /// One form for each kind.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut one = |kind: ObjectKind| {
            json!({
                "type": "object",
                "properties": { "kind": { "const": kind.name() }, "object": kind.schema(generator) },
                "required": ["kind", "object"],
            })
        };
        let kinds: Vec<Value> = ObjectKind::ALL.iter().map(|kind| one(*kind)).collect();
        json_schema!({ "oneOf": kinds })
    }
}

/// One deletion of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DraftDeletion {
    /// Its kind.
    pub kind: ObjectKind,
    /// Id of the object.
    pub id: Uuid,
}

/// What would come of a draft.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// Object by object.
    pub changes: Vec<DraftChange>,
    /// What live sessions would hear of it.
    pub notices: Vec<SessionNotice>,
    /// Who was looked at.
    pub examined: Examined,
    /// How many of them would gain or lose something, roles included.
    pub affected: usize,
    /// The first [`MAX_NAMED`] of them: live sessions first, then by name.
    pub people: Vec<Affected>,
    /// What the draft brings that cannot work and was not there before.
    pub warnings: Vec<LintFinding>,
}

/// What would become of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DraftChange {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its id; a new object without one gets one for the simulation only.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What.
    pub what: DraftOutcome,
}

/// What would become of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is what it says")]
pub enum DraftOutcome {
    Created,
    Changed,
    Unchanged,
    Deleted,
}

/// A revocation that the change would bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionNotice {
    /// Whose tokens: everyone, a provider, a user.
    pub scope: String,
    /// Only at this Site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_name: Option<String>,
    /// `renewNow`, `renewWindow` or `cut`.
    pub mode: String,
    /// Reason, in words.
    pub reason: String,
}

/// Who was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Examined {
    /// Live sessions' devices.
    pub sessions: usize,
    /// Registered devices without a session, by their last known claims.
    pub devices: usize,
    /// Users of whom nothing is known now: their provider did not answer, or they are gone.
    pub unknown: usize,
    /// Not looked at, because there were more than [`MAX_EXAMINED`] or the time was over.
    pub left_out: usize,
}

/// Somebody for whom something would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Affected {
    /// `CN=<device>,CN=<user>,OU=<provider>`.
    pub distinguished_name: String,
    /// A session is open now.
    pub live: bool,
    /// What, entitlement by entitlement, then roles.
    pub shifts: Vec<Shift>,
}

/// One thing that somebody would gain or lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// What happens to it.
    pub effect: ShiftEffect,
    /// The entitlement's or role's name.
    pub name: String,
    /// The entitlement; absent for a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<EntitlementId>,
    /// Its Site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site_name: String,
    /// Its conditions hold then (before, for what is lost).
    pub open: bool,
    /// What decides, in one sentence.
    pub because: String,
}

/// What happens to an entitlement or role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ShiftEffect {
    /// It is granted, and was not.
    Gained,
    /// It was granted, and is no longer.
    Lost,
    /// It is granted as before; its conditions hold now.
    Opened,
    /// It is granted as before; its conditions no longer hold.
    Closed,
    /// It is granted and open or shut as before, with other actions or conditions.
    Altered,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// It cannot work as it stands.
    Error,
    /// It probably does not do what was meant.
    Warning,
    /// It does nothing, or could be said more simply.
    Hint,
}

/// Something that the API accepts and that cannot work, or not as meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LintFinding {
    /// How bad.
    pub severity: Severity,
    /// The rule's name, as `docs/linter.md` lists it.
    pub rule: String,
    /// Kind of the object.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Uuid,
    /// Its field, if it is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// All findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LintAnswer {
    /// Worst first; at most [`MAX_FINDINGS`].
    pub findings: Vec<LintFinding>,
    /// How many there are.
    pub total: usize,
}
