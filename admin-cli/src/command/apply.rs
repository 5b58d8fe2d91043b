//! `apply`: brings objects to what a file says. Loading the same file again changes nothing.

use anyhow::{Context, Result};
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::admin::List;
use serde_json::Value;
use std::collections::BTreeMap;

use super::{Desk, read_text, what_if};
use crate::apply::{Document, Target, read_documents, resolve, same};
use crate::cli::Apply;
use crate::output::{Rows, remark};

/// Objects by kind and name, as the Collective has them.
pub(super) type Known = BTreeMap<ObjectKind, BTreeMap<String, Value>>;

/// Applies a file, object by object, in the order of their references.
pub(super) async fn apply(desk: &Desk, order: &Apply) -> Result<()> {
    let documents = read_documents(&read_text(&order.file)?).with_context(|| order.file.display().to_string())?;
    let mut known = known_objects(desk).await?;
    let mut done = Vec::new();
    for document in documents {
        let what = apply_one(desk, &mut known, &document, order.dry_run).await;
        let what = what.with_context(|| format!("{} {:?}", document.kind_name(), document.name()))?;
        done.push([document.kind_name(), document.name().to_owned(), what.to_owned()]);
    }
    if order.dry_run {
        remark("dry run: nothing was changed");
    }
    warn(desk, order, &done).await;
    desk.output.print(&done, |done| Rows {
        titles: vec!["kind", "name", "done"],
        rows: done.iter().map(|row| row.to_vec()).collect(),
    })
}

/// Says what of the file cannot work. What was done stands whether the linter answers or not.
async fn warn(desk: &Desk, order: &Apply, done: &[[String; 3]]) {
    let written: Vec<_> = done.iter().map(|[kind, name, _]| (kind.clone(), name.clone())).collect();
    let warned = match order.dry_run {
        // Standard input is gone by now.
        true if order.file.as_os_str() == "-" => Ok(()),
        true => what_if::warn_before(desk, &order.file).await,
        false => what_if::warn_of(desk, &written).await,
    };
    if let Err(error) = warned {
        remark(&format!("the linter did not answer: {error:#}"));
    }
}

/// Everything that the Collective has.
pub(super) async fn known_objects(desk: &Desk) -> Result<Known> {
    let mut known = Known::new();
    for kind in ObjectKind::ALL {
        known.insert(*kind, fetch(desk, *kind).await?);
    }
    Ok(known)
}

async fn fetch(desk: &Desk, kind: ObjectKind) -> Result<BTreeMap<String, Value>> {
    let list: List<Value> = desk.api.get(&format!("/{}", kind.collection())).await?;
    let named = |object: Value| Some((object["name"].as_str()?.to_owned(), object));
    Ok(list.data.into_iter().filter_map(named).collect())
}

async fn apply_one(desk: &Desk, known: &mut Known, document: &Document, dry_run: bool) -> Result<&'static str> {
    let find = |kind: ObjectKind, name: &str| Some(known.get(&kind)?.get(name)?["id"].as_str()?.to_owned());
    match document.target {
        Target::GlobalSettings => {
            let mut settings: Value = desk.api.get("/global-settings").await?;
            if same(&document.body, &settings) {
                return Ok("unchanged");
            }
            overlay(&mut settings, &document.body);
            if !dry_run {
                desk.api.put::<Value>("/global-settings", &settings).await?;
            }
            Ok("changed")
        }
        Target::Object(kind) => {
            let mut body = resolve(kind, document.body.clone(), find)?;
            let before = known.get(&kind).and_then(|objects| objects.get(document.name())).cloned();
            let (what, after) = match before {
                Some(before) if same(&body, &before) => return Ok("unchanged"),
                Some(before) => {
                    body["id"] = before["id"].clone();
                    let path = format!("/{}/{}", kind.collection(), before["id"].as_str().unwrap_or_default());
                    if dry_run { ("changed", body) } else { replaced(&before, desk.api.put(&path, &body).await?) }
                }
                None if dry_run => {
                    body["id"] = uuid::Uuid::nil().to_string().into();
                    ("created", body)
                }
                None => ("created", desk.api.post(&format!("/{}", kind.collection()), &body).await?),
            };
            known.entry(kind).or_default().insert(document.name().to_owned(), after);
            Ok(what)
        }
    }
}

/// Whether a replacement changed anything: only the Controller can tell for what is never read back, such as passwords.
fn replaced(before: &Value, after: Value) -> (&'static str, Value) {
    (if before["updated"] == after["updated"] { "unchanged" } else { "changed" }, after)
}

fn overlay(settings: &mut Value, changes: &Value) {
    if let (Value::Object(settings), Value::Object(changes)) = (settings, changes) {
        settings.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}
