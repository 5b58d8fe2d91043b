//! The fields that there are: `Kind.field.inner[].leaf`, from the served description and from objects as they are shown.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Kinds of objects that the description has schemas of.
const KINDS: [&str; 13] = [
    "Site",
    "Appliance",
    "Entitlement",
    "Condition",
    "CriteriaScript",
    "Policy",
    "IdentityProvider",
    "MfaProvider",
    "LocalUser",
    "IpPool",
    "ClientProfile",
    "AdministrativeRole",
    "GlobalSettings",
];
/// Fields of answers that are computed from others: they are no part of the object.
const COMPUTED: [&str; 9] = [
    "siteName",
    "identityProviderName",
    "globalHostname",
    "exported",
    "passwordSet",
    "locked",
    "secretsSet",
    "weaknesses",
    "failedLoginAttempts",
];

/// The fields of all objects that the description names.
pub(super) fn described(document: &Value) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for kind in KINDS {
        let schema = &document["components"]["schemas"][kind];
        assert!(schema["properties"].is_object(), "{kind} is not described");
        properties(schema, kind, &mut fields);
    }
    fields
}

fn properties(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            if !COMPUTED.contains(&name.as_str()) {
                properties_of(inner, &format!("{path}.{name}"), found);
            }
        }
    } else if schema["items"].is_object() {
        properties(&schema["items"], &format!("{path}[]"), found);
    } else {
        found.insert(path.to_owned());
    }
}

/// A map with free keys is one field: its samples' keys are no names.
fn properties_of(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if path.ends_with(".labels") {
        found.insert(path.to_owned());
    } else {
        properties(schema, path, found);
    }
}

/// The fields of an object as it is shown, under a kind's name.
pub(super) fn fields_of(object: &Value, kind: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, value) in object.as_object().expect("an object") {
        if !COMPUTED.contains(&name.as_str()) {
            leaves(value, &format!("{kind}.{name}"), &mut found);
        }
    }
    found
}

fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !map.is_empty() && !path.ends_with(".labels") => {
            map.iter().for_each(|(name, inner)| leaves(inner, &format!("{path}.{name}"), found));
        }
        // What is inside of an empty or absent value is told by the description.
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| leaves(item, &format!("{path}[]"), found));
        }
        Value::Array(items) if !items.is_empty() => drop(found.insert(format!("{path}[]"))),
        Value::Array(_) | Value::Null => {}
        Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => drop(found.insert(path.to_owned())),
    }
}

/// The fields in which two values differ.
pub(super) fn differing(one: &Value, other: &Value, path: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match (one, other) {
        (Value::Object(a), Value::Object(b)) if !path.ends_with(".labels") => {
            for name in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let (a, b) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
                found.extend(differing(a, b, &format!("{path}.{name}")));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for at in 0..a.len().max(b.len()) {
                let (a, b) = (a.get(at).unwrap_or(&Value::Null), b.get(at).unwrap_or(&Value::Null));
                found.extend(differing(a, b, &format!("{path}[]")));
            }
        }
        // Where there was nothing every part of what is there now is new.
        (Value::Null, Value::Object(new)) | (Value::Object(new), Value::Null) => {
            new.iter()
                .for_each(|(name, inner)| found.extend(differing(&Value::Null, inner, &format!("{path}.{name}"))));
        }
        (Value::Null, Value::Array(new)) | (Value::Array(new), Value::Null) => {
            new.iter().for_each(|inner| found.extend(differing(&Value::Null, inner, &format!("{path}[]"))));
        }
        (a, b) if a == b => {}
        _ => drop(found.insert(path.to_owned())),
    }
    found
}

/// The text of every source file of the repository, in which tests are looked for.
pub(super) fn sources() -> String {
    let mut text = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if name != "target" && name != "node_modules" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                text.push_str(&fs::read_to_string(&path).expect("text"));
            }
        }
    }
    text
}
