//! `apply` and `diff`: brings objects to what files say, all or none, after showing what that changes. Loading the same files
//! again changes nothing.

use anyhow::Result;
use ringwall_protocol::wire::apply::{ApplyAnswer, FieldChange};
use ringwall_protocol::wire::what_if::{DraftOutcome, Simulation};
use serde_json::Value;

use super::collective::confirm;
use super::files::Work;
use super::{Desk, what_if};
use crate::apply::Known;
use crate::cli::{Apply, Diff};
use crate::exit_code::Negative;
use crate::output::{Format, Rows, remark, say};

/// Most characters of a value that is shown.
const SHOWN: usize = 120;

/// Writes what files say.
pub(super) async fn apply(desk: &Desk, order: &Apply) -> Result<()> {
    let work = Work::read(desk, &order.files, order.prune.as_deref()).await?;
    if work.changes_dual_control()? {
        return change_dual_control(desk, &work, order.dry_run).await;
    }
    let planned = work.send(desk, None).await?;
    tell(desk, &work, &planned).await;
    if order.dry_run {
        remark("dry run: nothing was changed");
        what_if::warn_before(desk, &work).await;
        return show(desk, &work, &planned);
    }
    if !work.pruned.deletions.is_empty() {
        confirm(order.yes, &format!("Delete {}?", work.pruned.names.join(", ")))?;
    }
    let done = work.send(desk, Some(planned.base)).await?;
    // A request that was repeated on its way is answered without its parts.
    let done = if done.changes.is_empty() { ApplyAnswer { index: done.index, ..planned } } else { done };
    what_if::warn_of(desk, &done.changes).await;
    show(desk, &work, &done)
}

/// Shows what `apply` would change; fails with [`Negative`] if that is something.
pub(super) async fn diff(desk: &Desk, order: &Diff) -> Result<()> {
    let work = Work::read(desk, &order.files, order.prune.as_deref()).await?;
    if work.changes_dual_control()? {
        say("GlobalSettings changes:\n  dualControl")?;
        return Err(Negative.into());
    }
    let planned = work.send(desk, None).await?;
    let lines = plan_lines(&planned, &work.known);
    match desk.output {
        Format::Table if lines.is_empty() => say("nothing differs")?,
        Format::Table => say(&lines.join("\n"))?,
        _ => desk.output.print(&planned, |_| Rows::default())?,
    }
    if lines.is_empty() { Ok(()) } else { Err(Negative.into()) }
}

/// Dual control begins or ends by an order of its own, which may wait for approval.
async fn change_dual_control(desk: &Desk, work: &Work, dry_run: bool) -> Result<()> {
    if dry_run {
        remark("dry run: nothing was changed");
    } else if let Some(settings) = &work.settings {
        desk.api.put::<Value>("/global-settings", &settings.after).await?;
    }
    print(desk, vec![["GlobalSettings".to_owned(), String::new(), "changed".to_owned()]])
}

/// Says on standard error what would change, and who gains or loses by it, before anything is written.
async fn tell(desk: &Desk, work: &Work, planned: &ApplyAnswer) {
    plan_lines(planned, &work.known).iter().for_each(|line| remark(line));
    for kept in &work.pruned.kept {
        remark(&format!("{kept} carries the tag and stays: it is built in, or an appliance that has joined"));
    }
    if planned.changes.iter().all(|change| change.what == DraftOutcome::Unchanged) {
        return;
    }
    match work.ask::<Simulation>(desk, "/simulate").await {
        Ok(simulation) => what_if::gains_and_losses(&simulation).iter().for_each(|line| remark(line)),
        Err(error) => remark(&format!("who gains or loses access is not known: {error}")),
    }
}

/// What becomes of every object, as a table on standard output.
fn show(desk: &Desk, work: &Work, answer: &ApplyAnswer) -> Result<()> {
    let settings = work.settings.as_ref().map(|_| {
        let done = if answer.settings.is_empty() { "unchanged" } else { "changed" };
        ["GlobalSettings".to_owned(), String::new(), done.to_owned()]
    });
    let objects = answer
        .changes
        .iter()
        .map(|change| [change.kind.to_string(), change.name.clone(), what_if::outcome(change.what).to_owned()]);
    print(desk, settings.into_iter().chain(objects).collect())
}

fn print(desk: &Desk, done: Vec<[String; 3]>) -> Result<()> {
    desk.output.print(&done, |done| Rows {
        titles: vec!["kind", "name", "done"],
        rows: done.iter().map(|row| row.to_vec()).collect(),
    })
}

