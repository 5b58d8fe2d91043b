//! What `ringctl apply` reads: YAML documents of objects, with names where the API wants ids. Pure.

use anyhow::{Context, Result, bail, ensure};
use ringwall_protocol::object::ObjectKind;
use serde_json::{Map, Value};

use crate::command::parse_kind;
use crate::exit_code::InvalidInput;

/// Most objects in one file.
const MAX_DOCUMENTS: usize = 10_000;

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The Collective's settings.
    GlobalSettings,
    /// An object of this kind.
    Object(ObjectKind),
}

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it is about.
    pub target: Target,
    /// Its fields, without `kind`.
    pub body: Value,
}

impl Document {
    /// Its name; empty for the settings.
    #[must_use]
    pub fn name(&self) -> &str {
        self.body["name"].as_str().unwrap_or_default()
    }

    /// Its kind, for people.
    #[must_use]
    pub(crate) fn kind_name(&self) -> String {
        match self.target {
            Target::GlobalSettings => "GlobalSettings".to_owned(),
            Target::Object(kind) => kind.to_string(),
        }
    }
}

/// Reads all documents and sorts them so that what is referred to comes first.
///
/// # Errors
/// If the text is no YAML, or a document has no known `kind` or no `name`.
pub fn read_documents(text: &str) -> Result<Vec<Document>> {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| InvalidInput(format!("not valid YAML: {error}")))?;
    if values.len() > MAX_DOCUMENTS {
        return Err(InvalidInput(format!("more than {MAX_DOCUMENTS} documents")).into());
    }
    let read = |(at, value): (usize, Value)| -> Result<Document> {
        Ok(document(value).map_err(|error| InvalidInput(format!("document {}: {error:#}", at + 1)))?)
    };
    let present = values.into_iter().enumerate().filter(|(_, value)| !value.is_null());
    let mut documents = present.map(read).collect::<Result<Vec<_>>>()?;
    documents.sort_by_key(|document| rank(document.target));
    Ok(documents)
}

fn document(value: Value) -> Result<Document> {
    let Value::Object(mut map) = value else { bail!("expected fields, the first of them `kind`") };
    let kind = map.remove("kind").context("`kind` is missing")?;
    let kind = kind.as_str().context("`kind` must be a text")?;
    if kind.eq_ignore_ascii_case("GlobalSettings") {
        return Ok(Document { target: Target::GlobalSettings, body: Value::Object(map) });
    }
    let target = Target::Object(parse_kind(kind)?);
    ensure!(map.get("name").is_some_and(Value::is_string), "`name` is missing or no text");
    Ok(Document { target, body: Value::Object(map) })
}

const fn rank(target: Target) -> u8 {
    match target {
        Target::GlobalSettings => 0,
        Target::Object(kind) => match kind {
            ObjectKind::IpPool | ObjectKind::MfaProvider => 1,
            ObjectKind::Site => 2,
            ObjectKind::Appliance | ObjectKind::IdentityProvider => 3,
            ObjectKind::LocalUser
            | ObjectKind::Condition
            | ObjectKind::CriteriaScript
            | ObjectKind::AdministrativeRole => 4,
            ObjectKind::Entitlement => 5,
            ObjectKind::Policy | ObjectKind::ClientProfile => 6,
        },
    }
}

/// Where an object refers to others: a path of fields (`*` goes into a list) and the kinds that may stand there.
const fn references(kind: ObjectKind) -> &'static [(&'static [&'static str], &'static [ObjectKind])] {
    use ObjectKind as K;
    match kind {
        K::Site => &[
            (&["fallbackSite"], &[K::Site]),
            (&["ipPoolMappings", "*", "from"], &[K::IpPool]),
            (&["ipPoolMappings", "*", "to"], &[K::IpPool]),
        ],
        K::Appliance => &[(&["site"], &[K::Site])],
        K::Entitlement => &[(&["site"], &[K::Site]), (&["conditions", "*"], &[K::Condition])],
        K::Condition => &[(&["remedyMethods", "*", "providerId"], &[K::MfaProvider, K::IdentityProvider])],
        K::Policy => &[
            (&["entitlements", "*"], &[K::Entitlement]),
            (&["overrideSite"], &[K::Site]),
            (&["administrativeRoles", "*"], &[K::AdministrativeRole]),
        ],
        K::IdentityProvider => &[
            (&["ipPoolV4"], &[K::IpPool]),
            (&["ipPoolV6"], &[K::IpPool]),
            (&["onBoarding2FA", "mfaProviderId"], &[K::MfaProvider]),
        ],
        K::ClientProfile => &[(&["identityProvider"], &[K::IdentityProvider])],
        K::CriteriaScript | K::MfaProvider | K::LocalUser | K::IpPool | K::AdministrativeRole => &[],
    }
}

