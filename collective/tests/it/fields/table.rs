//! What observes each field.

pub(super) mod access;
pub(super) mod directories;
pub(super) mod identity;
pub(super) mod network;
pub(super) mod people;
pub(super) mod providers;
pub(super) mod settings;

use serde_json::{Value, json};

use super::look::Look;

/// How it is shown that a field does something.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof {
    /// The change differs in what is seen here.
    Seen(Look),
    /// The change is refused under this field: with 422 where the schema says so, otherwise with 409.
    Refused(&'static str),
    /// The system sets it: objects are written back as they were read, and it is not kept.
    System,
    /// An existing test changes it and sees what follows.
    Test(&'static str),
}

/// One field.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// `Kind.field`, or `Kind:Type.field` where only objects of one type have it.
    pub(super) field: &'static str,
    /// The object of the scene that is changed.
    pub(super) object: &'static str,
    /// Changes of objects that the entry starts from.
    pub(super) given: Vec<(&'static str, Value)>,
    /// The change: a patch that touches the field.
    pub(super) change: Value,
    pub(super) proof: Proof,
    /// Whether the object can be put back afterwards.
    pub(super) restored: bool,
}

impl Entry {
    fn new(field: &'static str, object: &'static str, change: Value, proof: Proof) -> Self {
        Self { field, object, given: Vec::new(), change, proof, restored: true }
    }

    fn given(mut self, object: &'static str, patch: Value) -> Self {
        self.given.push((object, patch));
        self
    }

    fn for_good(self) -> Self {
        Self { restored: false, ..self }
    }
}

/// A change of a field is seen.
fn seen(field: &'static str, object: &'static str, look: Look, change: Value) -> Entry {
    Entry::new(field, object, change, Proof::Seen(look))
}

/// A change of a field is refused by its name.
fn refused(field: &'static str, object: &'static str, named: &'static str, change: Value) -> Entry {
    Entry::new(field, object, change, Proof::Refused(named))
}

/// A test sees what a change of a field does.
fn tested(field: &'static str, test: &'static str) -> Entry {
    Entry::new(field, "", Value::Null, Proof::Test(test))
}

/// The system sets a field.
fn system(field: &'static str, object: &'static str, change: Value) -> Entry {
    Entry::new(field, object, change, Proof::System)
}

/// The fields that every object has. Those that only describe it are what lists are searched by.
macro_rules! base {
    ($kind:literal, $object:literal, $name:expr) => {
        [
            $crate::fields::table::refused(concat!($kind, ".id"), $object, "id", serde_json::json!({"id": "0190a000-0000-4000-8000-00000000000f"})),
            $name,
            $crate::fields::table::seen(concat!($kind, ".notes"), $object, $crate::fields::look::Look::Listed, serde_json::json!({"notes": "this is sought for"})),
            $crate::fields::table::seen(concat!($kind, ".tags[]"), $object, $crate::fields::look::Look::Listed, serde_json::json!({"tags": ["sought"]})),
            $crate::fields::table::system(concat!($kind, ".created"), $object, serde_json::json!({"created": "2020-01-01T00:00:00.000Z"})),
            $crate::fields::table::system(concat!($kind, ".updated"), $object, serde_json::json!({"updated": "2020-01-01T00:00:00.000Z"})),
        ]
    };
}
pub(super) use base;

/// The name of an object that can get another one.
fn name(field: &'static str, object: &'static str) -> Entry {
    seen(field, object, Look::Listed, json!({"name": "sought"}))
}

/// The whole table.
pub(super) fn all() -> Vec<Entry> {
    let parts = [
        network::entries(),
        access::entries(),
        people::entries(),
        identity::entries(),
        directories::entries(),
        providers::entries(),
        settings::entries(),
    ];
    parts.into_iter().flatten().collect()
}
