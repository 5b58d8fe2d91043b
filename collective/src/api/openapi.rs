//! The description of the admin API that `GET /admin/openapi.json` serves (OpenAPI 3.1), made from the table of routes and
//! from the types that handlers decode and encode, with the bounds that decide (T85).
//!
//! What fits a request's schema is never refused with 422; what cannot be carried out although it fits is refused with 409.

mod operation;
mod parameters;
mod schemas;

use std::sync::OnceLock;

use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::admin::{AdminError, LOWEST_VERSION, VERSION};
use serde_json::{Map, Value, json};

use self::parameters::{list_parameters, path_parameters, query_parameters};
use self::schemas::Schemas;
use super::admin::SPECIAL;

pub(crate) use operation::{Given, Operation, Taken};

/// Operations that want no session.
const OPEN: [&str; 7] = [
    "/version",
    "/openapi.json",
    "/identity-providers/names",
    "/login",
    "/authentication",
    "/authentication/otp/initialize",
    "/authentication/otp",
];
/// Languages that texts are written in where no pattern can say it.
const FORMATS: &str = "Formats of texts: `cel-expression` is CEL over `user`, `device` and `system`; `claim-script` is CEL over \
    `user`; `pem` is a certificate or a list of revoked ones; `ldap-filter` is a filter of RFC 4515 in parentheses; \
    `oidc-issuer` is an https URL without user, query and fragment; `action-host` is an address, a prefix, `first-last`, \
    `dns://name`, `domain://name` or a name; `port-ranges` and `icmp-type-ranges` are numbers and ranges with commas between; \
    `destination` is `address:port`, `[v6]:port`, `name:port` or an address.";

/// The document.
#[must_use]
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(make)
}

fn make() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for operation in SPECIAL {
        describe(&mut paths, operation.path, operation.method, special(operation, &mut schemas));
    }
    for kind in ObjectKind::ALL {
        for (path, method, operation) in generic(*kind, &mut schemas) {
            describe(&mut paths, &path, method, operation);
        }
    }
    let error = schemas.given(Given::one::<AdminError>()).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringwall admin API",
            "version": VERSION.to_string(),
            "description": format!(
                "Every request carries `Accept: application/vnd.appgate.peer-v<N>+json` with N from {LOWEST_VERSION} to \
                 {VERSION}; otherwise 406. `Idempotency-Key` makes an order safe to repeat for 24 hours. A request that breaks \
                 its schema is refused with 422, field by field; one that fits it and contradicts itself or what the \
                 Collective holds, with 409. In requests `null` stands for what is absent. A field without effect is refused \
                 by its name: `fallbackSite`, `vpn.dtls.enabled`, `ipPoolMappings`, `peerInterface.overrideSpaMode`, and what \
                 belongs to another role or type of an object. {FORMATS}"
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
            "responses": { "Refused": { "description":
                "Not done: 202 a second administrator must approve first (`dualControl`). Refused: 400 no JSON, 401 not signed in, 403 no privilege, 404, 405 other methods, 406 version, 409 conflict, \
                 412 another factor first, 413 too long, 422 against the schema, 503 no quorum.",
                "content": { "application/json": { "schema": error } } } },
            "schemas": schemas.into_named(),
            "parameters": list_parameters(),
        },
    })
}

fn describe(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path.to_owned()).or_insert_with(|| json!({ "parameters": path_parameters(path) }));
    item[method] = operation;
}

fn special(operation: &Operation, schemas: &mut Schemas) -> Value {
    let Operation { method, path, tag, summary, takes, gives } = *operation;
    let mut described = one(method, path, (tag, summary), (takes, gives), schemas);
    if OPEN.contains(&path) {
        described["security"] = json!([]);
    }
    described
}

/// The five operations of a kind of objects.
fn generic(kind: ObjectKind, schemas: &mut Schemas) -> [(String, &'static str, Value); 5] {
    let (all, single) = (format!("/{}", kind.collection()), format!("/{}/{{id}}", kind.collection()));
    let (object, list) = (Given::Object(kind), Given::Objects(kind));
    let rows: [(&str, &'static str, &str, Taken, Given); 5] = [
        (&all, "get", "Every", Taken::Nothing, list),
        (&all, "post", "Create a", Taken::Object(kind), object),
        (&single, "get", "One", Taken::Nothing, object),
        (&single, "put", "Replace a", Taken::Object(kind), object),
        (&single, "delete", "Delete a", Taken::Nothing, Given::Nothing),
    ];
    rows.map(|(path, method, summary, takes, gives)| {
        let summary = format!("{summary} {}.", kind.name());
        (path.to_owned(), method, one(method, path, (kind.name(), &summary), (takes, gives), schemas))
    })
}

fn one(
    method: &str,
    path: &str,
    (tag, summary): (&str, &str),
    (takes, gives): (Taken, Given),
    schemas: &mut Schemas,
) -> Value {
    let mut described = json!({ "tags": [tag], "summary": summary, "responses": responses(gives, schemas) });
    if let Some(schema) = schemas.taken(takes) {
        described["requestBody"] = json!({
            "required": schemas.wants_fields(&schema), "content": { "application/json": { "schema": schema } }
        });
    }
    let parameters = query_parameters(method, path, gives);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    described
}

fn responses(gives: Given, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    match schemas.given(gives) {
        None => {
            responses.insert("204".to_owned(), json!({ "description": "Done." }));
        }
        Some(schema) => {
            let mut done = json!({ "description": "Done.", "content": { "application/json": { "schema": schema } } });
            if matches!(gives, Given::Object(_) | Given::Versioned(_)) {
                done["headers"] = json!({ "ETag": {
                    "description": "The object's version, for If-Match.", "required": true,
                    "schema": { "type": "string", "pattern": "^\"[0-9]+\"$" },
                }});
            }
            responses.insert("200".to_owned(), done);
        }
    }
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Refused" }));
    Value::Object(responses)
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
        let length = document().to_string().len();
        assert!(length < 512 * 1024, "{length}");
    }
}
