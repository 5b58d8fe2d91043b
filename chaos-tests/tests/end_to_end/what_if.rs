//! `ringctl simulate` and `ringctl lint` as an operator runs them, beside a live session; and a Gateway whose mode of
//! knocking is its own.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        probe::{ConnectFailure, Url, http_get, tcp_connects},
        process::Finished,
        servers::nginx,
        wait,
    },
    product::{controller, controller::socket, gateway},
};
use serde_json::Value;

use crate::stage::{self, ALICE, CONTROLLER, GATEWAY, SITE, Stage};

/// For what must work.
const SOON: Duration = Duration::from_secs(10);
/// For what must not.
const PATIENCE: Duration = Duration::from_secs(2);

const STATE: &str = r#"
kind: GlobalSettings
spaMode: Open
---
kind: MfaProvider
name: codes
type: DefaultTimeBased
---
kind: LocalUser
name: alice
firstName: Alice
lastName: Archer
email: alice@ringwall.example
password: a wall with 1 door
---
kind: Entitlement
name: web
site: office
conditions: []
actions:
  - subtype: tcp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["80"]
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [web]
"#;

/// Alice would lose what she has.
const CHANGE: &str = r#"
kind: Policy
name: everybody
type: Access
expression: user.username != "alice"
entitlements: [web]
"#;

/// Asks for a code and never looks at it.
const CANNOT_WORK: &str = r#"
kind: Condition
name: a code
expression: "true && user.username != \"nobody\""
remedyMethods:
  - type: OtpAuthentication
    message: A code, please.
    claimSuffix: payroll
    providerId: codes
"#;

/// An expression that does not compile.
const MALFORMED: &str = r#"
kind: Policy
name: everybody
type: Access
expression: user.
entitlements: [web]
"#;

/// The page that everybody is entitled to.
fn web1(lab: &Lab) -> Url {
    let address = IpAddr::from(lab.topology().v4("web1", "office"));
    Url::of((address, 80), "/")
}

fn code(finished: &Finished) -> Option<i32> {
    finished.status.code()
}

fn json(finished: &Finished) -> Result<Value> {
    serde_json::from_str(&finished.stdout).with_context(|| format!("no JSON: {}", finished.stdout))
}

#[test]
fn simulate_and_lint_answer_beforehand_and_their_exit_codes_say_how() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let stage = Stage::start(&lab, STATE)?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = lab.directory().join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let (change, bad, malformed) =
        (file("change.yaml", CHANGE)?, file("bad.yaml", CANNOT_WORK)?, file("malformed.yaml", MALFORMED)?);
    let run = |arguments: &[&str]| stage.operator.attempt(arguments);
    let page = web1(&lab);

    for _ in 0..2 {
        let told = run(&["simulate", "-f", &change])?;
        ensure!(code(&told) == Some(0), "{told:?}");
        for part in [
            "\"everybody\"",
            "loses \"web\" at office: the policy \"everybody\" no longer matches",
            "1 of 1 live and 0 registered devices are affected",
            "Nothing was changed.",
        ] {
            ensure!(told.stdout.contains(part), "{part:?} is missing in:\n{}", told.stdout);
        }
        ensure!(!told.stdout.contains("(no session now)"), "her session lives: {}", told.stdout);
    }
    let told = json(&run(&["simulate", "-f", &change, "--output", "json"])?)?;
    let person = &told["people"][0];
    ensure!(told["affected"] == 1 && person["live"] == true, "{told}");
    ensure!(person["distinguishedName"].as_str().is_some_and(|dn| dn.ends_with("CN=alice,OU=local")), "{told}");
    ensure!(person["shifts"][0]["effect"] == "lost" && person["shifts"][0]["name"] == "web", "{told}");
    let reply = http_get(lab.host(ALICE), &page, SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "it was a question only: {reply:?}");

    let fine = run(&["lint"])?;
    ensure!(code(&fine) == Some(0), "nothing here is an error: {fine:?}");
    let found = run(&["lint", "-f", &bad])?;
    ensure!(code(&found) == Some(10), "what cannot work is an answer of no: {found:?}");
    ensure!(found.stdout.contains("untested-interaction") && found.stdout.contains("a code"), "{}", found.stdout);
    let found = run(&["lint", "-f", &bad, "--output", "json"])?;
    ensure!(code(&found) == Some(10), "{found:?}");
    let findings = json(&found)?;
    let listed = findings["findings"].as_array().context("findings")?.iter();
    let errors: Vec<_> = listed.filter(|one| one["severity"] == "error").collect();
    ensure!(errors.len() == 1 && errors[0]["rule"] == "untested-interaction", "{findings}");
    ensure!(json(&run(&["lint", "--output", "json"])?)?.to_string().find("untested-interaction").is_none());

    for question in ["simulate", "lint"] {
        let refused = run(&[question, "-f", &malformed])?;
        ensure!(code(&refused) == Some(7), "{refused:?}");
        ensure!(refused.stderr.contains("expression"), "which field: {}", refused.stderr);
        let missing = run(&[question, "-f", "/nonexistent/change.yaml"])?;
        ensure!(code(&missing) == Some(1), "{missing:?}");
    }
    ensure!(code(&run(&["simulate"])?) == Some(2), "a file is wanted");
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}

#[test]
fn a_gateway_with_a_mode_of_its_own_is_dark_beside_an_open_controller() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let mut stage = Stage::start(&lab, STATE)?;
    let stranger = lab.host("stranger");
    let port = |host: &str, port: u16| -> SocketAddr { (IpAddr::from(lab.topology().v4(host, "wan")), port).into() };
    let (own, open) = (port(GATEWAY, gateway::CLIENT_PORT), port(CONTROLLER, controller::CLIENT_PORT));
    ensure!(tcp_connects(stranger, own, PATIENCE)?.is_ok(), "no knock is wanted at first");

    let address = socket(&lab, GATEWAY, gateway::CLIENT_PORT);
    let appliance = format!(
        "kind: Appliance\nname: {GATEWAY}\nsite: {SITE}\ngateway:\n  enabled: true\nclientInterface:\n  addresses: \
         [\"{address}\"]\n  overrideSpaMode: UDP-TCP\n"
    );
    let file = lab.directory().join("dark.yaml");
    fs::write(&file, appliance)?;
    stage.operator.apply(&file)?;
    wait::until_ok("the Gateway is dark", SOON, || {
        let attempt = tcp_connects(stranger, own, PATIENCE)?;
        ensure!(attempt == Err(ConnectFailure::Silence), "{attempt:?}");
        Ok(())
    })?;
    ensure!(tcp_connects(stranger, open, PATIENCE)?.is_ok(), "the Controller follows the Collective: it is open");

    // Who signs in now learns from the token that this Gateway wants a knock, and with which key.
    stage.client.down()?;
    stage.client.up(ALICE, stage::PASSWORD, &[SITE])?;
    let page = web1(&lab);
    let reply = http_get(lab.host(ALICE), &page, SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");
    let attempt = tcp_connects(stranger, own, PATIENCE)?;
    ensure!(attempt == Err(ConnectFailure::Silence), "somebody else's knock opens nothing: {attempt:?}");
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}