/// A plan in words: what is created, changed field by field, and deleted.
fn plan_lines(planned: &ApplyAnswer, known: &Known) -> Vec<String> {
    let mut lines = Vec::new();
    if !planned.settings.is_empty() {
        lines.push("GlobalSettings changes:".to_owned());
        lines.extend(planned.settings.iter().map(|field| field_line(field, known)));
    }
    for change in &planned.changes {
        let what = format!("{} {:?}", change.kind, change.name);
        match change.what {
            DraftOutcome::Unchanged => {}
            DraftOutcome::Created => lines.push(format!("{what} is created")),
            DraftOutcome::Deleted => lines.push(format!("{what} is deleted")),
            DraftOutcome::Changed => {
                lines.push(format!("{what} changes:"));
                lines.extend(change.fields.iter().map(|field| field_line(field, known)));
            }
        }
    }
    lines
}

fn field_line(change: &FieldChange, known: &Known) -> String {
    let FieldChange { field, before, after, left_out, overwrites } = change;
    let mut line = match (before, after) {
        (Value::Null, Value::Null) => format!("  {field}: a new one"),
        _ => format!("  {field}: {} -> {}", readable(before, known), readable(after, known)),
    };
    let mut notes = Vec::new();
    if *left_out {
        notes.push("left out of the file: its default");
    }
    if *overwrites {
        notes.push("overwrites what somebody else changed since the last apply");
    }
    if !notes.is_empty() {
        line.push_str(&format!(" ({})", notes.join("; ")));
    }
    line
}

/// A value on one line, with names for ids, cut where it is long.
fn readable(value: &Value, known: &Known) -> String {
    if value.is_null() {
        return "nothing".to_owned();
    }
    let text = named(value, known).to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn named(value: &Value, known: &Known) -> Value {
    match value {
        Value::String(text) if text.parse::<uuid::Uuid>().is_ok() => {
            known.name_of_any(text).map_or_else(|| value.clone(), Value::from)
        }
        Value::Array(items) => items.iter().map(|item| named(item, known)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, item)| (name.clone(), named(item, known))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::object::ObjectKind;
    use ringwall_protocol::wire::apply::AppliedChange;
    use serde_json::json;

    use super::*;

    const CONDITION: &str = "4c07bc67-57ea-42dd-b702-c2d6c45419fc";

    fn field(name: &str, before: Value, after: Value, left_out: bool, overwrites: bool) -> FieldChange {
        FieldChange { field: name.to_owned(), before, after, left_out, overwrites }
    }

    fn change(name: &str, what: DraftOutcome, fields: Vec<FieldChange>) -> AppliedChange {
        AppliedChange { kind: ObjectKind::Entitlement, id: uuid::Uuid::nil(), name: name.to_owned(), what, fields }
    }

    #[test]
    fn a_plan_says_what_a_left_out_field_does_and_whose_change_is_overwritten() {
        let mut known = Known::default();
        known.insert(ObjectKind::Condition, vec![json!({"id": CONDITION, "name": "fresh code"})]);
        let fields = vec![
            field("conditions", json!([CONDITION]), json!([]), true, false),
            field("notes", json!("by hand"), json!(""), true, true),
            field("password", Value::Null, Value::Null, false, false),
            field("stopMessage", Value::Null, json!("closed"), false, false),
        ];
        let changes = vec![
            change("case4", DraftOutcome::Changed, fields),
            change("same", DraftOutcome::Unchanged, Vec::new()),
            change("new", DraftOutcome::Created, Vec::new()),
            change("old", DraftOutcome::Deleted, Vec::new()),
        ];
        let settings = vec![field("spaMode", json!("TCP"), json!("UDP-TCP"), false, false)];
        let planned = ApplyAnswer { settings, changes, ..ApplyAnswer::default() };
        let expected = [
            "GlobalSettings changes:",
            "  spaMode: \"TCP\" -> \"UDP-TCP\"",
            "Entitlement \"case4\" changes:",
            "  conditions: [\"fresh code\"] -> [] (left out of the file: its default)",
            "  notes: \"by hand\" -> \"\" (left out of the file: its default; overwrites what somebody else changed since the last apply)",
            "  password: a new one",
            "  stopMessage: nothing -> \"closed\"",
            "Entitlement \"new\" is created",
            "Entitlement \"old\" is deleted",
        ];
        assert_eq!(plan_lines(&planned, &known), expected);
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let text = readable(&json!("é".repeat(500)), &Known::default());
        assert_eq!(text.chars().count(), SHOWN + 1);
        assert!(text.ends_with('…'));
    }
}
