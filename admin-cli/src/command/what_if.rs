//! `simulate` and `lint`: what a file would change, and what could not work, before anything is written.

use std::path::PathBuf;

use anyhow::{Context, Result};
use ringwall_protocol::wire::what_if::{
    Draft, DraftObject, DraftOutcome, LintAnswer, LintFinding, Severity, Shift, ShiftEffect, Simulation,
};
use serde_json::Value;

use super::apply::{Known, known_objects};
use super::{Desk, read_text};
use crate::apply::{Target, read_documents, resolve, same};
use crate::cli::{Lint, Simulate};
use crate::exit_code::Negative;
use crate::output::{Format, Rows, remark, say};

/// Prints who would gain or lose what.
pub(super) async fn simulate(desk: &Desk, order: &Simulate) -> Result<()> {
    let draft = read_draft(desk, &order.file).await?;
    let simulation: Simulation = desk.api.post("/simulate", &draft).await?;
    if desk.output == Format::Table {
        say(&story(&simulation))
    } else {
        desk.output.print(&simulation, |_| Rows::default())
    }
}

/// Prints what cannot work; fails with [`Negative`] if something is an error.
pub(super) async fn lint(desk: &Desk, order: &Lint) -> Result<()> {
    let answer: LintAnswer = match &order.file {
        Some(file) => desk.api.post("/lint", &read_draft(desk, file).await?).await?,
        None => desk.api.get("/lint").await?,
    };
    desk.output.print(&answer, |answer| Rows {
        titles: vec!["severity", "rule", "object", "field", "what"],
        rows: answer.findings.iter().map(|finding| finding_row(finding).into()).collect(),
    })?;
    if answer.total > answer.findings.len() {
        remark(&format!("{} more findings are not shown", answer.total - answer.findings.len()));
    }
    let bad = answer.findings.iter().any(|finding| finding.severity == Severity::Error);
    if bad { Err(Negative.into()) } else { Ok(()) }
}

/// Warns of what cannot work in the objects that were just written, on standard error.
pub(super) async fn warn_of(desk: &Desk, written: &[(String, String)]) -> Result<()> {
    let answer: LintAnswer = desk.api.get("/lint").await?;
    warn(answer.findings.iter().filter(|finding| {
        written.iter().any(|(kind, name)| *kind == finding.kind.to_string() && *name == finding.name)
    }));
    Ok(())
}

/// The same for a file that was only read.
pub(super) async fn warn_before(desk: &Desk, file: &PathBuf) -> Result<()> {
    let draft = read_draft(desk, file).await?;
    let answer: LintAnswer = desk.api.post("/lint", &draft).await?;
    let named = |finding: &&LintFinding| {
        draft.objects.iter().any(|one| one.kind == finding.kind && one.object["name"] == finding.name)
    };
    warn(answer.findings.iter().filter(named));
    Ok(())
}

fn warn<'a>(findings: impl Iterator<Item = &'a LintFinding>) {
    for finding in findings {
        let [severity, rule, object, field, what] = finding_row(finding);
        let field = if field.is_empty() { field } else { format!(" {field}") };
        remark(&format!("{severity}: {object}{field}: {what} [{rule}]"));
    }
}

fn finding_row(finding: &LintFinding) -> [String; 5] {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Hint => "hint",
    };
    [
        severity.to_owned(),
        finding.rule.clone(),
        format!("{} {:?}", finding.kind, finding.name),
        finding.field.clone(),
        finding.message.clone(),
    ]
}

/// A file as a draft: names become ids, objects that are known keep theirs, new ones get one.
async fn read_draft(desk: &Desk, file: &PathBuf) -> Result<Draft> {
    let documents = read_documents(&read_text(file)?).with_context(|| file.display().to_string())?;
    let mut known: Known = known_objects(desk).await?;
    let mut draft = Draft::default();
    for document in documents {
        let Target::Object(kind) = document.target else {
            remark("global settings decide nothing about access: they are left out");
            continue;
        };
        let find = |kind, name: &str| Some(known.get(&kind)?.get(name)?["id"].as_str()?.to_owned());
        let body = resolve(kind, document.body.clone(), find)
            .with_context(|| format!("{} {:?}", document.kind_name(), document.name()))?;
        let before = known.get(&kind).and_then(|objects| objects.get(document.name()));
        if before.is_some_and(|before| same(&body, before)) {
            continue;
        }
        let mut object = body;
        if object["id"].is_null() {
            let id = before.map_or_else(|| uuid::Uuid::new_v4().to_string().into(), |before| before["id"].clone());
            object["id"] = id;
        }
        without_secrets(&mut object);
        known.entry(kind).or_default().insert(document.name().to_owned(), object.clone());
        draft.objects.push(DraftObject { kind, object });
    }
    Ok(draft)
}

