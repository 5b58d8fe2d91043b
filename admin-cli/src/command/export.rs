//! `export`: objects as a file that `apply` takes.

use anyhow::Result;
use ringwall_protocol::object::ObjectKind;
use serde_json::Value;

use super::files::known_objects;
use super::{Desk, parse_kind};
use crate::apply::export as documents;
use crate::cli::Export;
use crate::output::say;

/// Prints objects, and the settings unless something else is asked for.
pub(super) async fn export(desk: &Desk, order: &Export) -> Result<()> {
    let with_settings = order.kind.iter().any(|kind| kind == "global-settings");
    let named = order.kind.iter().filter(|kind| *kind != "global-settings");
    let kinds = named.map(|kind| parse_kind(kind)).collect::<Result<Vec<ObjectKind>>>()?;
    let all = order.kind.is_empty();
    let settings: Option<Value> = match with_settings || (all && order.tag.is_none()) {
        true => Some(desk.api.get("/global-settings").await?),
        false => None,
    };
    let tagged = |object: &Value| match &order.tag {
        Some(tag) => object["tags"].as_array().is_some_and(|tags| tags.iter().any(|one| one == tag.as_str())),
        None => true,
    };
    let known = known_objects(desk).await?;
    let text = documents(&known, settings.as_ref(), |kind, object| (all || kinds.contains(&kind)) && tagged(object))?;
    say(text.trim_end())
}
