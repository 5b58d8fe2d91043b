//! Every field of every administered object does something, or is refused by its name.
//!
//! The fields are those of the description that the product serves, and those that it shows of objects of each type. For
//! each one a table says what observes it: a change that is made on a running Collective and seen somewhere other than in
//! the object itself, an existing test, or a refusal. The walk fails for a field without an entry, and for an entry
//! without a field.

mod addresses;
mod look;
mod scene;
mod schema;
mod table;
mod trial;

use std::collections::BTreeSet;

use serde_json::Value;

use self::scene::Scene;
use self::table::{Entry, Proof};
use crate::admin::Admin;

/// Runs the entries of some kinds of objects on one Collective.
async fn walk(entries: Vec<Entry>) {
    let scene = Scene::start().await;
    let mut faults = Vec::new();
    for entry in &entries {
        match &entry.proof {
            Proof::Seen(look) => faults.extend(scene.sees(entry, *look).await.err()),
            Proof::Refused(field) => faults.extend(scene.refuses(entry, field).await.err()),
            Proof::System => faults.extend(scene.keeps(entry).await.err()),
            Proof::Test(_) => {}
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), entries.len(), faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_of_the_admin_api_has_an_entry_and_every_entry_a_field() {
    let scene = Scene::start().await;
    let described = Admin::stranger(&scene.lab, 0).get("/openapi.json").await.ok();
    let mut fields = schema::described(&described);
    fields.extend(scene.shown().await);
    let entries: BTreeSet<String> = table::all().into_iter().map(|entry| entry.field.to_owned()).collect();
    let without_entry: Vec<_> = fields.difference(&entries).collect();
    let without_field: Vec<_> = entries.difference(&fields).collect();
    assert!(without_entry.is_empty(), "nobody says what these fields do: {without_entry:#?}");
    assert!(without_field.is_empty(), "there are no such fields: {without_field:#?}");
}

#[test]
fn every_test_that_observes_a_field_exists() {
    let sources = schema::sources();
    let named: BTreeSet<&str> = table::all()
        .iter()
        .filter_map(|entry| match entry.proof {
            Proof::Test(name) => Some(name),
            Proof::Seen(_) | Proof::Refused(_) | Proof::System => None,
        })
        .collect();
    let missing: Vec<_> = named.into_iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}

macro_rules! walks {
    ($($name:ident: $entries:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            walk($entries).await;
        }
    )*};
}

walks! {
    fields_of_sites_pools_and_appliances_do_something_or_are_refused: table::network::entries();
    fields_of_entitlements_policies_and_conditions_do_something_or_are_refused: table::access::entries();
    fields_of_users_roles_and_profiles_do_something_or_are_refused: table::people::entries();
    fields_of_providers_do_something_or_are_refused: table::identity::entries();
    fields_of_ldap_providers_do_something_or_are_refused: table::directories::entries();
    fields_of_certificate_radius_and_openid_providers_do_something_or_are_refused: table::providers::entries();
    global_settings_do_something_or_are_refused: table::settings::entries();
}

/// An object with some fields in place of its own (RFC 7386).
pub(crate) fn merged(object: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut fields = object.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            fields.insert(name.clone(), Value::Null);
        } else {
            let former = fields.get(name).cloned().unwrap_or_default();
            fields.insert(name.clone(), merged(&former, value));
        }
    }
    Value::Object(fields)
}
