//! A Client whose disk fills while it is connected.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{Lab, probe::EchoProbe, servers::UdpEcho, wait},
    product::{client::state_directory, instant_of},
};

use super::{disk::SmallDisk, says};
use crate::{
    expiry::wait_until,
    stage::{self, ALICE, SOON, Stage},
};

/// Bytes of the Client's disk: the room that it wants when it starts, and some more.
const DISK: usize = 4 << 20;
/// A life of the tokens, and the time between two looks at what could not be saved.
const RENEWED: Duration = Duration::from_secs(120);
/// What the Client says while its tokens cannot be written.
const UNSAVED: &str = "cannot save the new tokens, which are in use";
/// What its status calls the place.
const PLACE: &str = "state directory";
/// The state of a test whose tokens are valid for so many minutes; 1 is the shortest that there is.
fn tokens_of(minutes: u32) -> String {
    let settings = format!("claimsTokenExpiration: {minutes}\nentitlementTokenExpiration: {minutes}");
    stage::with_settings(&settings, stage::ECHO)
}

/// Whether the Client's status tells of the disk.
fn is_in_trouble(stage: &Stage<'_>) -> Result<bool> {
    Ok(stage.client.status()?.troubles.iter().any(|trouble| trouble.subject == PLACE))
}

#[test]
fn a_client_whose_disk_fills_while_it_is_connected_goes_on_with_tokens_that_it_cannot_save() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let disk = SmallDisk::mount(&state_directory(&lab, ALICE), DISK)?;
    let stage = Stage::start(&lab, &tokens_of(1))?;
    let echo = UdpEcho::start(lab.host("web1"), (stage.protected("web1"), 7))?;
    let probe = EchoProbe::start(lab.host(ALICE), echo.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;
    disk.fill()?;
    let saved = stage.client.tokens()?;

    let log = stage.client.log().context("the daemon was started")?;
    let told = log.wait_for(UNSAVED, RENEWED)?;
    let parts = ["session.json", "No space left on device", "free space on this file system", "needs a new sign-in"];
    says(&told, &parts)?;
    wait::until_ok("the status tells of it", SOON, || {
        ensure!(is_in_trouble(&stage)?, "{:?}", stage.client.status()?);
        Ok(())
    })?;
    // Nothing on the disk is good any more, and the session goes on.
    wait_until(instant_of(saved.last_end() + 1));
    ensure!(stage.client.tokens()?.last_end() == saved.last_end(), "a token was written to a disk that is full");
    probe.wait_answer_after(Instant::now(), SOON)?;

    disk.empty()?;
    wait::until_ok("the tokens in use are saved", RENEWED, || {
        ensure!(stage.client.tokens()?.first_end() > saved.last_end(), "the tokens on the disk are the former ones");
        Ok(())
    })?;
    wait::until_ok("the status tells of it no more", SOON, || {
        ensure!(!is_in_trouble(&stage)?, "{:?}", stage.client.status()?);
        Ok(())
    })?;
    let report = probe.stop()?;
    ensure!(report.lost.is_empty() && report.duplicates == 0, "packets were lost: {report}, {:?}", report.lost);
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}

#[test]
fn a_client_that_loses_its_gateway_on_a_full_disk_says_so_and_comes_back_when_there_is_room() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let disk = SmallDisk::mount(&state_directory(&lab, ALICE), DISK)?;
    let mut stage = Stage::start(&lab, &tokens_of(60))?;
    let echo = UdpEcho::start(lab.host("web1"), (stage.protected("web1"), 7))?;
    let probe = EchoProbe::start(lab.host(ALICE), echo.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;
    disk.fill()?;
    // A number that is not on the disk could be used twice: the Client does not come back with it.
    stage.gateways[0].kill()?;
    stage.gateways[0].restart()?;
    let log = stage.client.log().context("the daemon was started")?;
    let told = log.wait_for("cannot store the connection's sequence number", RENEWED)?;
    says(&told, &["connect_seq", "No space left on device", "make room in the state directory"])?;
    disk.empty()?;
    probe.wait_answer_after(Instant::now(), RENEWED)?;
    Ok(())
}
