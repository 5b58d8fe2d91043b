//! Bodies of objects: from the JSON of the admin API to an [`Object`]. Pure.
//!
//! Absent and `null` fields have their defaults. A field that Ringwall does not know is refused by name, because whoever
//! sends it counts on it; only one that asks for nothing (`false`, empty, `{"enabled": false}`) is passed over.

mod locate;

use std::collections::BTreeMap;

use ringwall_protocol::form::Form;
use ringwall_protocol::object::identity_provider::ProviderSettings;
use ringwall_protocol::object::{Object, ObjectKind};
use ringwall_protocol::wire::admin::FieldError;
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) use locate::locate;

use crate::identity::directory::secrets;

/// Most errors that one answer names.
const MAX_ERRORS: usize = 64;
/// Fields of answers that are no fields of orders: whoever reads, changes and writes back sends them too.
pub(crate) const READ_ONLY: &[&str] = &[
    "created",
    "updated",
    "siteName",
    "identityProviderName",
    "globalHostname",
    "exported",
    "total",
    "currentlyUsed",
    "reserved",
    "failedLoginAttempts",
    "lockStart",
    "passwordSet",
    "secretsSet",
    "weaknesses",
    "locked",
];
/// Nested fields that the vendor's tools send with an entitlement's actions, and that Ringwall does not have.
pub(crate) const FOREIGN_ACTION_FIELDS: &[&str] = &["methods", "monitor"];

/// What an operator hears who would connect a SAML provider.
pub(crate) const NO_SAML: &str = "Saml is not supported: no library for it withstood our tests. Connect the provider as Oidc, which nearly \
                           every provider that speaks SAML speaks too";

/// A secret of a provider: a RADIUS secret has at most 253 bytes in practice, a client secret some hundred.
pub(crate) const SECRET: Form =
    Form::matching("^[^\\u0000]*$", 0, 1_024, "is a text of at most 1024 characters without NUL");

/// An object's body, read.
pub(crate) struct Body {
    fields: Map<String, Value>,
    password: Option<Zeroizing<String>>,
    secrets: Secrets,
}

/// Secrets that came with a provider, by field.
pub(crate) type Secrets = BTreeMap<&'static str, Zeroizing<String>>;

impl Body {
    /// Takes a body apart: the password, if it has one, is kept aside.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub(crate) fn new(body: Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(mut fields) = body else {
            return Err(vec![error("", "expected an object")]);
        };
        let password = match fields.remove("password") {
            None | Some(Value::Null) => None,
            Some(Value::String(password)) if password.is_empty() => None,
            Some(Value::String(password)) => Some(Zeroizing::new(password)),
            Some(_) => return Err(vec![error("password", "expected a text")]),
        };
        let mut secrets = Secrets::new();
        for field in secrets::FIELDS {
            match fields.remove(field) {
                None | Some(Value::Null) => {}
                Some(Value::String(secret)) if secret.is_empty() => {}
                Some(Value::String(secret)) if SECRET.fits(&secret) => {
                    secrets.insert(field, Zeroizing::new(secret));
                }
                Some(_) => return Err(vec![error(field, SECRET.rule)]),
            }
        }
        without_nulls(&mut fields);
        // Serde would take a number for the place of a type in the list of all.
        if fields.get("type").is_some_and(|kind| !kind.is_string()) {
            return Err(vec![error("type", "expected a text")]);
        }
        Ok(Self { fields, password, secrets })
    }

    /// The password that came with it.
    pub(crate) fn take_password(&mut self) -> Option<Zeroizing<String>> {
        self.password.take()
    }

    /// The secrets that came with it.
    pub(crate) fn take_secrets(&mut self) -> Secrets {
        std::mem::take(&mut self.secrets)
    }

    /// A field as it came.
    #[must_use]
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Sets a field that the caller gave in another form.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// The id that the caller chose.
    ///
    /// # Errors
    /// If it is no UUID.
    pub(crate) fn id(&self) -> Result<Option<Uuid>, Vec<FieldError>> {
        match self.fields.get("id") {
            None => Ok(None),
            Some(Value::String(text)) => match text.parse() {
                Ok(id) => Ok(Some(id)),
                Err(_) => Err(vec![error("id", "expected a UUID")]),
            },
            Some(_) => Err(vec![error("id", "expected a UUID")]),
        }
    }

    /// The object with this id.
    ///
    /// # Errors
    /// Field by field: what is missing, of the wrong type, or not known.
    pub(crate) fn into_object(mut self, kind: ObjectKind, id: Uuid) -> Result<Object, Vec<FieldError>> {
        if self.password.is_some() && kind != ObjectKind::LocalUser {
            return Err(vec![error("password", "is not known here")]);
        }
        if let Some(field) = self.secrets.keys().next() {
            return Err(vec![error(field, "is not known here")]);
        }
        READ_ONLY.iter().for_each(|name| drop(self.fields.remove(*name)));
        if kind == ObjectKind::Entitlement {
            drop_idle_action_fields(&mut self.fields);
        }
        self.fields.insert("id".to_owned(), id.to_string().into());
        self.fields.insert("kind".to_owned(), kind.to_string().into());
        let sent = Value::Object(self.fields);
        let read = |value: &Value| serde_json::from_value::<Object>(value.clone());
        let object = read(&sent).map_err(|_| vec![locate(&sent, &|value| read(value).map(drop))])?;
        // Before its fields are found unknown one by one: none of them would help.
        if matches!(&object, Object::IdentityProvider(provider) if provider.settings == ProviderSettings::Saml) {
            return Err(vec![error("type", NO_SAML)]);
        }
        let mut unknown = Vec::new();
        let known = serde_json::to_value(&object).unwrap_or_default();
        find_unknown(&sent, &known, "", &mut unknown);
        if unknown.is_empty() { Ok(object) } else { Err(unknown) }
    }
}

