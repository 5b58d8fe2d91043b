//! Parameters in paths and queries.

use ringwall_protocol::form::RANGE;
use ringwall_protocol::name::{DnScope, SessionDn, UserDn};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operation::Given;
use crate::administration::objects::listing::MAX_QUERIES;

/// Collections whose members are named by a user's DN.
const BY_USER: [&str; 3] = ["/blacklist/", "/otp/seeds/", "/fido2-devices/"];

/// What stands in braces.
pub(super) fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let schema = |name: &str| match name {
        "id" => json!({ "type": "string", "format": "uuid" }),
        _ if path.starts_with("/on-boarded-devices/reevaluate/") => of::<DnScope>(),
        _ if BY_USER.iter().any(|start| path.starts_with(start)) => of::<UserDn>(),
        _ => of::<SessionDn>(),
    };
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": schema(name) })).collect()
}

/// What follows the question mark.
pub(super) fn query_parameters(method: &str, path: &str, gives: Given) -> Vec<Value> {
    if method == "get" && path == "/client-profiles/{id}/barcode" {
        let schema = json!({ "type": "string", "enum": ["png", "svg"] });
        return vec![
            json!({ "name": "format", "in": "query", "description": "What kind of picture.", "schema": schema }),
        ];
    }
    if !matches!(gives, Given::Many(_) | Given::Objects(_)) {
        return Vec::new();
    }
    list_parameters().keys().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })).collect()
}

/// Parameters that every list takes.
pub(super) fn list_parameters() -> Map<String, Value> {
    let mut range = Schema::default();
    RANGE.describe(&mut range);
    let mut range = range.to_value();
    range["type"] = "string".into();
    let texts = json!({ "type": "array", "maxItems": MAX_QUERIES, "items": { "type": "string" } });
    let rows = [
        ("query", "Text that the name, a tag or the id must contain; may be repeated.", texts),
        ("range", "First and last item, both from 0: `0-10`.", range),
        ("orderBy", "Field to sort by.", json!({ "type": "string" })),
        ("descending", "`true` to sort downwards.", json!({ "type": "boolean" })),
    ];
    let one = |(name, text, schema): (&str, &str, Value)| {
        (name.to_owned(), json!({ "name": name, "in": "query", "description": text, "schema": schema }))
    };
    rows.into_iter().map(one).collect()
}

fn of<T: JsonSchema>() -> Value {
    T::json_schema(&mut SchemaGenerator::default()).to_value()
}
