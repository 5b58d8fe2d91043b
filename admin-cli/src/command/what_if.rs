//! `simulate` and `lint`: what a file would change, and what could not work, before anything is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use ringwall_protocol::wire::apply::AppliedChange;
use ringwall_protocol::wire::what_if::{
    DraftOutcome, LintAnswer, LintFinding, SessionNotice, Severity, Shift, ShiftEffect, Simulation,
};

use super::Desk;
use super::files::Work;
use crate::cli::{Lint, Simulate};
use crate::connection::ApiError;
use crate::exit_code::Negative;
use crate::output::{Format, Rows, remark, say};

/// Most lines about gains and losses that a plan has.
const MAX_LINES: usize = 20;

/// Prints who would gain or lose what.
pub(super) async fn simulate(desk: &Desk, order: &Simulate) -> Result<()> {
    let simulation: Simulation = read(desk, &order.file).await?.ask(desk, "/simulate").await?;
    if desk.output == Format::Table {
        say(&story(&simulation))
    } else {
        desk.output.print(&simulation, |_| Rows::default())
    }
}

/// Prints what cannot work; fails with [`Negative`] if something is an error.
pub(super) async fn lint(desk: &Desk, order: &Lint) -> Result<()> {
    let answer: LintAnswer = match &order.file {
        Some(file) => read(desk, file).await?.ask(desk, "/lint").await?,
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

async fn read(desk: &Desk, file: &PathBuf) -> Result<Work> {
    let work = Work::read(desk, std::slice::from_ref(file), None).await?;
    if work.settings.is_some() {
        remark("global settings decide nothing about access: they are left out");
    }
    Ok(work)
}

/// Warns of what cannot work in the objects that were just written, on standard error. What was done stands whether the
/// linter answers or not.
pub(super) async fn warn_of(desk: &Desk, written: &[AppliedChange]) {
    let answer: Result<LintAnswer, ApiError> = desk.api.get("/lint").await;
    warn(answer, |finding| written.iter().any(|change| change.kind == finding.kind && change.name == finding.name));
}

/// The same for files that were only read.
pub(super) async fn warn_before(desk: &Desk, work: &Work) {
    let answer: Result<LintAnswer, ApiError> = work.ask(desk, "/lint").await;
    let objects = &work.prepared.objects;
    warn(answer, |finding| objects.iter().any(|one| one.kind == finding.kind && one.object["name"] == finding.name));
}

fn warn(answer: Result<LintAnswer, ApiError>, concerns: impl Fn(&LintFinding) -> bool) {
    let findings = match answer {
        Ok(answer) => answer.findings,
        Err(error) => return remark(&format!("the linter did not answer: {error}")),
    };
    for finding in findings.iter().filter(|finding| concerns(finding)) {
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

/// Who gains or loses what, one line for each entitlement or role and what happens to it, at most [`MAX_LINES`]; and what
/// live sessions hear.
pub(super) fn gains_and_losses(simulation: &Simulation) -> Vec<String> {
    let mut devices: BTreeMap<(ShiftEffect, &str, &str, &str), usize> = BTreeMap::new();
    for shift in simulation.people.iter().flat_map(|person| &person.shifts) {
        *devices
            .entry((shift.effect, shift.name.as_str(), shift.site_name.as_str(), shift.because.as_str()))
            .or_default() += 1;
    }
    let lines = devices.iter().map(|((effect, name, site, because), count)| {
        let (mark, what) = match effect {
            ShiftEffect::Gained => ('+', "gained"),
            ShiftEffect::Opened => ('+', "opened"),
            ShiftEffect::Lost => ('-', "lost"),
            ShiftEffect::Closed => ('-', "closed"),
            ShiftEffect::Altered => ('~', "changed"),
        };
        let site = if site.is_empty() { String::new() } else { format!(" at {site}") };
        let of = if *count == 1 { "1 device".to_owned() } else { format!("{count} devices") };
        format!("  {mark} {name:?}{site} {what} for {of}: {because}")
    });
    let mut lines: Vec<String> = lines.collect();
    if lines.len() > MAX_LINES {
        let more = lines.len() - MAX_LINES;
        lines.truncate(MAX_LINES);
        lines.push(format!("  and {more} more; `ringctl simulate` names them all"));
    }
    let title = if lines.is_empty() { "no device gains or loses access" } else { "access changes:" };
    lines.insert(0, title.to_owned());
    lines.extend(simulation.notices.iter().map(notice_line));
    lines
}

fn notice_line(notice: &SessionNotice) -> String {
    let site = notice.site_name.as_ref().map_or_else(String::new, |site| format!(" at {site}"));
    format!("  {} {}{site}: {}", notice.mode, notice.scope, notice.reason)
}

fn story(simulation: &Simulation) -> String {
    let changes = simulation.changes.iter().filter(|change| change.what != DraftOutcome::Unchanged);
    let changes: Vec<String> =
        changes.map(|change| format!("  {} {} {:?}", outcome(change.what), change.kind, change.name)).collect();
    let mut parts = vec![section("would be written", changes)];
    let notices = simulation.notices.iter().map(notice_line);
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

pub(super) const fn outcome(what: DraftOutcome) -> &'static str {
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
        let expected = [
            "access changes:",
            "  + \"web\" at office gained for 1 device: given by the policy \"everybody\"",
            "  - \"payroll\" at office lost for 1 device: given by the policy \"everybody\"",
        ];
        assert_eq!(gains_and_losses(&simulation), expected);
        assert_eq!(gains_and_losses(&Simulation::default()), ["no device gains or loses access"]);
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
