//! The demonstration's state is what the product takes: every document is an object, every reference has its object, and
//! every expression compiles.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use ringwall_admin_cli::apply::{Target, read_documents, resolve};
use ringwall_protocol::{expression::Expression, object::Object};
use serde_json::Value;

const STATE: &str = include_str!("../../src/demo/state.yaml");

#[test]
fn every_document_is_an_object_whose_references_and_expressions_hold() -> Result<()> {
    let documents = read_documents("state.yaml", STATE)?;
    let mut ids = BTreeMap::new();
    for (number, document) in documents.iter().enumerate() {
        let Target::Object(kind) = document.target else { continue };
        let id = format!("018f0000-0000-7000-8000-{number:012}");
        let former = ids.insert((kind, document.name().to_owned()), id);
        assert_eq!(former, None, "{kind} {} stands there twice", document.name());
    }
    for document in documents {
        let Target::Object(kind) = document.target else { continue };
        let name = document.name().to_owned();
        let find = |kind, name: &str| ids.get(&(kind, name.to_owned())).cloned();
        let resolved = resolve(kind, document.body, find).map_err(|unknown| anyhow!(unknown.join("; ")));
        let mut body = resolved.with_context(|| format!("{kind} {name}"))?;
        if let Some(expression) = body["expression"].as_str() {
            Expression::compile(expression).with_context(|| format!("{kind} {name}"))?;
        }
        body["id"] = ids[&(kind, name.clone())].clone().into();
        body["kind"] = Value::from(kind.to_string());
        let object: Object = serde_json::from_value(body).with_context(|| format!("{kind} {name}"))?;
        assert_eq!(object.name(), name);
    }
    Ok(())
}
