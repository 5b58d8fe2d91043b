//! Schemas of requests and answers, generated from the types that are decoded and encoded.
//!
//! The two differ where serde does: an answer has every field that is always written and no other; a request may leave out
//! what has a default, write `null` for it, and carry unknown fields that ask for nothing.

mod walk;

use ringwall_protocol::form::{Form, IDENTIFIER};
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::object::identity_provider::{IdentityProviderKind, MfaProviderKind};
use ringwall_protocol::wire::admin::List;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use self::walk::{branches, inlined, merged, permit_idle, permit_null, seal, tighten};
use super::operation::{Describe, Given, Taken};
use crate::administration::members::settings::FOREIGN_DEFAULTS;
use crate::administration::objects::decode::{FOREIGN_ACTION_FIELDS, READ_ONLY, SECRET};
use crate::administration::objects::present::beside;
use crate::identity::outbound::tls::MAX_CERTIFICATES;

/// Where definitions stand.
const PLACE: &str = "#/components/schemas/";
/// What is appended to the name of a type where it is described as a request.
const REQUEST: &str = "Request";
/// Most texts with users' authorities, or with their revocation lists, and the longest (`ringwall_trust::user_certificate`).
const MAX_AUTHORITIES: usize = 32;
const MAX_AUTHORITIES_TEXT: usize = 1024 * 1024;
/// The schema of a field that is not known and asks for nothing.
const IDLE: &str = "Idle";

/// Generates schemas, and collects those that have a name.
pub(super) struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    lenient: Vec<String>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = || {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            settings
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
            lenient: Vec::new(),
        }
    }

    /// A request's body; `None` if there is none.
    pub(super) fn taken(&mut self, taken: Taken) -> Option<Value> {
        let schema = match taken {
            Taken::Nothing => return None,
            Taken::Strict(describe) => describe(&mut self.requests),
            Taken::Object(kind) => kind.schema(&mut self.requests),
            Taken::Lenient(describe) => {
                let schema = describe(&mut self.requests);
                let name = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(PLACE));
                self.lenient.extend(name.map(str::to_owned));
                schema
            }
        };
        let mut schema = schema.to_value();
        rename(&mut schema);
        Some(schema)
    }

    /// Whether a request's body must name something: an empty one stands for no fields.
    pub(super) fn wants_fields(&self, schema: &Value) -> bool {
        let definitions = self.requests.definitions();
        let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix(PLACE));
        let named =
            target.and_then(|name| definitions.get(name).or_else(|| definitions.get(name.strip_suffix(REQUEST)?)));
        let required = |schema: &Value| schema["required"].as_array().is_some_and(|names| !names.is_empty());
        named.is_none_or(|schema| required(schema) || schema["oneOf"].is_array())
    }

    /// An answer's body; `None` if there is none.
    pub(super) fn given(&mut self, given: Given) -> Option<Value> {
        match given {
            Given::Nothing => None,
            Given::Anything => Some(json!({})),
            Given::One(describe) | Given::Versioned(describe) => Some(describe(&mut self.answers).to_value()),
            Given::Object(kind) => Some(kind.schema(&mut self.answers).to_value()),
            Given::Many(describe) => Some(self.list(describe)),
            Given::Objects(kind) => {
                let item = kind.schema(&mut self.answers).to_value();
                Some(self.list_of(item))
            }
        }
    }

    fn list(&mut self, describe: Describe) -> Value {
        let item = describe(&mut self.answers).to_value();
        self.list_of(item)
    }

    fn list_of(&mut self, item: Value) -> Value {
        use schemars::JsonSchema;
        let mut list = List::<Value>::json_schema(&mut self.answers).to_value();
        list["properties"]["data"] = json!({ "type": "array", "items": item });
        tighten(&mut list);
        seal(&mut list);
        list
    }

    /// Every schema that has a name.
    pub(super) fn into_named(mut self) -> Map<String, Value> {
        let besides: Vec<_> = ObjectKind::ALL
            .iter()
            .filter_map(|kind| Some((kind.name(), beside(*kind, &mut self.answers)?.to_value())))
            .collect();
        let mut answers = self.answers.take_definitions(true);
        for (name, beside) in besides {
            if let Some(schema) = answers.get_mut(name) {
                *schema = merged(schema, &beside);
            }
        }
        answers = inlined(&answers);
        for schema in answers.values_mut() {
            tighten(schema);
            seal(schema);
        }
        let mut requests = inlined(&self.requests.take_definitions(true));
        for (name, schema) in &mut requests {
            if let Some(kind) = ObjectKind::ALL.iter().find(|kind| kind.name() == name) {
                add_request_fields(*kind, schema);
            }
            match name.as_str() {
                "GlobalSettings" => add_settings_fields(schema),
                "Action" => FOREIGN_ACTION_FIELDS
                    .iter()
                    .for_each(|field| schema["properties"][*field] = json!({ "$ref": format!("{PLACE}{IDLE}") })),
                _ => {}
            }
            tighten(schema);
            permit_null(schema);
            permit_idle(schema, &format!("{PLACE}{IDLE}"), self.lenient.contains(name));
            rename(schema);
        }
        answers.insert(IDLE.to_owned(), idle());
        answers.extend(requests.into_iter().map(|(name, schema)| (requested(&name), schema)));
        answers
    }
}