/// Adds what `sent` asks for and `known` does not have.
pub(crate) fn find_unknown(sent: &Value, known: &Value, path: &str, unknown: &mut Vec<FieldError>) {
    match (sent, known) {
        (Value::Object(sent), Value::Object(known)) => {
            for (name, value) in sent {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match known.get(name) {
                    Some(known) => find_unknown(value, known, &path, unknown),
                    None if asks_nothing(value) || unknown.len() >= MAX_ERRORS => {}
                    None => unknown.push(error(&path, "is not known or not supported here")),
                }
            }
        }
        (Value::Array(sent), Value::Array(known)) if sent.len() == known.len() => {
            for (at, (sent, known)) in sent.iter().zip(known).enumerate() {
                find_unknown(sent, known, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

/// Whether a field that is not known can be passed over, because it switches nothing on.
fn asks_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.get("enabled") == Some(&Value::Bool(false)) || map.values().all(asks_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

pub(crate) fn without_nulls(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !value.is_null());
    for value in fields.values_mut() {
        match value {
            Value::Object(nested) => without_nulls(nested),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(without_nulls),
            _ => {}
        }
    }
}

fn drop_idle_action_fields(fields: &mut Map<String, Value>) {
    let actions = fields.get_mut("actions").and_then(Value::as_array_mut);
    for action in actions.into_iter().flatten().filter_map(Value::as_object_mut) {
        for name in FOREIGN_ACTION_FIELDS {
            if action.get(*name).is_some_and(asks_nothing) {
                action.remove(*name);
            }
        }
    }
}

fn error(field: &str, message: &str) -> FieldError {
    FieldError { field: field.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: ObjectKind, body: Value) -> Result<Object, Vec<FieldError>> {
        Body::new(body)?.into_object(kind, Uuid::from_u128(7))
    }

    fn fields(kind: ObjectKind, body: Value) -> Vec<String> {
        read(kind, body).expect_err("refused").into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn absent_and_null_fields_have_their_defaults() {
        let object = read(ObjectKind::Site, json!({"name": "office", "notes": null, "vpn": {"snat": null}}));
        let Ok(Object::Site(site)) = object else { panic!("not a site: {object:?}") };
        assert_eq!((site.base.name.as_str(), site.vpn.snat, site.lease_seconds), ("office", true, 15));
        assert_eq!(site.base.id.uuid(), Uuid::from_u128(7));
    }

    #[test]
    fn a_type_is_a_text_and_no_place_in_a_list() {
        assert_eq!(fields(ObjectKind::MfaProvider, json!({"name": "otp", "type": 0})), ["type"]);
        assert!(read(ObjectKind::MfaProvider, json!({"name": "otp", "type": "DefaultTimeBased"})).is_ok());
    }

    #[test]
    fn unknown_fields_are_refused_unless_they_ask_for_nothing() {
        let idle = json!({"name": "s", "geolocation": {}, "localSiteDetection": {"enabled": false, "publicIps": []},
            "defaultGateway": {"enabledV4": false}, "shortName": "", "created": "2024-01-01T00:00:00Z"});
        assert!(read(ObjectKind::Site, idle).is_ok());
        assert_eq!(
            fields(ObjectKind::Site, json!({"name": "s", "defaultGateway": {"enabledV4": true}})),
            ["defaultGateway"]
        );
        assert_eq!(fields(ObjectKind::Site, json!({"name": "s", "vpn": {"tls": {"enabled": true}}})), ["vpn.tls"]);
        assert_eq!(fields(ObjectKind::Site, json!({"name": "s", "password": "p"})), ["password"]);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        assert_eq!(fields(ObjectKind::Site, json!({})), ["name"]);
        assert_eq!(fields(ObjectKind::Site, json!({"name": 5})), ["name"]);
        assert_eq!(
            fields(ObjectKind::Site, json!({"name": "s", "networkSubnets": ["10.0.0.0/8", "x"]})),
            ["networkSubnets[1]"]
        );
        assert_eq!(fields(ObjectKind::Site, json!({"name": "s", "vpn": {"snat": "yes"}})), ["vpn.snat"]);
        let action = |more: Value| {
            let mut action = json!({"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"]});
            action.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            json!({"name": "e", "site": Uuid::nil(), "actions": [action]})
        };
        assert!(read(ObjectKind::Entitlement, action(json!({"monitor": {"enabled": false, "timeout": 30}}))).is_ok());
        assert_eq!(
            fields(ObjectKind::Entitlement, action(json!({"monitor": {"enabled": true}}))),
            ["actions[0].monitor"]
        );
        assert_eq!(fields(ObjectKind::Entitlement, action(json!({"subtype": "tcp"}))), ["actions[0].subtype"]);
        assert_eq!(fields(ObjectKind::Entitlement, json!({"name": "e", "site": "x", "actions": []})), ["site"]);
        assert_eq!(fields(ObjectKind::Entitlement, json!({"name": "e", "actions": []})), ["site"]);
    }

    #[test]
    fn a_password_is_kept_apart_and_belongs_to_users() {
        let Ok(mut body) = Body::new(json!({"name": "alice", "password": "secret"})) else { panic!("no object") };
        assert_eq!(body.take_password().expect("given").as_str(), "secret");
        assert!(body.into_object(ObjectKind::LocalUser, Uuid::nil()).is_ok());
    }
}
