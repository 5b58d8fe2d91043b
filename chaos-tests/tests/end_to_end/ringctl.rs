//! What `ringctl` prints, compared with golden files: tables and JSON of a small Collective, and what it says of bad input.
//! Ids, times, ports and counts that differ each time are replaced.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    golden,
    lab::{Lab, command::Program, process::Finished},
    product::{controller::ADMIN_PORT, ringctl::session_file},
};
use serde_json::Value;

use crate::stage::{self, CONTROLLER, SOON, Stage};

const STATE: &str = r#"
kind: LocalUser
name: alice
firstName: Alice
password: a wall with 1 door
labels:
  team: research
---
kind: Condition
name: in order
expression: has(device.inOrder) && device.inOrder
remedyMethods:
  - type: DisplayMessage
    message: This device is not in order.
---
kind: Entitlement
name: web
site: office
tags: [web]
actions:
  - subtype: tcp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["80"]
---
kind: Entitlement
name: payroll
site: office
conditions: [in order]
actions:
  - subtype: tcp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["81"]
---
kind: Policy
name: everybody
type: Access
expression: user.labels.team == "research"
entitlements: [web, payroll]
"#;

/// What is shown, in this order.
const SHOWN: &[&[&str]] = &[
    &["get", "sites"],
    &["get", "site", "office"],
    &["get", "site", "office", "-o", "json"],
    &["get", "appliances"],
    &["get", "entitlements"],
    &["get", "entitlement", "payroll", "-o", "yaml"],
    &["get", "conditions"],
    &["get", "policies"],
    &["get", "policy", "everybody", "-o", "json"],
    &["get", "identity-providers"],
    &["get", "mfa-providers"],
    &["get", "local-users"],
    &["get", "local-user", "alice"],
    &["get", "ip-pools"],
    &["get", "client-profiles"],
    &["get", "administrative-roles"],
    &["get", "criteria-scripts"],
    &["get", "global-settings"],
    &["get", "entitlements", "--query", "web"],
    &["collective", "status"],
    &["collective", "status", "-o", "json"],
    &["admin-session", "list"],
    &["device", "list"],
    &["device", "list", "-o", "json"],
    &["session", "list"],
    &["session", "list", "-o", "json"],
    &["blocklist", "add", "CN=mallory,OU=local", "--reason", "gone"],
    &["blocklist", "list"],
    &["blocklist", "list", "-o", "json"],
    &["blocklist", "remove", "CN=mallory,OU=local"],
    &["device", "reevaluate", "CN=alice,OU=local"],
    &["explain", "alice", "10.20.0.10:80"],
    &["explain", "alice", "10.20.0.10:81"],
    &["explain", "alice", "10.20.0.99:22"],
    &["lint"],
    &["lint", "-o", "json"],
    &["otp", "remove", "CN=alice,OU=local"],
    &["fido2", "list"],
    &["profile", "rotate", "default", "--now"],
    &["approvals"],
    &["collective", "rotate-keys"],
];

/// What is shown after that and holds a secret, each with the fields of the answer that are one.
const SECRETS: &[(&[&str], &[&str])] = &[
    (&["profile", "link", "default", "-o", "json"], &["url"]),
    (&["otp", "permit", "CN=alice,OU=local", "-o", "json"], &["code"]),
    (&["otp", "seed", "CN=alice,OU=local", "-o", "json"], &["otpAuthUrl", "secret"]),
];

/// What cannot be done, and what is said of it.
const REFUSED: &[&[&str]] = &[
    &["get", "site", "nowhere"],
    &["get", "castles"],
    &["delete", "site", "office"],
    &["delete", "policy", "nothing"],
    &["session", "show", "alice"],
    &["device", "reevaluate", "alice"],
    &["device", "revoke", "DC=example"],
    &["blocklist", "add", "CN=alice"],
    &["blocklist", "remove", "CN=mallory,OU=local"],
    &["otp", "seed", "CN=ghost,OU=local"],
    &["explain", "ghost", "10.20.0.10:80"],
    &["explain", "alice", "everywhere"],
    &["collective", "add", "c2", "--controller", "--weight", "7", "--seed", "c2.seed"],
    &["collective", "add", "c2", "--controller", "--site", "office", "--seed", "c2.seed"],
    &["collective", "add", "gw9", "--gateway", "--seed", "gw9.seed"],
    &["collective", "admit", "c9", "--fingerprint", "ab"],
    &["collective", "turn-away", "c9"],
    &["admin-session", "end", "0190a000-0000-7000-8000-00000000dead"],
    &["admin-session", "end", "--user", "CN=ghost,OU=local"],
    &["collective", "suspend", "controller-1"],
    &["collective", "transfer", "9"],
    &["apply", "--file", "/nonexistent/state.yaml"],
    &["simulate"],
];

