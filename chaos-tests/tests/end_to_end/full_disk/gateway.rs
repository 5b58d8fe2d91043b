//! A Gateway whose disk fills while it serves.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        probe::{EchoProbe, http_get},
        servers::{UdpEcho, nginx},
        wait,
    },
    product::Client,
};
use serde_json::Value;

use super::{ENDS, disk::SmallDisk, says};
use crate::stage::{self, ALICE, GATEWAY, OTHER_CONTROLLERS, PASSWORD, SITE, SOON, Stage};

/// Bytes of the Gateway's disk: the room that it wants when it starts, and some more.
const DISK: usize = 4 << 20;
/// Another device of the user.
const OTHER_DEVICE: &str = "stranger";
/// What the Gateway says while the list of Controllers cannot be written.
const UNSAVED: &str = "cannot save the list of controllers";
/// How many Controllers the Gateway would dial after a restart.
fn controllers_on(disk: &Path) -> Result<usize> {
    let members: Value = serde_json::from_slice(&fs::read(disk.join("members.json"))?)?;
    Ok(members.as_array().context("members.json is a list")?.len())
}

#[test]
fn a_gateway_whose_disk_fills_while_it_runs_serves_on_and_saves_the_rest_once_there_is_room() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let directory = lab.directory().join(GATEWAY);
    let disk = SmallDisk::mount(&directory, DISK)?;
    let mut stage = Stage::start(&lab, stage::PAGE_AND_ECHO)?;
    let echo = UdpEcho::start(lab.host("web1"), (stage.protected("web1"), 7))?;
    let probe = EchoProbe::start(lab.host(ALICE), echo.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;
    disk.fill()?;

    // A second Controller is something to be kept.
    let _second = stage.add_controller(OTHER_CONTROLLERS[0], |program| program)?;
    let told = stage.gateways[0].log().wait_for(UNSAVED, ENDS)?;
    says(&told, &["members.json", "No space left on device", "free space on this file system", "trying again"])?;
    ensure!(controllers_on(&directory)? == 1, "the former list is still there, and whole");

    // The session goes on, and another device gets one of its own.
    let mut other = Client::new(&lab, OTHER_DEVICE);
    other.add_profile(&stage.operator.profile_link("demo")?)?;
    other.up(ALICE, PASSWORD, &[SITE])?;
    let reply = http_get(lab.host(OTHER_DEVICE), &stage.page("web1", 80), SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");
    probe.wait_answer_after(Instant::now(), SOON)?;

    disk.empty()?;
    wait::until_ok("the list of Controllers is saved", ENDS, || {
        let known = controllers_on(&directory)?;
        ensure!(known == 2, "{known} Controllers are on the disk");
        Ok(())
    })?;
    let report = probe.stop()?;
    ensure!(report.lost.is_empty() && report.duplicates == 0, "packets were lost: {report}, {:?}", report.lost);

    // What was saved is good for a start.
    stage.gateways[0].kill()?;
    stage.gateways[0].restart()?;
    wait::until_ok("the page after the Gateway's restart", ENDS, || {
        let reply = http_get(lab.host(ALICE), &stage.page("web1", 80), SOON)?;
        ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");
        Ok(())
    })?;
    let errors = stage.gateways[0].log().errors();
    let others: Vec<_> = errors.iter().filter(|line| !line.contains(UNSAVED)).collect();
    ensure!(others.is_empty(), "ERROR in the Gateway's log:\n{others:?}");
    Ok(())
}
