//! `get` and `delete`: objects of any kind.

use anyhow::{Context, Result, bail};
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::admin::List;
use serde_json::Value;

use super::Desk;
use crate::cli::{Delete, Get, Test};
use crate::connection::escape;
use crate::exit_code::{InvalidInput, Negative};
use crate::output::{Rows, remark};

/// Shows a list, or one object.
pub(super) async fn get(desk: &Desk, order: &Get) -> Result<()> {
    if order.kind == "global-settings" {
        let settings: Value = desk.api.get("/global-settings").await?;
        return desk.output.print(&settings, fields);
    }
    let kind = parse_kind(&order.kind)?;
    if let Some(name) = &order.name {
        return desk.output.print(&find(desk, kind, name).await?, fields);
    }
    let query = order.query.as_ref().map_or_else(String::new, |query| format!("?query={}", escape(query)));
    let list: List<Value> = desk.api.get(&format!("/{}{query}", kind.collection())).await?;
    desk.output.print(&list.data, |objects| Rows {
        titles: vec!["name", "id", "tags", "updated"],
        rows: objects
            .iter()
            .map(|object| ["name", "id", "tags", "updated"].map(|field| cell(&object[field])).into())
            .collect(),
    })
}

/// Deletes one object.
pub(super) async fn delete(desk: &Desk, order: &Delete) -> Result<()> {
    let kind = parse_kind(&order.kind)?;
    let object = find(desk, kind, &order.name).await?;
    let id = object["id"].as_str().context("the object has no id")?;
    desk.api.delete(&format!("/{}/{id}", kind.collection())).await?;
    remark(&format!("deleted {kind} {}", cell(&object["name"])));
    Ok(())
}

/// Asks a Controller whether a provider answers; the exit code tells.
pub(super) async fn test(desk: &Desk, order: &Test) -> Result<()> {
    let kind = parse_kind(&order.kind)?;
    if !matches!(kind, ObjectKind::IdentityProvider | ObjectKind::MfaProvider) {
        bail!("only identity-provider and mfa-provider can be tested, not {kind}");
    }
    let object = find(desk, kind, &order.name).await?;
    let answer: Value = desk.api.post(&format!("/{}/test", kind.collection()), &object).await?;
    desk.output.print(&answer, fields)?;
    if answer["success"] == true { Ok(()) } else { Err(Negative.into()) }
}

/// The object of a kind with this name or id.
pub(super) async fn find(desk: &Desk, kind: ObjectKind, name: &str) -> Result<Value> {
    if name.parse::<uuid::Uuid>().is_ok() {
        return Ok(desk.api.get(&format!("/{}/{name}", kind.collection())).await?);
    }
    let list: List<Value> = desk.api.get(&format!("/{}?query={}", kind.collection(), escape(name))).await?;
    let mut named = list.data.into_iter().filter(|object| object["name"] == name);
    named.next().ok_or_else(|| not_found(kind, name))
}

/// The id of the object of a kind with this name or id.
pub(super) async fn find_id(desk: &Desk, kind: ObjectKind, name: &str) -> Result<String> {
    let object = find(desk, kind, name).await?;
    Ok(object["id"].as_str().context("the object has no id")?.to_owned())
}

fn not_found(kind: ObjectKind, name: &str) -> anyhow::Error {
    let message = format!("there is no {kind} {name:?}; `ringctl get {}` shows what there is", kind.collection());
    crate::connection::ApiError::not_found(message).into()
}

/// Reads `site`, `sites`, `Site`, `local-user` …
pub(crate) fn parse_kind(text: &str) -> Result<ObjectKind> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = plain(text);
    let fits = |kind: &&ObjectKind| wanted == plain(&kind.to_string()) || wanted == plain(kind.collection());
    match ObjectKind::ALL.iter().find(fits) {
        Some(kind) => Ok(*kind),
        None => {
            let known: Vec<_> = ObjectKind::ALL.iter().map(|kind| kind.collection()).collect();
            let known = known.join(", ");
            Err(InvalidInput(format!("unknown kind {text:?}; expected one of {known}, global-settings")).into())
        }
    }
}

fn fields(object: &Value) -> Rows {
    let Value::Object(map) = object else { return Rows::default() };
    Rows {
        titles: vec!["field", "value"],
        rows: map.iter().map(|(name, value)| vec![name.clone(), cell(value)]).collect(),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
