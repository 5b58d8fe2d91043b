//! What administrators send: bodies of objects, parameters of lists, the header that names a version.

use ringwall_protocol::object::{Object, ObjectKind};
use ringwall_protocol::wire::admin::{FieldError, LOWEST_VERSION, VERSION};
use ringwall_raft::State;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{accept, body};
use crate::administration::objects::decode::Body;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::objects::validate::validate;

/// Most errors that one answer names.
const MAX_ERRORS: usize = 64;
const ID: Uuid = Uuid::from_u128(7);

/// The kind, then a body: an object that is taken says the same when it is sent back, and is judged the same.
#[must_use]
pub fn admin_object(bytes: &[u8]) -> bool {
    let Some((kind, sent)) = bytes.split_first() else { return false };
    let kind = ObjectKind::ALL[usize::from(*kind) % ObjectKind::ALL.len()];
    let Ok(value) = body::parse(sent) else { return false };
    let object = match read(value, kind) {
        Ok(object) => object,
        Err(errors) => {
            are_tellable(&errors);
            return false;
        }
    };
    assert_eq!((object.kind(), object.id()), (kind, ID));
    let state = State::default();
    let faults = validate(&object, None, &state).into_errors();
    assert!(faults.len() <= MAX_ERRORS);
    let again = serde_json::to_value(&object).expect("an object serialises");
    // The form that is kept has a kind, which is no field of a body.
    let again = match again {
        Value::Object(mut fields) => {
            fields.remove("kind");
            Value::Object(fields)
        }
        other => other,
    };
    let again = read(again, kind).unwrap_or_else(|errors| panic!("sent back it is refused: {errors:?}"));
    assert_eq!(again, object);
    assert_eq!(validate(&again, None, &state).into_errors(), faults);
    true
}

fn read(value: Value, kind: ObjectKind) -> Result<Object, Vec<FieldError>> {
    let mut body = Body::new(value)?;
    drop((body.take_password(), body.take_secrets()));
    drop(body.id());
    body.into_object(kind, ID)
}

fn are_tellable(errors: &[FieldError]) {
    assert!((1..=MAX_ERRORS).contains(&errors.len()), "{} errors", errors.len());
    assert!(errors.iter().all(|error| !error.message.is_empty()));
}

/// A line `accept`, then lines `name=value`: what is found is in the list, is what was asked for, and in order.
#[must_use]
pub fn list_parameters(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut lines = text.lines();
    let accept = lines.next().unwrap_or_default();
    if let Some(version) = accept::asked_version(accept) {
        let named = |version: u16| accept.to_ascii_lowercase().contains(&version.to_string());
        assert!((LOWEST_VERSION..=VERSION).contains(&version) || accept.contains('0') || named(version));
    }
    let parameters: Vec<(String, String)> = lines
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let wanted = match Wanted::parse(&parameters) {
        Ok(wanted) => wanted,
        Err(errors) => {
            are_tellable(&errors);
            return false;
        }
    };
    let list = wanted.of(items(), Habits::OBJECTS);
    assert_eq!(list.total_count, items().len());
    assert!(list.data.iter().all(|item| items().contains(item)));
    let mut turned: Vec<(String, String)> = parameters.into_iter().filter(|(name, _)| name != "range").collect();
    let whole = Wanted::parse(&turned).expect("fewer parameters").of(items(), Habits::OBJECTS);
    assert!(list.data.is_empty() || whole.data.windows(list.data.len()).any(|part| part == list.data));
    turned.push(("descending".to_owned(), (!whole.descending).to_string()));
    if let Ok(turned) = Wanted::parse(&turned) {
        assert_eq!(turned.of(items(), Habits::OBJECTS).data.len(), whole.data.len());
    }
    true
}

fn items() -> Vec<Value> {
    vec![
        json!({"id": 1, "name": "web", "tags": ["prod"], "site": {"name": "eu"}, "weight": 0.5}),
        json!({"id": 2, "name": "Database", "tags": ["prod", "db"], "disabled": true, "weight": -3}),
        json!({"id": 3, "name": "webmail", "tags": [], "weight": u64::MAX}),
        json!({"id": 4, "name": null, "tags": [["a"], 7], "disabled": false}),
        json!({"id": "5", "name": "İstanbul", "site": 9}),
    ]
}