/// Objects with fields that the API refuses, each with what is wrong.
const BAD: &[(&str, &str)] = &[
    ("a field without effect", "kind: Site\nname: office\nvpn:\n  dtls:\n    enabled: true\n"),
    ("a Controller with a Site", "kind: Appliance\nname: controller-1\nsite: office\ncontroller:\n  enabled: true\n"),
    ("an unknown field", "kind: Site\nname: office\ncolour: blue\n"),
    ("an unknown kind", "kind: Castle\nname: office\n"),
    ("an unknown reference", "kind: Policy\nname: p\nexpression: \"true\"\nentitlements: [nothing]\n"),
    ("an expression that is none", "kind: Policy\nname: p\nexpression: user.\n"),
    ("no YAML", "kind: [\n"),
];

#[test]
fn what_ringctl_prints_is_the_reviewed_text() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let stage = Stage::start(&lab, STATE)?;
    let mut shown = String::new();
    for arguments in SHOWN {
        record(&mut shown, arguments, &stage.operator.attempt(arguments)?)?;
    }
    golden::compare("ringctl/shown.txt", &redacted(&shown))?;

    let mut secrets = String::new();
    for (arguments, fields) in SECRETS {
        record_without(&mut secrets, arguments, fields, stage.operator.attempt(arguments)?)?;
    }
    golden::compare("ringctl/secrets.txt", &redacted(&secrets))?;

    // As a table: what a device says of itself differs from machine to machine.
    let sessions = stage.operator.read(&["session", "list"])?;
    let dn = sessions[0]["distinguishedName"].as_str().with_context(|| format!("no session in {sessions}"))?;
    let mut session = String::new();
    record(&mut session, &["session", "show", dn], &stage.operator.attempt(&["session", "show", dn])?)?;
    golden::compare("ringctl/session.txt", &redacted(&session))?;

    let mut refused = String::new();
    for arguments in REFUSED {
        record(&mut refused, arguments, &stage.operator.attempt(arguments)?)?;
    }
    let file = lab.directory().join("bad.yaml");
    let file_text = file.to_string_lossy().into_owned();
    for (what, objects) in BAD {
        std::fs::write(&file, objects)?;
        for command in ["apply", "lint"] {
            writeln!(refused, "# {what}")?;
            record(
                &mut refused,
                &[command, "--file", "bad.yaml"],
                &stage.operator.attempt(&[command, "--file", &file_text])?,
            )?;
        }
    }
    // Without a session, and without anybody at the other end.
    let elsewhere = |session: &str, arguments: &[&str]| -> Result<Finished> {
        let program = Program::product("ringctl-elsewhere", "ringctl")?.env("RINGCTL_SESSION", session);
        lab.run(CONTROLLER, &program.args(arguments.iter().copied()).input("a password\n"), SOON * 3)
    };
    record(&mut refused, &["get", "sites"], &elsewhere("/nonexistent/session.json", &["get", "sites"])?)?;
    let fingerprint = "00".repeat(32);
    let sign_in =
        ["sign-in", "127.0.0.1:9", "--ca-fingerprint", &fingerprint, "--username", "operator", "--password-file", "-"];
    record(&mut refused, &sign_in, &elsewhere("/nonexistent/session.json", &sign_in)?)?;
    let stranger = [&["sign-in", "127.0.0.1:8443"], &sign_in[2..]].concat();
    record(&mut refused, &stranger, &elsewhere("/nonexistent/session.json", &stranger)?)?;
    stage.operator.attempt(&["sign-out"])?;
    record(&mut refused, &["get", "sites"], &stage.operator.attempt(&["get", "sites"])?)?;
    let directory = lab.directory().to_string_lossy().into_owned();
    let session = session_file(&lab, CONTROLLER).to_string_lossy().into_owned();
    let refused = refused.replace(&session, "<session>").replace(&directory, "<lab>");
    golden::compare("ringctl/refused.txt", &redacted(&refused))
}