/// Replaces names in references by ids. `find` gives the id of an object by kind and name.
///
/// # Errors
/// If a name is unknown.
pub fn resolve(kind: ObjectKind, mut body: Value, find: impl Fn(ObjectKind, &str) -> Option<String>) -> Result<Value> {
    for (path, kinds) in references(kind) {
        replace(&mut body, path, &|name| {
            if name.parse::<uuid::Uuid>().is_ok() {
                return Ok(name.to_owned());
            }
            kinds.iter().find_map(|kind| find(*kind, name)).ok_or_else(|| {
                let kinds: Vec<_> = kinds.iter().map(ToString::to_string).collect();
                InvalidInput(format!("{}: there is no {} {name:?}", path.join("."), kinds.join(" or "))).into()
            })
        })?;
    }
    Ok(body)
}

fn replace(value: &mut Value, path: &[&str], with: &impl Fn(&str) -> Result<String>) -> Result<()> {
    match (path, value) {
        ([], Value::String(name)) => *name = with(name)?,
        (["*", rest @ ..], Value::Array(items)) => {
            for item in items {
                replace(item, rest, with)?;
            }
        }
        ([field, rest @ ..], Value::Object(map)) => {
            if let Some(inner) = map.get_mut(*field) {
                replace(inner, rest, with)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether everything that is wanted is there already. Secrets cannot be compared: the Controller is asked to write them
/// and tells whether it had to.
#[must_use]
pub(crate) fn same(wanted: &Value, there: &Value) -> bool {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) => contains(wanted, there),
        (Value::Array(wanted), Value::Array(there)) => {
            wanted.len() == there.len() && wanted.iter().zip(there).all(|(wanted, there)| same(wanted, there))
        }
        (Value::Number(wanted), Value::Number(there)) => wanted.as_f64() == there.as_f64(),
        (wanted, there) => wanted == there,
    }
}

fn contains(wanted: &Map<String, Value>, there: &Map<String, Value>) -> bool {
    wanted.iter().all(|(name, value)| there.get(name).is_some_and(|known| same(value, known)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_sorted_by_what_they_refer_to() {
        let text = "kind: Policy\nname: p\n---\nkind: entitlement\nname: e\n---\nkind: Site\nname: s\n---\nkind: GlobalSettings\nspaMode: TCP\n";
        let kinds: Vec<_> = read_documents(text).expect("valid").iter().map(Document::kind_name).collect();
        assert_eq!(kinds, ["GlobalSettings", "Site", "Entitlement", "Policy"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let message = |text: &str| format!("{:#}", read_documents(text).expect_err("refused"));
        assert!(message("name: x").contains("document 1: `kind` is missing"));
        assert!(
            message("kind: Site\nname: a\n---\nkind: Castle\nname: b").contains("document 2: unknown kind \"Castle\"")
        );
        assert!(message("kind: Site").contains("`name` is missing"));
        assert!(message("kind: [").contains("not valid YAML"));
    }

    #[test]
    fn names_become_ids_and_unknown_ones_are_named() {
        let id = "4c07bc67-57ea-42dd-b702-c2d6c45419fc";
        let find =
            |kind: ObjectKind, name: &str| (kind == ObjectKind::MfaProvider && name == "otp").then(|| id.to_owned());
        let body = json!({"name": "c", "remedyMethods": [{"providerId": "otp"}, {"message": "m"}]});
        let resolved = resolve(ObjectKind::Condition, body, find).expect("known");
        assert_eq!(resolved["remedyMethods"][0]["providerId"], id);
        let error = resolve(ObjectKind::Entitlement, json!({"site": "nowhere"}), find).expect_err("unknown");
        assert_eq!(error.to_string(), "site: there is no Site \"nowhere\"");
    }

    #[test]
    fn what_the_file_leaves_out_is_no_difference() {
        let there = json!({"name": "s", "vpn": {"snat": true, "dtls": {"enabled": false}}, "leaseSeconds": 15});
        assert!(same(&json!({"name": "s", "vpn": {"snat": true}}), &there));
        assert!(!same(&json!({"name": "s", "vpn": {"snat": false}}), &there));
        assert!(!same(&json!({"name": "s", "password": "p"}), &there));
    }
}
