//! Objects as a file that `apply` takes: names where the API has ids, without what the system sets. Applied where it came
//! from, it changes nothing.

use anyhow::{Context, Result};
use ringwall_protocol::object::ObjectKind;
use serde_json::Value;

use super::document::{Target, rank};
use super::known::Known;
use super::reference::unresolve;

/// Fields of answers that no file names: set by the system, or shown for convenience.
const LEFT_OUT: &[&str] = &[
    "id",
    "created",
    "updated",
    "siteName",
    "identityProviderName",
    "globalHostname",
    "exported",
    "passwordSet",
    "locked",
    "secretsSet",
    "weaknesses",
    "activated",
    "state",
    "keyGeneration",
    "total",
    "currentlyUsed",
    "reserved",
    "failedLoginAttempts",
    "lockStart",
];

/// YAML documents of the objects that `wanted` takes, and of the settings if given.
///
/// # Errors
/// If an object cannot be written as YAML.
pub(crate) fn export(
    known: &Known,
    settings: Option<&Value>,
    wanted: impl Fn(ObjectKind, &Value) -> bool,
) -> Result<String> {
    let mut documents = Vec::new();
    if let Some(settings) = settings {
        documents.push(document("GlobalSettings", settings)?);
    }
    let mut objects: Vec<_> = known.iter().filter(|(kind, _, object)| wanted(*kind, object)).collect();
    objects.sort_by_key(|(kind, ..)| rank(Target::Object(*kind)));
    for (kind, _, object) in objects {
        let mut body = object.clone();
        unresolve(kind, &mut body, |kind, id| known.name(kind, id));
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, value| !LEFT_OUT.contains(&name.as_str()) && !value.is_null());
        }
        documents.push(document(kind.name(), &body)?);
    }
    Ok(documents.join("---\n"))
}

fn document(kind: &str, body: &Value) -> Result<String> {
    let text = serde_saphyr::to_string(body).with_context(|| format!("cannot write a {kind} as YAML"))?;
    Ok(format!("kind: {kind}\n{}\n", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::super::document::gather;
    use super::super::plan::Prepared;
    use super::*;

    const SITE: &str = "4c07bc67-57ea-42dd-b702-c2d6c45419fc";
    const WEB: &str = "5c07bc67-57ea-42dd-b702-c2d6c45419fc";

    fn known() -> Known {
        let mut known = Known::default();
        let site = json!({"id": SITE, "name": "office: main", "created": "2026-01-01T00:00:00Z", "graceSeconds": null,
            "leaseSeconds": 15, "vpn": {"snat": true, "dtls": {"enabled": false}}});
        known.insert(ObjectKind::Site, vec![site]);
        let web = json!({"id": WEB, "name": "yes", "site": SITE, "siteName": "office: main", "tags": ["a", "007"],
            "notes": "two\nlines", "actions": [{"subtype": "tcp_up", "hosts": ["10.20.0.10"], "ports": ["80"]}]});
        known.insert(ObjectKind::Entitlement, vec![web]);
        known
    }

    #[test]
    fn what_is_exported_is_read_as_what_it_was() {
        let known = known();
        let text = export(&known, Some(&json!({"spaMode": "TCP"})), |_, _| true).expect("written");
        let documents = gather(&[("out.yaml".to_owned(), text.clone())]).unwrap_or_else(|why| panic!("{why}\n{text}"));
        let prepared = Prepared::new(documents, &known, Uuid::new_v4).unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert_eq!(prepared.settings.as_ref().map(|(_, body)| body), Some(&json!({"spaMode": "TCP"})));
        let objects: Vec<&Value> = prepared.objects.iter().map(|one| &one.object).collect();
        let expected = json!({"id": SITE, "name": "office: main", "leaseSeconds": 15,
            "vpn": {"snat": true, "dtls": {"enabled": false}}});
        assert_eq!(objects[0], &expected, "{text}");
        let expected = json!({"id": WEB, "name": "yes", "site": SITE, "tags": ["a", "007"], "notes": "two\nlines",
            "actions": [{"subtype": "tcp_up", "hosts": ["10.20.0.10"], "ports": ["80"]}]});
        assert_eq!(objects[1], &expected, "{text}");
    }

    #[test]
    fn names_stand_for_ids_and_some_objects_can_be_chosen() {
        let text = export(&known(), None, |kind, _| kind == ObjectKind::Entitlement).expect("written");
        assert!(text.starts_with("kind: Entitlement\n") && !text.contains("kind: Site"), "{text}");
        assert!(text.contains("office: main") && !text.contains(SITE) && !text.contains("siteName"), "{text}");
    }
}
