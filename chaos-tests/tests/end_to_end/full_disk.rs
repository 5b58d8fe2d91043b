//! Programs on a disk that is full, or that fills while they run: each says what could not be written, why, and what to do.
//! A Controller ends, and what it acknowledged is there when there is room again; a Gateway and a Client go on.

mod client;
mod disk;
mod gateway;
mod joining;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::lab::{Lab, wait};

use self::disk::SmallDisk;
use crate::stage::{self, CONTROLLER, SOON, Stage};

/// Bytes of a Controller's disk: what its log takes on an empty one, and some room.
const DISK: usize = 64 << 20;
/// Bytes with which a Controller starts; most of it is soon taken by the log.
const LITTLE: u64 = 8 << 20;
/// Orders until the log's last block is used up.
const ORDERS: usize = 200;
/// For a Controller to notice, tell and end.
const ENDS: Duration = Duration::from_secs(30);
/// Orders that are carried out while there is room.
const FIRST: usize = 5;
/// Bytes of the notes of each Site, so that orders fill the log; as many as are allowed.
const LARGE: usize = 8_000;

/// Every part is in the message.
fn says(said: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(said.contains(part), "{part:?} is missing in: {said}");
    }
    Ok(())
}

/// Names of all Sites, as the operator sees them.
fn sites(stage: &Stage<'_>) -> Result<String> {
    wait::until_ok("the operator reads", ENDS, || Ok(stage.operator.read(&["get", "sites"])?.to_string()))
}

#[test]
fn a_full_disk_ends_a_controller_and_loses_nothing_that_was_acknowledged() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let disk = SmallDisk::mount(&lab.directory().join(CONTROLLER), DISK)?;
    let mut stage = Stage::found(&lab, "kind: Site\nname: before\nnetworkSubnets: [10.30.0.0/24]\n")?;

    // Full at the start.
    stage.controller.kill()?;
    disk.fill()?;
    let refused = format!("{:#}", stage.controller.restart().err().context("started on a full disk")?);
    says(&refused, &["No space left on device", "free space on this file system", "acknowledged is kept"])?;

    // Full while it runs.
    disk.free(LITTLE)?;
    stage.controller.kill()?;
    stage.controller.restart()?;
    ensure!(sites(&stage)?.contains("\"before\""), "the Site is still there");
    let description = "x".repeat(LARGE);
    let mut acknowledged = Vec::new();
    for number in 0..ORDERS {
        if number >= FIRST {
            disk.fill()?;
        }
        let name = format!("site-{number}");
        let order = format!("kind: Site\nname: {name}\nnotes: {description}\nnetworkSubnets: [10.31.{number}.0/24]\n");
        if stage.apply(&order).is_err() {
            break;
        }
        acknowledged.push(name);
    }
    ensure!((FIRST..ORDERS).contains(&acknowledged.len()), "{} orders were carried out", acknowledged.len());
    let told = stage.controller.log().wait_for("can no longer be used", ENDS)?;
    says(&told, &["the replicated log in", "No space left on device", "free space on this file system"])?;
    says(&told, &["acknowledged is kept"])?;
    ensure!(!stage.controller.log().text().contains("panicked"), "{}", stage.controller.log().text());

    // Room again.
    disk.empty()?;
    stage.controller.kill()?;
    stage.controller.restart()?;
    let found = sites(&stage)?;
    for name in acknowledged.iter().map(String::as_str).chain(["before"]) {
        ensure!(found.contains(&format!("\"{name}\"")), "{name} was acknowledged and is lost");
    }
    wait::until_ok("orders are carried out again", SOON, || {
        stage.apply("kind: Site\nname: after\nnetworkSubnets: [10.32.0.0/24]\n")
    })?;
    Ok(())
}
