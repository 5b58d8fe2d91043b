//! What files come to: a request with ids where they have names, and where each of its objects stands.

use std::collections::BTreeMap;

use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::what_if::{Draft, DraftDeletion, DraftObject};
use serde_json::Value;
use uuid::Uuid;

use super::document::{Document, Place, Target};
use super::known::Known;
use super::reference::resolve;
use crate::exit_code::InvalidFile;

/// Documents that are ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The settings that a document names, and where it stands.
    pub(crate) settings: Option<(Place, Value)>,
    /// Objects in the order of their references, each with its id.
    pub(crate) objects: Vec<DraftObject>,
    /// Where each of them stands.
    pub(crate) places: Vec<Place>,
}

impl Prepared {
    /// Replaces names by ids; objects that are not known get one from `new_id`.
    ///
    /// # Errors
    /// Every reference that leads to nothing, with its place.
    pub(crate) fn new(
        documents: Vec<Document>,
        known: &Known,
        mut new_id: impl FnMut() -> Uuid,
    ) -> Result<Self, InvalidFile> {
        let mut ids: BTreeMap<(ObjectKind, String), String> = BTreeMap::new();
        for document in &documents {
            let Target::Object(kind) = document.target else { continue };
            let own = document.body["id"].as_str().map(str::to_owned);
            let id = own.or_else(|| known.id(kind, document.name())).unwrap_or_else(|| new_id().to_string());
            ids.insert((kind, document.name().to_owned()), id);
        }
        let find =
            |kind: ObjectKind, name: &str| ids.get(&(kind, name.to_owned())).cloned().or_else(|| known.id(kind, name));
        let (mut prepared, mut faults) = (Self::default(), Vec::new());
        for document in documents {
            let (name, kind_name) = (document.name().to_owned(), document.kind_name());
            let Document { place, target, body } = document;
            let Target::Object(kind) = target else {
                prepared.settings = Some((place, body));
                continue;
            };
            match resolve(kind, body, find) {
                Ok(mut object) => {
                    object["id"] = ids[&(kind, name)].clone().into();
                    prepared.objects.push(DraftObject { kind, object });
                    prepared.places.push(place);
                }
                Err(why) => {
                    faults.extend(why.iter().map(|why| format!("{place}: {kind_name} {name:?}: {why}")));
                }
            }
        }
        if faults.is_empty() { Ok(prepared) } else { Err(InvalidFile(faults)) }
    }

    /// Whether one of the objects has this id.
    pub(crate) fn has(&self, kind: ObjectKind, id: &str) -> bool {
        self.objects.iter().any(|one| one.kind == kind && one.object["id"] == id)
    }

    /// The objects as a draft, without passwords: those decide nothing about access and need not travel.
    pub(crate) fn draft(&self, deletions: &[DraftDeletion]) -> Draft {
        let objects = self.objects.iter().cloned().map(|mut one| {
            if let Some(fields) = one.object.as_object_mut() {
                fields.remove("password");
            }
            one
        });
        Draft { objects: objects.collect(), deletions: deletions.to_vec() }
    }
}

/// Writes the fields of `changes` over those of `settings`: settings are no object, and those that are left out stay.
pub(crate) fn overlay(settings: &mut Value, changes: &Value) {
    if let (Value::Object(settings), Value::Object(changes)) = (settings, changes) {
        settings.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// A text of the Controller with the place in a file for `objects[n]` at its beginning.
pub(crate) fn relocated(text: &str, places: &[Place]) -> String {
    let split = text.strip_prefix("objects[").and_then(|rest| rest.split_once(']'));
    let found = split.and_then(|(at, rest)| Some((places.get(at.parse::<usize>().ok()?)?, rest)));
    match found {
        Some((place, rest)) => format!("{place}: {}", rest.trim_start_matches(['.', ':', ' '])),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::document::gather;
    use super::*;

    const SITE: &str = "4c07bc67-57ea-42dd-b702-c2d6c45419fc";
    const NEW: Uuid = Uuid::from_u128(7);

    fn known() -> Known {
        let mut known = Known::default();
        known.insert(ObjectKind::Site, vec![json!({"id": SITE, "name": "office"})]);
        known
    }

    fn prepared(text: &str) -> Result<Prepared, InvalidFile> {
        Prepared::new(gather(&[("s.yaml".to_owned(), text.to_owned())])?, &known(), || NEW)
    }

    #[test]
    fn objects_get_ids_by_which_others_refer_to_them() {
        let text = "kind: Policy\nname: p\nentitlements: [e]\n---\nkind: Entitlement\nname: e\nsite: office\n---\n\
                    kind: Site\nname: office\n---\nkind: GlobalSettings\nspaMode: TCP\n";
        let prepared = prepared(text).expect("valid");
        let objects: Vec<&Value> = prepared.objects.iter().map(|one| &one.object).collect();
        assert_eq!((&objects[0]["id"], &objects[1]["site"]), (&json!(SITE), &json!(SITE)));
        assert_eq!((&objects[1]["id"], &objects[2]["entitlements"]), (&json!(NEW), &json!([NEW])));
        assert_eq!(prepared.settings.as_ref().map(|(place, _)| place.line), Some(12));
        assert!(prepared.has(ObjectKind::Site, SITE) && !prepared.has(ObjectKind::Entitlement, SITE));
    }

    #[test]
    fn references_that_lead_to_nothing_are_all_told_with_their_places() {
        let text =
            "kind: Entitlement\nname: e\nsite: no such site\n---\nkind: Policy\nname: p\nentitlements: [nothing]\n";
        let expected = [
            "s.yaml:1 (document 1): Entitlement \"e\": site: there is no Site \"no such site\"",
            "s.yaml:5 (document 2): Policy \"p\": entitlements: there is no Entitlement \"nothing\"",
        ];
        assert_eq!(prepared(text).expect_err("refused").0, expected);
    }

    #[test]
    fn passwords_are_in_no_draft() {
        let prepared = prepared("kind: LocalUser\nname: alice\npassword: secret\n").expect("valid");
        assert_eq!(prepared.objects[0].object["password"], "secret");
        assert!(prepared.draft(&[]).objects[0].object.get("password").is_none());
    }

    #[test]
    fn what_a_controller_says_of_an_object_is_told_with_its_place() {
        let places = [Place { file: "s.yaml".to_owned(), line: 9, number: 2 }];
        assert_eq!(relocated("objects[0].actions[1].hosts", &places), "s.yaml:9 (document 2): actions[1].hosts");
        assert_eq!(relocated("objects[0] (\"e\"): taken", &places), "s.yaml:9 (document 2): (\"e\"): taken");
        for other in ["objects[1].name", "objects", "settings.spaMode", "objects[x].name"] {
            assert_eq!(relocated(other, &places), other);
        }
    }

    #[test]
    fn settings_that_are_left_out_stay() {
        let mut settings = json!({"spaMode": "TCP", "profileHostname": "sdp.example:443"});
        overlay(&mut settings, &json!({"spaMode": "UDP-TCP"}));
        assert_eq!(settings, json!({"spaMode": "UDP-TCP", "profileHostname": "sdp.example:443"}));
    }
}