fn record(text: &mut String, arguments: &[&str], finished: &Finished) -> Result<()> {
    let code = finished.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    writeln!(text, "$ ringctl {}", arguments.join(" "))?;
    for (name, lines) in [("", &finished.stdout), ("2> ", &finished.stderr)] {
        for line in lines.lines() {
            writeln!(text, "{}", format!("{name}{line}").trim_end())?;
        }
    }
    writeln!(text, "exit code {code}\n")?;
    Ok(())
}

/// An answer in JSON without the values of these fields, each of which must be there.
fn record_without(text: &mut String, arguments: &[&str], fields: &[&str], mut finished: Finished) -> Result<()> {
    let answer: Value = serde_json::from_str(&finished.stdout)
        .with_context(|| format!("{} printed: {}{}", finished.line, finished.stdout, finished.stderr))?;
    for field in fields {
        let value = answer[*field].as_str().with_context(|| format!("no {field} in {answer}"))?;
        finished.stdout = finished.stdout.replace(value, &format!("<{field}>"));
    }
    record(text, arguments, &finished)
}

/// The text without what differs each time, word by word. Replacements have the width of what they replace, so that
/// tables stay tables.
fn redacted(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || "-.:".contains(character) {
            word.push(character);
        } else {
            out.push_str(&known(&word));
            word.clear();
            out.push(character);
        }
    }
    out.push_str(&known(&word));
    out.lines().map(without_counts).collect::<Vec<_>>().join("\n") + "\n"
}

fn known(word: &str) -> String {
    if word == machine() {
        return "MACHINE".to_owned();
    }
    let fill = |name: &str| format!("{name:-<width$}", width = word.len());
    let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]) {
        return fill("ID-");
    }
    if word.len() >= 32 && hexadecimal(word) {
        return fill("HEX-");
    }
    let time = word.len() >= 20 && word.as_bytes()[10] == b'T' && word.as_bytes()[4] == b'-';
    if time {
        return fill("TIME-");
    }
    if word.starts_with("100.64.") {
        return "100.64.x.y".to_owned();
    }
    match word.rsplit_once(':') {
        Some((address, port)) if address == "10.77.1.101" && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{address}:PORT")
        }
        _ => word.to_owned(),
    }
}

/// The name of this machine, which devices tell.
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// A line without positions in the log and other counts, and with the blanks between columns made one: widths depend on
/// them.
fn without_counts(line: &str) -> String {
    const COUNTED: [&str; 8] = ["applied", "enforced", "feedIndex", "matched", "index", "term", "lag", "policyIndex"];
    let indent = &line[..line.len() - line.trim_start().len()];
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    for at in 1..words.len() {
        let before = words[at - 1].trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
        let digits = words[at].trim_end_matches(',');
        // In the table of Gateways what is enforced stands behind the word for a feed that is here.
        let before = if before == "here" { "enforced".to_owned() } else { before };
        if COUNTED.contains(&before.as_str()) && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            words[at] = words[at].replace(digits, "N");
        }
    }
    format!("{indent}{}", words.join(" "))
}

#[test]
fn malformed_requests_write_no_error() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let _stage = Stage::found(&lab, STATE)?;
    let url = format!("https://127.0.0.1:{ADMIN_PORT}/admin/sites");
    for (nth, request) in ["A B", "GET\u{1}", "\u{7f}"].into_iter().enumerate() {
        let program = Program::system(&format!("malformed-{nth}"), "curl").args([
            "--silent",
            "--insecure",
            "--max-time",
            "5",
            "--write-out",
            "%{http_code}",
            "--request",
            request,
            &url,
        ]);
        let answer = lab.run(CONTROLLER, &program, SOON)?;
        ensure!(answer.stdout.ends_with("400"), "the request was not taken for malformed: {answer:?}");
    }
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}
