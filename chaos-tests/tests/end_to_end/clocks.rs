//! A wrong clock on a leader, a follower, a Gateway and a Controller that is alone: nothing is forgotten by it (T69).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{Lab, probe::EchoProbe, servers::UdpEcho, shifted_clock::ShiftedClock, wait},
    product::Controller,
};
use serde_json::Value;

use crate::stage::{self, ALICE, CONTROLLER, GATEWAY, OTHER_CONTROLLERS, SOON, Stage};

const DAY: i64 = 24 * 3_600;
/// Longer than a device is remembered that is not seen.
const MONTHS: i64 = 91 * DAY;
/// Longer than a revocation is remembered.
const WEEK: i64 = 8 * DAY;
/// For a Controller to mend what its clock has done.
const PATIENCE: Duration = Duration::from_secs(30);
/// The leader looks once a minute what is over.
const ROUND: Duration = Duration::from_secs(150);

const STATE: &str = r#"
kind: Site
name: office
networkSubnets: [10.20.0.0/24]
---
kind: IpPool
name: tunnel-v4
ranges:
  - cidr: 100.64.0.0/16
---
kind: IdentityProvider
name: local
type: LocalDatabase
adminProvider: true
ipPoolV4: tunnel-v4
---
kind: LocalUser
name: alice
password: a wall with 1 door
---
kind: Entitlement
name: echo
site: office
actions:
  - subtype: udp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["7"]
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [echo]
---
kind: ClientProfile
name: demo
identityProvider: local
"#;

/// Waits for two rounds of housekeeping, one of which began after the call.
fn a_round_passes(controller: &Controller) -> Result<()> {
    let rounds = || controller.counter("ringwall_housekeeping_total", "");
    let before = rounds()?;
    wait::until_ok("two rounds of housekeeping", ROUND, || {
        let now = rounds()?;
        ensure!(now >= before + 2, "{now} of {}", before + 2);
        Ok(())
    })
}

/// What a Controller says of its clock, once it says this.
fn says(controller: &Controller, verdict: &str, suspect: bool) -> Result<Value> {
    wait::until_ok("the Controller's health tells of its clock", SOON, || {
        let health = controller.health()?;
        ensure!(health["clock"] == verdict && health["clockSuspect"] == suspect, "{}: {health}", controller.host());
        Ok(health)
    })
}

/// How many devices alice has, as the operator sees it.
fn devices(stage: &Stage<'_>, at: &str) -> Result<usize> {
    // A certificate that was made by a clock that was ahead is replaced first.
    let operator = wait::until_ok("the operator signs in", PATIENCE, || stage.operator_at(at))?;
    let listed = operator.read(&["device", "list"])?;
    let devices = listed.as_array().or_else(|| listed["data"].as_array()).context("a list of devices")?;
    Ok(devices.iter().filter(|device| device.to_string().contains("CN=alice")).count())
}

#[test]
fn a_controller_alone_forgets_nothing_by_a_clock_that_jumped() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let clock = ShiftedClock::new(&lab, CONTROLLER)?;
    let mut stage = Stage::found_with(&lab, STATE, |program| clock.wear(program))?;
    stage.add_gateway(GATEWAY)?;
    stage.sign_in()?;
    ensure!(devices(&stage, CONTROLLER)? == 1, "alice's device is registered");
    says(&stage.controller, "alone", false)?;
    clock.set_ahead(MONTHS)?;
    let health = says(&stage.controller, "alone", true)?;
    let offset = health["clockOffsetMs"].as_i64().context("how far it is off")?;
    ensure!((offset / 1_000 + MONTHS).abs() < 60, "{health}");
    a_round_passes(&stage.controller)?;
    clock.set_ahead(0)?;
    says(&stage.controller, "alone", false)?;
    ensure!(devices(&stage, CONTROLLER)? == 1, "the device is still registered");
    // The same after a restart with that clock: it may have been switched off for so long, but nobody saw it pass.
    clock.set_ahead(MONTHS)?;
    stage.controller.kill()?;
    stage.controller.restart()?;
    a_round_passes(&stage.controller)?;
    clock.set_ahead(0)?;
    says(&stage.controller, "alone", true)?;
    ensure!(devices(&stage, CONTROLLER)? == 1, "the device is still registered");
    Ok(())
}

#[test]
fn neither_leader_nor_follower_nor_gateway_does_harm_by_a_wrong_clock() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let clock = |name: &str| ShiftedClock::new(&lab, name);
    let clocks = [clock(CONTROLLER)?, clock(OTHER_CONTROLLERS[0])?, clock(OTHER_CONTROLLERS[1])?];
    let gateways_clock = clock(GATEWAY)?;
    let mut stage = Stage::found_with(&lab, STATE, |program| clocks[0].wear(program))?;
    let others = [
        stage.add_controller(OTHER_CONTROLLERS[0], |program| clocks[1].wear(program))?,
        stage.add_controller(OTHER_CONTROLLERS[1], |program| clocks[2].wear(program))?,
    ];
    stage.add_gateway_with(GATEWAY, |program| gateways_clock.wear(program))?;
    stage.sign_in()?;
    let server = UdpEcho::start(lab.host("web1"), (stage.protected("web1"), 7))?;
    let probe = EchoProbe::start(lab.host(ALICE), server.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;
    let controllers = [&stage.controller, &others[0], &others[1]];
    // As the Collective calls them; the first is named by its founding.
    let names = ["controller-1", OTHER_CONTROLLERS[0], OTHER_CONTROLLERS[1]];
    for controller in controllers {
        says(controller, "agrees", false)?;
    }
    let leading = || -> Result<usize> {
        let status = stage.operator.status()?;
        let name = status.leader_name().context("somebody leads")?;
        names.iter().position(|one| *one == name).context("a Controller of the plan")
    };

    // The leader, by months.
    let leader = leading()?;
    clocks[leader].set_ahead(MONTHS)?;
    let health = says(controllers[leader], "off", true)?;
    let offset = health["clockOffsetMs"].as_i64().context("how far it is off")?;
    ensure!((offset / 1_000 + MONTHS).abs() < 60, "{health}");
    controllers[leader].log().wait_for("nothing is forgotten by it", SOON)?;
    a_round_passes(controllers[leader])?;
    ensure!(leading()? == leader, "and it leads all the while");
    clocks[leader].set_ahead(0)?;
    says(controllers[leader], "agrees", false)?;
    ensure!(devices(&stage, CONTROLLER)? == 1, "alice's device is still registered");

    // A follower, by more than a revocation is remembered; whom it signs in has tokens of the Collective's time.
    let follower = (leader + 1) % 3;
    clocks[follower].set_ahead(WEEK)?;
    says(controllers[follower], "off", true)?;
    let status = stage.operator_at(controllers[follower].host())?.read(&["collective", "status"])?;
    ensure!(status["clockSuspect"] == true && status["clock"] == "off", "{status}");
    clocks[follower].set_ahead(0)?;
    says(controllers[follower], "agrees", false)?;

    // The Gateway, both ways: it goes by the Controllers' time.
    for ahead in [MONTHS, -WEEK] {
        gateways_clock.set_ahead(ahead)?;
        probe.wait_answer_after(Instant::now(), SOON)?;
    }
    let report = probe.stop()?;
    ensure!(report.lost.is_empty(), "packets were lost: {report}");
    Ok(())
}
