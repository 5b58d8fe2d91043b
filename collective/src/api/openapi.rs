//! The description of the admin API that `GET /admin/openapi.json` serves (OpenAPI 3.1), made from the table of routes
//! and from samples of what goes over the wire.

mod samples;
mod schema;

use std::sync::OnceLock;

use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::admin::{LOWEST_VERSION, VERSION};
use serde_json::{Map, Value, json};

use super::admin::SPECIAL;

/// One operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    /// `get`, `post`, `put` or `delete`.
    pub(crate) method: &'static str,
    /// Below `/admin`, parameters in braces.
    pub(crate) path: &'static str,
    /// Group.
    pub(crate) tag: &'static str,
    /// One sentence.
    pub(crate) summary: &'static str,
    /// What it takes.
    pub(crate) body: Shape,
    /// What it gives.
    pub(crate) answer: Shape,
}

/// Form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// No body; as an answer 204.
    Nothing,
    /// JSON that is not described further.
    Any,
    /// A schema by name.
    Named(&'static str),
    /// A list of them.
    ListOf(&'static str),
}

/// The document.
#[must_use]
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(make)
}

fn make() -> Value {
    let mut paths = Map::new();
    for operation in SPECIAL {
        describe(&mut paths, operation.path, operation.method, special(operation));
    }
    for kind in ObjectKind::ALL {
        for (path, method, operation) in generic(*kind) {
            describe(&mut paths, &path, method, operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringwall admin API",
            "version": VERSION.to_string(),
            "description": format!(
                "Every request carries `Accept: application/vnd.appgate.peer-v<N>+json` with N from {LOWEST_VERSION} to \
                 {VERSION}; otherwise 406. `Idempotency-Key` makes an order safe to repeat for 24 hours. A \
                 field without effect is refused with 422 by its name: `fallbackSite`, `vpn.dtls.enabled`, \
                 `ipPoolMappings`, `peerInterface.overrideSpaMode`, and what belongs to another role or type of an object."
            ),
        },
        "servers": [{ "url": "/admin" }],
        "security": [{ "bearer": [] }, { "dpop": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "dpop": { "type": "http", "scheme": "DPoP", "description":
                    "Sign in with a proof in the header DPoP (RFC 9449, ES256): the token is bound to its key, and every request \
                     brings a proof of its own." },
            },
            "schemas": schema::all(),
            "parameters": list_parameters(),
        },
    })
}

fn describe(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path.to_owned()).or_insert_with(|| json!({ "parameters": path_parameters(path) }));
    item[method] = operation;
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})).collect()
}

fn special(operation: &Operation) -> Value {
    let mut described = json!({
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": responses(operation.answer),
    });
    if operation.body != Shape::Nothing {
        described["requestBody"] = body(operation.body);
    }
    if operation.tag == "Login" || operation.tag == "Version" {
        described["security"] = json!([]);
    }
    if matches!(operation.answer, Shape::ListOf(_)) {
        described["parameters"] = list_parameter_references();
    }
    described
}

/// The five operations of a kind of objects.
fn generic(kind: ObjectKind) -> [(String, &'static str, Value); 5] {
    let (all, one) = (format!("/{}", kind.collection()), format!("/{}/{{id}}", kind.collection()));
    let schema = samples::name(kind);
    let (many, single) = (Shape::ListOf(schema), Shape::Named(schema));
    let operation = |summary: &str, taken: Shape, answer: Shape| {
        let mut described =
            json!({"tags": [schema], "summary": format!("{summary} {schema}."), "responses": responses(answer)});
        if taken != Shape::Nothing {
            described["requestBody"] = body(taken);
        }
        described
    };
    let mut list = operation("Every", Shape::Nothing, many);
    list["parameters"] = list_parameter_references();
    [
        (all.clone(), "get", list),
        (all, "post", operation("Create a", single, single)),
        (one.clone(), "get", operation("One", Shape::Nothing, single)),
        (one.clone(), "put", operation("Replace a", single, single)),
        (one, "delete", operation("Delete a", Shape::Nothing, Shape::Nothing)),
    ]
}

fn responses(answer: Shape) -> Value {
    let mut responses = Map::new();
    match answer {
        Shape::Nothing => {
            responses.insert("204".to_owned(), json!({ "description": "Done." }));
        }
        other => {
            responses.insert("200".to_owned(), json!({ "description": "Done.", "content": content(other) }));
        }
    }
    responses.insert("default".to_owned(), json!({
        "description": "Not done: 202 a second administrator must approve first (`dualControl`). Refused: 400 no JSON, 401 not signed in, 403 no privilege, 404, 406 version, 409 conflict, 412 another \
                        factor first, 413 too long, 422 fields, 503 no quorum.",
        "content": content(Shape::Named("Error")),
    }));
    Value::Object(responses)
}

fn body(shape: Shape) -> Value {
    json!({ "required": shape != Shape::Any, "content": content(shape) })
}

fn content(shape: Shape) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let schema = match shape {
        Shape::Nothing | Shape::Any => json!({}),
        Shape::Named(name) => reference(name),
        Shape::ListOf(name) => json!({
            "allOf": [reference("List"), {"type": "object", "properties": {"data": {"type": "array", "items": reference(name)}}}]
        }),
    };
    json!({ "application/json": { "schema": schema } })
}

/// Parameters that every list takes.
const LIST_PARAMETERS: [(&str, &str); 4] = [
    ("query", "Text that the name, a tag or the id must contain; may be repeated."),
    ("range", "`0-10`: from the first to the eleventh."),
    ("orderBy", "Field to sort by."),
    ("descending", "`true` to sort downwards."),
];

fn list_parameters() -> Value {
    let one = |(name, text): (&str, &str)| {
        (name.to_owned(), json!({"name": name, "in": "query", "description": text, "schema": {"type": "string"}}))
    };
    Value::Object(LIST_PARAMETERS.into_iter().map(one).collect())
}

fn list_parameter_references() -> Value {
    let references = LIST_PARAMETERS.map(|(name, _)| json!({ "$ref": format!("#/components/parameters/{name}") }));
    references.to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        for operation in SPECIAL {
            assert!(
                paths[operation.path][operation.method]["summary"].is_string(),
                "{} {}",
                operation.method,
                operation.path
            );
        }
        for kind in ObjectKind::ALL {
            let (all, one) = (format!("/{}", kind.collection()), format!("/{}/{{id}}", kind.collection()));
            for (path, method) in [(&all, "get"), (&all, "post"), (&one, "get"), (&one, "put"), (&one, "delete")] {
                assert!(paths[path.as_str()][method]["responses"].is_object(), "{method} {path}");
            }
        }
        let text = document.to_string();
        for (at, _) in text.match_indices("#/components/") {
            let pointer = text[at + 1..].split('"').next().expect("a reference");
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn the_document_stays_small() {
        assert!(document().to_string().len() < 256 * 1024);
    }
}
