//! Changes to JSON Schemas (draft 2020-12) that hold for every type. Pure.

use serde_json::{Map, Value, json};

/// Schemas in which a choice between forms of an object stands at the top, each form complete by itself: what all forms
/// have is written into each, and so is what a form refers to beside its own fields.
pub(super) fn inlined(definitions: &Map<String, Value>) -> Map<String, Value> {
    definitions.iter().map(|(name, schema)| (name.clone(), spread(schema, definitions))).collect()
}

fn spread(schema: &Value, definitions: &Map<String, Value>) -> Value {
    let Some(forms) = schema["oneOf"].as_array().filter(|_| schema["properties"].is_object()) else {
        return schema.clone();
    };
    let mut base = schema.clone();
    let title = base.as_object_mut().and_then(|map| {
        map.remove("oneOf");
        map.remove("description")
    });
    let forms: Vec<Value> = forms.iter().map(|form| merged(&base, &resolved(form, definitions))).collect();
    let mut whole = json!({ "oneOf": forms });
    if let Some(text) = title {
        whole["description"] = text;
    }
    whole
}

/// A form without its reference.
fn resolved(form: &Value, definitions: &Map<String, Value>) -> Value {
    let target = form["$ref"].as_str().and_then(|target| target.rsplit('/').next());
    let Some(target) = target.and_then(|name| definitions.get(name)) else { return form.clone() };
    let mut own = form.clone();
    if let Some(map) = own.as_object_mut() {
        map.remove("$ref");
    }
    merged(&resolved(target, definitions), &own)
}

/// An object with the fields of two.
pub(super) fn merged(one: &Value, other: &Value) -> Value {
    let mut both = one.clone();
    if let Some(forms) = both["oneOf"].as_array_mut() {
        forms.iter_mut().for_each(|form| *form = merged(form, other));
        if !both["properties"].is_object() {
            return both;
        }
    }
    let properties = other["properties"].as_object().into_iter().flatten();
    for (name, schema) in properties {
        both["properties"][name] = schema.clone();
    }
    let mut required: Vec<Value> = both["required"].as_array().cloned().unwrap_or_default();
    let more = other["required"].as_array().into_iter().flatten().cloned();
    let more: Vec<Value> = more.filter(|name| !required.contains(name)).collect();
    required.extend(more);
    if !required.is_empty() {
        both["required"] = required.into();
    }
    both["type"] = "object".into();
    if both["oneOf"].is_null() {
        both.as_object_mut().map(|map| map.remove("oneOf"));
    }
    both
}

/// The forms of an object, or the object if it has one.
pub(super) fn branches(schema: &mut Value) -> Vec<&mut Value> {
    if schema["oneOf"].is_array() {
        schema["oneOf"].as_array_mut().into_iter().flatten().collect()
    } else {
        vec![schema]
    }
}

/// Bounds that types have and schemars does not say; formats that JSON Schema knows.
pub(super) fn tighten(schema: &mut Value) {
    each(schema, &mut |schema| {
        let most = match schema.get("format").and_then(Value::as_str) {
            Some("uint8") => u64::from(u8::MAX),
            Some("uint16") => u64::from(u16::MAX),
            Some("uint32") => u64::from(u32::MAX),
            Some("uint" | "uint64") => u64::MAX,
            Some("ip") => {
                schema.remove("format");
                schema.insert("anyOf".to_owned(), json!([{ "format": "ipv4" }, { "format": "ipv6" }]));
                return;
            }
            _ => return,
        };
        schema.remove("format");
        schema.entry("maximum").or_insert_with(|| most.into());
    });
}

/// An answer has no other fields than those that are described.
pub(super) fn seal(schema: &mut Value) {
    each(schema, &mut |schema| {
        if is_closed(schema) {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    });
}

/// In a request `null` stands for what is absent. What is a set may name things twice.
pub(super) fn permit_null(schema: &mut Value) {
    each(schema, &mut |schema| {
        schema.remove("uniqueItems");
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            let optional = properties.iter_mut().filter(|(name, _)| !required.iter().any(|one| one == name.as_str()));
            optional.for_each(|(_, inner)| or_null(inner));
        }
        if let Some(inner) = schema.get_mut("additionalProperties").filter(|inner| inner.is_object()) {
            or_null(inner);
        }
    });
}

fn or_null(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    if map.contains_key("const") || map.contains_key("$ref") || map.contains_key("oneOf") || map.contains_key("anyOf") {
        let known = map.get("anyOf").and_then(Value::as_array);
        if known.is_some_and(|forms| forms.iter().any(|form| form["type"] == "null" || form["type"][0] == "null")) {
            return;
        }
        let whole = Value::Object(std::mem::take(map));
        map.insert("anyOf".to_owned(), json!([whole, { "type": "null" }]));
        return;
    }
    let kinds = match map.get("type") {
        Some(Value::String(kind)) if kind != "null" => json!([kind, "null"]),
        Some(Value::Array(kinds)) if !kinds.iter().any(|kind| kind == "null") => {
            let mut kinds = kinds.clone();
            kinds.push("null".into());
            kinds.into()
        }
        _ => return,
    };
    map.insert("type".to_owned(), kinds);
    if let Some(values) =
        map.get_mut("enum").and_then(Value::as_array_mut).filter(|values| !values.contains(&Value::Null))
    {
        values.push(Value::Null);
    }
}

/// A request's objects may have further fields if those ask for nothing; of a lenient one, any.
pub(super) fn permit_idle(schema: &mut Value, idle: &str, lenient: bool) {
    let mut outermost = lenient;
    each(schema, &mut |schema| {
        if is_closed(schema) && !outermost {
            schema.insert("additionalProperties".to_owned(), json!({ "$ref": idle }));
        }
        outermost = false;
    });
}

/// Whether a schema describes an object by its fields, and says nothing of others.
fn is_closed(schema: &Map<String, Value>) -> bool {
    let object = schema.get("type").is_some_and(|kind| *kind == "object" || kind[0] == "object");
    object && schema.contains_key("properties") && !schema.contains_key("additionalProperties")
}

/// Calls `change` for every schema in a schema, from the outside to the inside.
fn each(schema: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Some(map) = schema.as_object_mut() else { return };
    change(map);
    for (key, value) in map.iter_mut() {
        match key.as_str() {
            "properties" | "patternProperties" | "$defs" => {
                value.as_object_mut().into_iter().flatten().for_each(|(_, inner)| each(inner, change));
            }
            "oneOf" | "anyOf" | "allOf" | "prefixItems" => {
                value.as_array_mut().into_iter().flatten().for_each(|inner| each(inner, change));
            }
            "items" | "additionalProperties" | "propertyNames" => each(value, change),
            _ => {}
        }
    }
}
