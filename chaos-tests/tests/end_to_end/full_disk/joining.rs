//! Joining on a disk that is full, or that fills before the answer comes: the seed is good for as long as it was not used.

use std::fs;

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{Lab, command::Program, fault::Fault, probe::http_get, servers::nginx, wait},
    product::{
        Controller, Gateway,
        controller::{PEER_PORT, socket, with_seed},
        gateway,
    },
};

use super::{ENDS, disk::SmallDisk, says};
use crate::{
    stage::{self, ALICE, CONTROLLER, GATEWAY, OTHER_CONTROLLERS, SITE, SOON, Stage},
    start_up::with_mounts,
};

/// Bytes of a disk on which a program can begin to join.
const DISK: usize = 4 << 20;
#[test]
fn a_gateway_whose_disk_is_full_or_fills_while_it_joins_joins_with_the_same_seed_once_there_is_room() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let disk = SmallDisk::mount(&lab.directory().join(GATEWAY), DISK)?;
    let mut stage = Stage::found(&lab, stage::PAGE)?;
    let seed = stage.operator.add_gateway(GATEWAY, SITE, &socket(&lab, GATEWAY, gateway::CLIENT_PORT))?;

    // Full at the start: nobody is asked.
    disk.fill()?;
    let refused = Gateway::start(&lab, GATEWAY, SITE, &seed).err().context("started on a full disk")?;
    says(&format!("{refused:#}"), &["cannot", "No space left on device", "free space on this file system"])?;
    ensure!(seed.exists(), "the seed was not used");
    disk.empty()?;

    // Full when the answer comes: everything is ready for it, and no Controller can be reached yet.
    let controller = lab.topology().v4(CONTROLLER, "wan");
    let fault = Fault::drop_leaving(lab.host(GATEWAY), &format!("ip daddr {controller}"))?;
    let configuration = lab.directory().join(format!("{GATEWAY}.toml"));
    let program = Program::product("joining", "ringwall-gateway")?.args(["run", "--config"]).arg(configuration);
    let mut joining = lab.spawn(GATEWAY, program)?;
    joining.wait_logged("joining failed; trying again", ENDS)?;
    disk.fill()?;
    drop(fault);
    let ended = joining.wait(ENDS)?;
    ensure!(ended.code() == Some(1), "{ended}");
    let said = joining.log().text();
    says(&said, &["gateway.pem", "No space left on device", "free space on this file system"])?;
    ensure!(!said.contains("panicked"), "{said}");
    ensure!(seed.exists(), "the seed is still needed");

    // The same question as before gets the same answer.
    disk.empty()?;
    stage.gateways.push(Gateway::start(&lab, GATEWAY, SITE, &seed)?);
    ensure!(!seed.exists(), "a seed that is spent is deleted");
    stage.sign_in()?;
    let reply = http_get(lab.host(ALICE), &stage.page("web1", 80), SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");
    Ok(())
}

#[test]
fn a_controller_that_finds_its_disk_full_joins_with_the_same_seed_once_there_is_room() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let stage = Stage::found(&lab, stage::PAGE)?;
    let name = OTHER_CONTROLLERS[0];
    let directory = lab.directory().join(name);
    let seed = stage.operator.add_controller(name, &socket(&lab, name, PEER_PORT))?;
    fs::create_dir(&directory)?;
    let place = directory.to_str().context("a path in text")?;
    let full = with_mounts("full", "mount -t tmpfs -o size=64k,mode=700 none \"$1\"", &[place], "ringwall-controller")?;
    let ended = lab.run(name, &with_seed(full, &lab, name, &seed), ENDS)?;
    ensure!(ended.status.code() == Some(1), "{}: {}{}", ended.status, ended.stdout, ended.stderr);
    says(&ended.stderr, &[place, "No space left on device", "free space on this file system"])?;
    ensure!(!ended.stdout.contains("key fingerprint"), "nobody was asked to admit it: {}", ended.stdout);
    ensure!(seed.exists(), "the seed was not used");

    let _joined = Controller::join_with(&lab, name, &seed, &stage.operator, |program| program)?;
    ensure!(!seed.exists(), "a seed that is spent is deleted");
    wait::until_ok("the Controller votes", ENDS * 2, || {
        let status = stage.operator.status()?;
        ensure!(status.voters() == 2 && status.leader_name().is_some(), "{status:?}");
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_controller_whose_disk_fills_while_it_waits_for_its_admission_says_that_it_has_to_be_removed() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let stage = Stage::found(&lab, stage::PAGE)?;
    let [name, other] = OTHER_CONTROLLERS;
    let directory = lab.directory().join(name);
    let disk = SmallDisk::mount(&directory, DISK)?;
    let seed = stage.operator.add_controller(name, &socket(&lab, name, PEER_PORT))?;
    let program = Program::product("joining", "ringwall-controller")?;
    let mut joining = lab.spawn(name, with_seed(program, &lab, name, &seed))?;
    let shown = joining.log().wait_for("key fingerprint", ENDS)?;
    let fingerprint = shown.split_whitespace().last().context("a fingerprint")?;
    disk.fill()?;
    wait::until_ok("it asks and is admitted", ENDS, || {
        let admitted = stage.operator.attempt(&["collective", "admit", name, "--fingerprint", fingerprint])?;
        admitted.success().map(drop)
    })?;
    let ended = joining.wait(ENDS)?;
    ensure!(ended.code() == Some(1), "{ended}");
    let remove = format!("ringctl collective remove {name}");
    let parts = [
        "has admitted this Controller, but its data directory cannot be written",
        remove.as_str(),
        "join with a new seed and an empty directory",
        "No space left on device",
        "free space on this file system",
    ];
    says(&joining.log().text(), &parts)?;
    ensure!(!directory.join("identity.json").exists(), "a directory that is half written holds no Controller");

    // As it says; the Collective does not miss it.
    stage.operator.attempt(&["collective", "remove", name, "--yes"])?.success()?;
    stage.add_controller(other, |program| program).map(drop)
}