/// Passwords decide nothing here and need not travel.
fn without_secrets(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("password");
    }
}

fn story(simulation: &Simulation) -> String {
    let changes = simulation.changes.iter().filter(|change| change.what != DraftOutcome::Unchanged);
    let changes: Vec<String> =
        changes.map(|change| format!("  {} {} {:?}", outcome(change.what), change.kind, change.name)).collect();
    let mut parts = vec![section("would be written", changes)];
    let notices = simulation.notices.iter().map(|notice| {
        let site = notice.site_name.as_ref().map_or_else(String::new, |site| format!(" at {site}"));
        format!("  {} {}{site}: {}", notice.mode, notice.scope, notice.reason)
    });
    parts.push(section("live sessions would hear", notices.collect()));
    let people = simulation.people.iter().flat_map(|person| {
        let live = if person.live { "" } else { " (no session now)" };
        std::iter::once(format!("  {}{live}", person.distinguished_name)).chain(person.shifts.iter().map(shift_line))
    });
    parts.push(section("would gain or lose", people.collect()));
    let warnings = simulation
        .warnings
        .iter()
        .map(finding_row)
        .map(|[severity, rule, object, _, what]| format!("  {severity}: {object}: {what} [{rule}]"));
    parts.push(section("would not work", warnings.collect()));
    let examined = simulation.examined;
    let mut last = format!(
        "{} of {} live and {} registered devices are affected",
        simulation.affected, examined.sessions, examined.devices
    );
    if simulation.affected > simulation.people.len() {
        last.push_str(&format!("; {} are not named", simulation.affected - simulation.people.len()));
    }
    if examined.unknown + examined.left_out > 0 {
        last.push_str(&format!("; of {} nothing is known, {} were not looked at", examined.unknown, examined.left_out));
    }
    parts.push(format!("{last}. Nothing was changed."));
    parts.join("\n")
}

fn section(title: &str, lines: Vec<String>) -> String {
    if lines.is_empty() { format!("{title}: nothing") } else { format!("{title}:\n{}", lines.join("\n")) }
}

fn shift_line(shift: &Shift) -> String {
    let mark = match shift.effect {
        ShiftEffect::Gained => "+",
        ShiftEffect::Lost => "-",
        ShiftEffect::Opened | ShiftEffect::Closed | ShiftEffect::Altered => "~",
    };
    let what = match shift.effect {
        ShiftEffect::Gained if shift.open => "gains",
        ShiftEffect::Gained => "gains, behind conditions,",
        ShiftEffect::Lost => "loses",
        ShiftEffect::Opened => "opens",
        ShiftEffect::Closed => "closes",
        ShiftEffect::Altered => "has otherwise",
    };
    let site = if shift.site_name.is_empty() { String::new() } else { format!(" at {}", shift.site_name) };
    format!("    {mark} {what} {:?}{site}: {}", shift.name, shift.because)
}

const fn outcome(what: DraftOutcome) -> &'static str {
    match what {
        DraftOutcome::Created => "created",
        DraftOutcome::Changed => "changed",
        DraftOutcome::Unchanged => "unchanged",
        DraftOutcome::Deleted => "deleted",
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::wire::what_if::{Affected, Examined};

    use super::*;

    #[test]
    fn a_simulation_reads_like_a_list_of_gains_and_losses() {
        let shift = |effect, name: &str, open| Shift {
            effect,
            name: name.to_owned(),
            entitlement: None,
            site: None,
            site_name: "office".to_owned(),
            open,
            because: "given by the policy \"everybody\"".to_owned(),
        };
        let shifts = vec![shift(ShiftEffect::Gained, "web", true), shift(ShiftEffect::Lost, "payroll", true)];
        let simulation = Simulation {
            affected: 1,
            examined: Examined { sessions: 3, devices: 1, unknown: 0, left_out: 2 },
            people: vec![Affected { distinguished_name: "CN=1,CN=alice,OU=local".to_owned(), live: true, shifts }],
            ..Simulation::default()
        };
        let text = story(&simulation);
        for line in [
            "  CN=1,CN=alice,OU=local\n    + gains \"web\" at office: given by the policy \"everybody\"",
            "    - loses \"payroll\" at office",
            "would be written: nothing",
            "1 of 3 live and 1 registered devices are affected; of 0 nothing is known, 2 were not looked at. Nothing was changed.",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }
}
