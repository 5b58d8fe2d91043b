//! Dual control with the real programs: what cuts everybody does nothing to packets before another administrator approves it.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::lab::{Lab, probe::EchoProbe, process::Finished, servers::UdpEcho, wait};

use crate::stage::{self, ALICE, PATIENCE, SOON, Stage};

/// How `ringctl` ends where another administrator must approve first, and where the order does not fit.
const APPROVAL_WANTED: i32 = 11;
const CONFLICT: i32 = 8;
const NOT_FOUND: i32 = 6;

const DEPUTY: &str = r#"
kind: LocalUser
name: deputy
password: the deputy has a long password
---
kind: Policy
name: deputies
type: Admin
expression: user.username == "deputy"
administrativeRoles: [system administration]
"#;

const REQUIRED: &str = "kind: GlobalSettings\ndualControl: Required\n";

fn ended(finished: &Finished, code: i32) -> Result<()> {
    ensure!(finished.status.code() == Some(code), "expected exit code {code}: {finished:?}");
    Ok(())
}

#[test]
fn cutting_everybody_wants_two_administrators_with_ringctl() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let stage = Stage::start(&lab, stage::ECHO)?;
    let alone = stage.apply(REQUIRED).expect_err("one administrator");
    ensure!(format!("{alone:#}").contains("two local users"), "{alone:#}");
    stage.apply(DEPUTY)?;
    stage.apply(REQUIRED)?;
    let deputy = stage.administrator("deputy", "the deputy has a long password")?;
    let server = UdpEcho::start(lab.host("web1"), (stage.protected("web1"), 7))?;
    let probe = EchoProbe::start(lab.host(ALICE), server.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;

    let cut = stage.operator.attempt(&["device", "revoke", "--everyone", "--cut", "--token-type", "Claims"])?;
    ended(&cut, APPROVAL_WANTED)?;
    let listed = deputy.read(&["approvals"])?;
    let order = listed[0]["id"].as_str().with_context(|| format!("an order: {listed}"))?.to_owned();
    ensure!(cut.stderr.contains(&format!("ringctl approve {order}")), "it says what to do: {cut:?}");
    ended(&stage.operator.attempt(&["approve", &order, "--yes"])?, CONFLICT)?;
    probe.wait_answer_after(Instant::now(), SOON).context("nothing is cut yet")?;

    deputy.attempt(&["approve", &order, "--yes"])?.success()?;
    ensure!(deputy.read(&["approvals"])?.as_array().is_some_and(Vec::is_empty), "it waits no more");
    let silence = wait::until_ok("everybody is cut", SOON, || {
        let since = Instant::now();
        let answered = probe.wait_answer_after(since, PATIENCE);
        ensure!(answered.is_err(), "packets still come back: {answered:?}");
        Ok(())
    });
    silence.context("the order is carried out")?;
    let status = stage.operator.read(&["collective", "status"])?;
    ensure!(status["dualControl"] == "Required" && status["ordersWaiting"] == 0, "{status}");

    let renew = stage.operator.attempt(&["break-glass", "renew"])?;
    ended(&renew, APPROVAL_WANTED)?;
    let order = deputy.read(&["approvals"])?[0]["id"].as_str().context("an order")?.to_owned();
    stage.operator.attempt(&["approvals", "withdraw", &order])?.success()?;
    ended(&deputy.attempt(&["approve", &order, "--yes"])?, NOT_FOUND)?;
    ended(&stage.operator.attempt(&["approve", "nothing", "--yes"])?, NOT_FOUND)
}
