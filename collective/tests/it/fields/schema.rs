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

/// Fields of requests that are no part of objects: what the system sets, what is only kept apart from unknown ones.
const PASSED_OVER: [&str; 3] = ["methods", "monitor", "auditLogPersistenceMode"];

/// The fields of all objects that the description names, in answers and in requests; those of one type of an object stand
/// under `Kind:Type`.
pub(super) fn described(document: &Value) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for kind in KINDS {
        let schemas = &document["components"]["schemas"];
        let requested = format!("{kind}Request");
        for schema in [&schemas[kind], &schemas[requested.as_str()]] {
            forms(document, schema, kind, &mut fields);
        }
    }
    fields
}

/// A kind with several forms: what only one of them has stands under its type.
fn forms(document: &Value, schema: &Value, kind: &str, found: &mut BTreeSet<String>) {
    let Some(forms) = schema["oneOf"].as_array() else {
        assert!(schema["properties"].is_object(), "{kind} is not described");
        return properties(document, schema, kind, found);
    };
    let has = |form: &Value, name: &str| form["properties"].get(name).is_some();
    for form in forms {
        let word = form["properties"]["type"]["const"].as_str().expect("a type");
        for (name, inner) in form["properties"].as_object().expect("fields").iter().filter(|(_, inner)| counts(inner)) {
            let shared = forms.iter().all(|other| has(other, name));
            let place = if shared { kind.to_owned() } else { format!("{kind}:{word}") };
            named(document, (name, inner), &place, found);
        }
    }
}

/// Whether a field of a request is one of the object: others say that they are disregarded.
fn counts(schema: &Value) -> bool {
    schema["description"] != "Set by the system; disregarded in requests."
}

fn named(document: &Value, (name, schema): (&str, &Value), place: &str, found: &mut BTreeSet<String>) {
    if !COMPUTED.contains(&name) && !PASSED_OVER.contains(&name) {
        properties_of(document, schema, &format!("{place}.{name}"), found);
    }
}

fn properties(document: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let schema = resolved(document, schema);
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties.iter().filter(|(_, inner)| counts(inner)) {
            named(document, (name, inner), path, found);
        }
    } else if schema["items"].is_object() {
        properties(document, &schema["items"], &format!("{path}[]"), found);
    } else {
        found.insert(path.to_owned());
    }
}

/// What a reference leads to; of a value that may be absent, the value.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(target) = schema["$ref"].as_str() {
        let target = target.trim_start_matches('#');
        return resolved(document, document.pointer(target).unwrap_or_else(|| panic!("{target} leads nowhere")));
    }
    let choice = schema["anyOf"].as_array().filter(|forms| forms.iter().any(|form| form["type"] == "null"));
    let value = choice.and_then(|forms| forms.iter().find(|form| form["type"] != "null"));
    value.map_or(schema, |value| resolved(document, value))
}

/// A map with free keys is one field: its keys are no names.
fn properties_of(document: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if path.ends_with(".labels") {
        found.insert(path.to_owned());
    } else {
        properties(document, schema, path, found);
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