/// A value that switches nothing on: what is sent so is passed over where it is not known.
fn idle() -> Value {
    let itself = json!({ "$ref": format!("{PLACE}{IDLE}") });
    json!({
        "description": "A field that is not known here is passed over if it asks for nothing.",
        "anyOf": [
            { "type": "null" },
            { "const": false },
            { "type": "string", "maxLength": 0 },
            { "type": "array", "maxItems": 0 },
            { "type": "object", "properties": { "enabled": { "const": false } }, "required": ["enabled"] },
            { "type": "object", "additionalProperties": itself },
        ],
    })
}

/// The Controllers' address has no default that could be kept; the vendor's tools send one setting more.
fn add_settings_fields(schema: &mut Value) {
    schema["required"] = json!(["profileHostname"]);
    for (name, value) in FOREIGN_DEFAULTS {
        schema["properties"][*name] = json!({ "anyOf": [{ "const": value }, { "$ref": format!("{PLACE}{IDLE}") }] });
    }
}

/// What a request of an object may carry beyond the object: secrets, and what answers have.
fn add_request_fields(kind: ObjectKind, schema: &mut Value) {
    let secret = {
        let mut secret = schemars::Schema::default();
        SECRET.describe(&mut secret);
        let mut secret = secret.to_value();
        secret["type"] = json!(["string", "null"]);
        secret["writeOnly"] = true.into();
        secret
    };
    for branch in branches(schema) {
        let word = branch["properties"]["type"]["const"].as_str().map(str::to_owned);
        let secrets = match (kind, word.as_deref()) {
            (ObjectKind::LocalUser, _) => ["password"].as_slice(),
            (ObjectKind::IdentityProvider, Some(word)) => secrets_of(word, IdentityProviderKind::secrets),
            (ObjectKind::MfaProvider, Some(word)) => secrets_of(word, MfaProviderKind::secrets),
            _ => &[],
        };
        for name in secrets {
            branch["properties"][*name] = secret.clone();
        }
        bound_certificates(branch);
        if kind == ObjectKind::CriteriaScript {
            describe_with(IDENTIFIER, &mut branch["properties"]["name"]);
        }
        let own = branch["properties"].clone();
        for name in
            READ_ONLY.iter().filter(|name| own.get(**name).is_none() || **name == "created" || **name == "updated")
        {
            branch["properties"][*name] = json!({ "description": "Set by the system; disregarded in requests." });
        }
        if let Some(required) = branch["required"].as_array_mut() {
            required.retain(|name| name != "id");
        }
        if kind == ObjectKind::ClientProfile {
            // The vendor's tools name the provider instead.
            if let Some(names) = branch["required"].as_array_mut() {
                names.retain(|name| name != "identityProvider");
            }
            branch["anyOf"] = json!([
                { "required": ["identityProvider"], "properties": { "identityProvider": { "type": "string" } } },
                { "required": ["identityProviderName"], "properties": { "identityProviderName": { "type": "string" } } },
            ]);
        }
    }
}

/// How many certificates a provider names, and how long they are, is for those who read them.
fn bound_certificates(branch: &mut Value) {
    for (field, count, length) in [
        ("trustedCertificates", MAX_CERTIFICATES, None),
        ("caCertificates", MAX_AUTHORITIES, Some(MAX_AUTHORITIES_TEXT)),
        ("revocationLists", MAX_AUTHORITIES, Some(MAX_AUTHORITIES_TEXT)),
    ] {
        if let Some(list) = branch["properties"].get_mut(field) {
            list["maxItems"] = count.into();
            if let Some(length) = length {
                list["items"]["maxLength"] = length.into();
            }
        }
    }
}

/// Writes a form into a schema in place of the one that it has.
fn describe_with(form: Form, schema: &mut Value) {
    if let Ok(schema) = <&mut schemars::Schema>::try_from(schema) {
        form.describe(schema);
    }
}

fn secrets_of<K: serde::de::DeserializeOwned>(
    word: &str,
    of: fn(K) -> &'static [&'static str],
) -> &'static [&'static str] {
    serde_json::from_value::<K>(word.into()).map_or(&[], of)
}

/// The name of a type where it is described as a request.
fn requested(name: &str) -> String {
    if name.ends_with(REQUEST) { name.to_owned() } else { format!("{name}{REQUEST}") }
}

/// References of a request lead to schemas of requests.
fn rename(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(target) if key == "$ref" && !target.ends_with(IDLE) => *target = requested(target),
                    other => rename(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        _ => {}
    }
}
