//! What differs between an object as it is and as a file describes it, field by field. Pure.
//!
//! Three versions are compared: the file's, the one that is there, and the one that a file left last, of which only digests
//! are kept. Fields are the outermost ones: a nested field that differs is told by the field around it.

use std::collections::BTreeSet;

use ringwall_protocol::wire::apply::FieldChange;
use ringwall_raft::state::object::batch::{AppliedFields, FieldDigest};
use serde_json::{Map, Value};

use crate::replica::half;

/// Fields that no caller sets: ids, times, what an appliance has come to, and what rotations of a profile's key count.
const SYSTEM: [&str; 6] = ["id", "created", "updated", "activated", "state", "keyGeneration"];

/// Names of the fields that a body brings; `null` stands for what is absent.
pub(super) fn given_fields(body: &Value) -> BTreeSet<String> {
    let fields = body.as_object().into_iter().flatten();
    fields.filter(|(_, value)| !value.is_null()).map(|(name, _)| name.clone()).collect()
}

/// Fields that differ, by name. `given`: what the file names; `applied`: what a file left last.
pub(super) fn compare(
    before: &Value,
    after: &Value,
    given: &BTreeSet<String>,
    applied: Option<&AppliedFields>,
) -> Vec<FieldChange> {
    let empty = Map::new();
    let [was, will] = [before, after].map(|value| value.as_object().unwrap_or(&empty));
    let names: BTreeSet<&String> = was.keys().chain(will.keys()).collect();
    let changed = names.into_iter().filter(|name| !SYSTEM.contains(&name.as_str())).filter_map(|name| {
        let (before, after) = (&before[name.as_str()], &after[name.as_str()]);
        (before != after).then(|| FieldChange {
            field: name.clone(),
            before: before.clone(),
            after: after.clone(),
            left_out: !given.contains(name),
            overwrites: applied.is_some_and(|applied| is_changed(applied, name, before)),
        })
    });
    changed.collect()
}

/// A secret that differs; its values are told to nobody.
pub(super) fn secret_change(field: &str) -> FieldChange {
    let field = field.to_owned();
    FieldChange { field, before: Value::Null, after: Value::Null, left_out: false, overwrites: false }
}

/// An object's fields as they are to be noted.
pub(super) fn digests(object: &Value) -> AppliedFields {
    let fields = object.as_object().into_iter().flatten().filter(|(name, _)| !SYSTEM.contains(&name.as_str()));
    AppliedFields(fields.map(|(name, value)| (name.clone(), digest(value))).collect())
}

/// Whether a field is not as a file left it.
fn is_changed(applied: &AppliedFields, name: &str, now: &Value) -> bool {
    let left = applied.0.get(name).copied().unwrap_or_else(|| digest(&Value::Null));
    left != digest(now)
}

fn digest(value: &Value) -> FieldDigest {
    let bits = half(&[b"applied field", value.to_string().as_bytes()]);
    let mut digest = [0; 8];
    digest.copy_from_slice(&bits[..8]);
    FieldDigest(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(before: &Value, file: &Value, after: &Value, applied: Option<&Value>) -> Vec<(String, bool, bool)> {
        let applied = applied.map(digests);
        let found = compare(before, after, &given_fields(file), applied.as_ref());
        found.into_iter().map(|change| (change.field, change.left_out, change.overwrites)).collect()
    }

    #[test]
    fn a_field_that_is_left_out_is_told_as_such() {
        let before = json!({"name": "case4", "conditions": ["c"], "disabled": true, "updated": "a"});
        let file = json!({"name": "case4", "disabled": false, "conditions": null});
        let after = json!({"name": "case4", "conditions": [], "disabled": false, "updated": "b"});
        let expected = [("conditions".to_owned(), true, false), ("disabled".to_owned(), false, false)];
        assert_eq!(changes(&before, &file, &after, None), expected);
        assert!(changes(&after, &file, &after, None).is_empty());
    }

    #[test]
    fn what_others_changed_since_is_overwritten_and_what_the_file_changes_is_not() {
        let applied = json!({"name": "web", "notes": "", "tags": []});
        let live = json!({"name": "web", "notes": "by hand", "tags": []});
        let file = json!({"name": "web", "tags": ["prod"]});
        let after = json!({"name": "web", "notes": "", "tags": ["prod"]});
        let expected = [("notes".to_owned(), true, true), ("tags".to_owned(), false, false)];
        assert_eq!(changes(&live, &file, &after, Some(&applied)), expected);
        assert!(changes(&live, &live, &live, Some(&applied)).is_empty(), "a change that the file has, too, is none");
    }

    #[test]
    fn a_field_that_was_absent_and_was_set_by_others_is_overwritten() {
        let (applied, live) = (json!({"name": "p"}), json!({"name": "p", "stopMessage": "closed"}));
        assert_eq!(changes(&live, &applied, &applied, Some(&applied)), [("stopMessage".to_owned(), true, true)]);
    }

    #[test]
    fn secrets_and_what_the_system_sets_are_not_noted() {
        let noted = digests(&json!({"id": "x", "created": "t", "keyGeneration": 3, "name": "n"}));
        assert_eq!(noted.0.keys().collect::<Vec<_>>(), ["name"]);
        let secret = secret_change("password");
        assert!(secret.before.is_null() && secret.after.is_null());
    }
}
