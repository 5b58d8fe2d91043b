//! `ringctl apply`, `diff` and `export` as an operator runs them, beside a live session: a file is whole, it is written whole,
//! and what it changes is told beforehand.

use std::fs;

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::lab::{Lab, probe::http_get, process::Finished, servers::nginx, wait};
use serde_json::Value;

use crate::stage::{self, ALICE, SOON, Stage};

const STATE: &str = r#"
kind: Condition
name: never
expression: user.username == "nobody"
remedyMethods:
  - type: DisplayMessage
    message: Nobody may see this page.
---
kind: Entitlement
name: web
site: office
tags: [managed]
conditions: [never]
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.10], ports: ["80"]}
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [web]
"#;

/// The line of the conditions is gone.
const OPEN: &str = r#"
kind: Entitlement
name: web
site: office
tags: [managed]
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.10], ports: ["80"]}
"#;

/// The first document is fine, the second refers to nothing.
const HALF: &str = r#"kind: Condition
name: case5b
expression: "true"
---
kind: Entitlement
name: case5b
site: no such site
conditions: [case5b]
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.10], ports: ["81"]}
"#;

/// One object twice.
const TWICE: &str = r#"kind: Entitlement
name: case5
site: office
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.10], ports: ["81"]}
---
kind: Entitlement
name: case5
site: office
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.10], ports: ["80-90"]}
"#;

/// A host that would stand for its whole network.
const BESIDE: &str = r#"kind: Entitlement
name: case36
site: office
actions:
  - {subtype: tcp_up, action: allow, hosts: [10.20.0.5/24, 10.20.0.1-10], ports: ["81"]}
"#;

/// Nothing but what is to stay.
const MANAGED: &str = r#"
kind: Condition
name: managed too
expression: "true"
tags: [managed]
"#;

struct Files<'a> {
    lab: &'a Lab,
    stage: &'a Stage<'a>,
}

impl Files<'_> {
    /// Writes a file and runs a command on it.
    fn run(&self, name: &str, text: &str, command: &[&str]) -> Result<Finished> {
        let path = self.lab.directory().join(name);
        fs::write(&path, text)?;
        let path = path.to_string_lossy().into_owned();
        self.stage.operator.attempt(&[command, &["-f", path.as_str()]].concat())
    }
}

fn ends(finished: &Finished, code: i32, said: &[&str]) -> Result<()> {
    ensure!(finished.status.code() == Some(code), "expected exit code {code}: {finished:?}");
    let text = format!("{}\n{}", finished.stdout, finished.stderr);
    for part in said {
        ensure!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    Ok(())
}

/// What became of each object, by its name.
fn done(finished: &Finished) -> Result<Vec<(String, String)>> {
    let rows: Vec<[String; 3]> = serde_json::from_str(&finished.stdout)
        .with_context(|| format!("no rows: {}{}", finished.stdout, finished.stderr))?;
    Ok(rows.into_iter().map(|[_, name, done]| (name, done)).collect())
}

#[test]
fn a_file_is_whole_is_written_whole_and_is_told_beforehand() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let stage = Stage::start(&lab, STATE)?;
    let files = Files { lab: &lab, stage: &stage };
    let page = stage.page("web1", 80);
    let is = |question: &[&str], code: i32| ends(&stage.operator.attempt(question)?, code, &[]);
    is(&["explain", ALICE, "10.20.0.10:80"], 10)?;

    // A field that is left out is its default, and that is told before it is written.
    ends(&files.run("state.yaml", STATE, &["diff"])?, 0, &["nothing differs"])?;
    let left_out = "conditions: [\"never\"] -> [] (left out of the file: its default)";
    ends(&files.run("open.yaml", OPEN, &["diff"])?, 10, &["Entitlement \"web\" changes:", left_out])?;
    let opened = "+ \"web\" at office opened for 1 device: it has no condition any more";
    ends(&files.run("open.yaml", OPEN, &["apply", "--dry-run"])?, 0, &[left_out, opened, "nothing was changed"])?;
    is(&["explain", ALICE, "10.20.0.10:80"], 10)?;
    ends(&files.run("open.yaml", OPEN, &["apply"])?, 0, &[left_out, opened])?;
    wait::until_ok("the page is open", SOON, || {
        let reply = http_get(lab.host(ALICE), &page, SOON)?;
        ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");
        Ok(())
    })?;

    // A change by a file is no change by others.
    let closed = files.run("state.yaml", STATE, &["apply"])?;
    ends(&closed, 0, &["conditions: [] -> [\"never\"]", "- \"web\" at office closed for 1 device"])?;
    ensure!(!closed.stderr.contains("overwrites"), "{closed:?}");

    // Refused before the first write, with the places.
    let dangling = files.run("half.yaml", HALF, &["apply"])?;
    ends(&dangling, 7, &["half.yaml:5 (document 2)", "there is no Site \"no such site\""])?;
    is(&["get", "condition", "case5b"], 6)?;
    ends(&files.run("twice.yaml", TWICE, &["apply"])?, 7, &["twice.yaml:7 (document 2)", "twice.yaml:1 (document 1)"])?;
    let beside = files.run("beside.yaml", BESIDE, &["apply"])?;
    ends(&beside, 8, &["beside.yaml:1 (document 1)", "write 10.20.0.5 for the host", "write 10.20.0.1-10.20.0.10"])?;
    is(&["get", "entitlement", "case36"], 6)?;

    // What is exported changes nothing where it came from.
    let exported = stage.operator.attempt(&["export"])?;
    ends(&exported, 0, &["kind: GlobalSettings", "kind: Entitlement"])?;
    ends(&files.run("exported.yaml", &exported.stdout, &["diff"])?, 0, &["nothing differs"])?;
    let again = done(&files.run("exported.yaml", &exported.stdout, &["apply", "--output", "json"])?)?;
    ensure!(again.len() > 8 && again.iter().all(|(_, done)| done == "unchanged"), "{again:?}");

    // What carries the tag and is in no file goes, but not unasked, and not while something refers to it.
    let referred = files.run("managed.yaml", MANAGED, &["apply", "--prune", "managed", "--yes"])?;
    ends(&referred, 8, &["still in use by Policy \"everybody\""])?;
    is(&["get", "condition", "managed too"], 6)?;
    is(&["delete", "policy", "everybody"], 0)?;
    let unasked = files.run("managed.yaml", MANAGED, &["apply", "--prune", "managed"])?;
    ends(&unasked, 1, &["Entitlement \"web\" is deleted", "use --yes where there is no terminal"])?;
    is(&["get", "entitlement", "web"], 0)?;
    let pruned = files.run("managed.yaml", MANAGED, &["apply", "--prune", "managed", "--yes", "--output", "json"])?;
    let expected = [("managed too", "created"), ("web", "deleted")];
    ensure!(done(&pruned)? == expected.map(|(name, done)| (name.to_owned(), done.to_owned())), "{pruned:?}");
    is(&["get", "entitlement", "web"], 6)?;
    let listed: Value = stage.operator.read(&["get", "conditions"])?;
    ensure!(listed.to_string().contains("managed too"), "{listed}");
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}
