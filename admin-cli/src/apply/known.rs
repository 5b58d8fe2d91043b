//! The objects that a Collective has, as its admin API shows them.

use std::collections::BTreeMap;

use ringwall_protocol::object::ObjectKind;
use serde_json::Value;

/// Objects by kind and name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(BTreeMap<ObjectKind, BTreeMap<String, Value>>);

impl Known {
    /// Adds objects of a kind; what has no name is left out.
    pub(crate) fn insert(&mut self, kind: ObjectKind, objects: Vec<Value>) {
        let named = objects.into_iter().filter_map(|object| Some((object["name"].as_str()?.to_owned(), object)));
        self.0.entry(kind).or_default().extend(named);
    }

    /// The id of the object with this name.
    pub(crate) fn id(&self, kind: ObjectKind, name: &str) -> Option<String> {
        Some(self.0.get(&kind)?.get(name)?["id"].as_str()?.to_owned())
    }

    /// The name of the object with this id.
    pub(crate) fn name(&self, kind: ObjectKind, id: &str) -> Option<String> {
        let mut objects = self.0.get(&kind)?.iter();
        objects.find(|(_, object)| object["id"] == id).map(|(name, _)| name.clone())
    }

    /// The name of the object of whatever kind with this id.
    pub(crate) fn name_of_any(&self, id: &str) -> Option<String> {
        self.0.keys().find_map(|kind| self.name(*kind, id))
    }

    /// All objects, kind by kind, in order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ObjectKind, &str, &Value)> {
        self.0
            .iter()
            .flat_map(|(kind, objects)| objects.iter().map(move |(name, object)| (*kind, name.as_str(), object)))
    }
}
