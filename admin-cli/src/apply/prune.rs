//! Which objects go because they carry a tag and are in no file.

use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::what_if::DraftDeletion;
use serde_json::Value;

use super::document::{Target, rank};
use super::known::Known;
use super::plan::Prepared;

/// What `ringwall-controller init` makes, by kind and name: pruning never removes it.
const BUILT_IN: &[(ObjectKind, &str)] = &[
    (ObjectKind::IpPool, "default pool v4"),
    (ObjectKind::IpPool, "default pool v6"),
    (ObjectKind::MfaProvider, "one-time passwords"),
    (ObjectKind::Site, "default site"),
    (ObjectKind::AdministrativeRole, "system administration"),
    (ObjectKind::Policy, "system administrators"),
    (ObjectKind::ClientProfile, "default"),
];

/// What pruning comes to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pruned {
    /// What goes; what refers to others before those.
    pub(crate) deletions: Vec<DraftDeletion>,
    /// Their kinds and names, in the same order.
    pub(crate) names: Vec<String>,
    /// Kinds and names of what carries the tag, is in no file and stays all the same.
    pub(crate) kept: Vec<String>,
}

/// Objects that carry `tag` and are in no file.
pub(crate) fn prune(known: &Known, prepared: &Prepared, tag: &str) -> Pruned {
    let mut pruned = Pruned::default();
    let carries = |object: &Value| object["tags"].as_array().is_some_and(|tags| tags.iter().any(|one| one == tag));
    let mut found: Vec<_> = known.iter().filter(|(_, _, object)| carries(object)).collect();
    found.sort_by_key(|(kind, ..)| std::cmp::Reverse(rank(Target::Object(*kind))));
    for (kind, name, object) in found {
        let Some(id) = object["id"].as_str() else { continue };
        let (told, uuid) = (format!("{kind} {name:?}"), id.parse::<uuid::Uuid>());
        match uuid {
            _ if prepared.has(kind, id) => {}
            Ok(id) if !stays(kind, name, object) => {
                pruned.deletions.push(DraftDeletion { kind, id });
                pruned.names.push(told);
            }
            _ => pruned.kept.push(told),
        }
    }
    pruned
}

/// Whether an object is part of every Collective, or an appliance that has joined.
fn stays(kind: ObjectKind, name: &str, object: &Value) -> bool {
    BUILT_IN.contains(&(kind, name))
        || (kind == ObjectKind::IdentityProvider && object["type"] == "LocalDatabase")
        || (kind == ObjectKind::Appliance && object["activated"] == true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::document::gather;
    use super::*;

    fn id(number: u128) -> String {
        uuid::Uuid::from_u128(number).to_string()
    }

    #[test]
    fn what_carries_the_tag_and_is_in_no_file_goes_and_what_is_built_in_stays() {
        let mut known = Known::default();
        let tagged = |number: u128, name: &str| json!({"id": id(number), "name": name, "tags": ["team", "managed"]});
        known.insert(ObjectKind::Site, vec![tagged(1, "old"), tagged(2, "default site"), tagged(3, "office")]);
        known.insert(
            ObjectKind::Entitlement,
            vec![tagged(4, "gone"), json!({"id": id(5), "name": "by hand", "tags": []})],
        );
        let local = json!({"id": id(6), "name": "local", "type": "LocalDatabase", "tags": ["managed"]});
        known.insert(ObjectKind::IdentityProvider, vec![local]);
        let joined = json!({"id": id(7), "name": "gw1", "activated": true, "tags": ["managed"]});
        let never = json!({"id": id(8), "name": "gw2", "activated": false, "tags": ["managed"]});
        known.insert(ObjectKind::Appliance, vec![joined, never]);
        let file = ("s.yaml".to_owned(), "kind: Site\nname: office\n".to_owned());
        let prepared = Prepared::new(gather(&[file]).expect("valid"), &known, uuid::Uuid::new_v4).expect("valid");
        let pruned = prune(&known, &prepared, "managed");
        assert_eq!(pruned.names, ["Entitlement \"gone\"", "Appliance \"gw2\"", "Site \"old\""], "referrers first");
        assert_eq!(pruned.deletions[0], DraftDeletion { kind: ObjectKind::Entitlement, id: uuid::Uuid::from_u128(4) });
        assert_eq!(pruned.kept, ["Appliance \"gw1\"", "IdentityProvider \"local\"", "Site \"default site\""]);
        assert_eq!(prune(&known, &prepared, "manage"), Pruned::default(), "a tag is compared whole");
    }
}
