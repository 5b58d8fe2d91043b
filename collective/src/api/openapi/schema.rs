//! Schemas from samples: what a value looks like is what its sample looks like.

use ringwall_protocol::object::ObjectKind;
use serde_json::{Map, Value, json};

use super::samples;

/// All schemas by name.
pub(super) fn all() -> Value {
    let mut schemas: Map<String, Value> = Map::new();
    for kind in ObjectKind::ALL {
        let mut schema = of(&samples::object(*kind));
        schema["required"] = json!(["name"]);
        schemas.insert(samples::name(*kind).to_owned(), schema);
    }
    for (name, sample) in samples::wire() {
        schemas.insert(name.to_owned(), of(&sample));
    }
    Value::Object(schemas)
}

fn of(sample: &Value) -> Value {
    match sample {
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(number) if number.is_f64() => json!({ "type": "number" }),
        Value::Number(_) => json!({ "type": "integer" }),
        Value::String(text) => match format(text) {
            Some(format) => json!({ "type": "string", "format": format }),
            None => json!({ "type": "string", "examples": [text] }),
        },
        Value::Array(items) => json!({ "type": "array", "items": items.first().map_or_else(|| json!({}), of) }),
        Value::Object(map) => {
            let properties: Map<String, Value> = map.iter().map(|(name, value)| (name.clone(), of(value))).collect();
            json!({ "type": "object", "properties": properties })
        }
    }
}

fn format(text: &str) -> Option<&'static str> {
    if text.parse::<uuid::Uuid>().is_ok() && text.len() == 36 {
        return Some("uuid");
    }
    (text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T').then_some("date-time")
}
