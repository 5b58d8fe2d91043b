//! A Controller on a disk that is full: it says so and ends, and what was acknowledged is there when there is room again.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use ringwall_chaos_tests::lab::{Lab, wait};

use crate::stage::{self, CONTROLLER, SOON, Stage};

/// Bytes of the disk: what a Controller's log takes on an empty one, and some room.
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

/// A file system of its own, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        let options = format!("size={DISK},mode=700");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).context("mount a disk")?;
        Ok(Self(at.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes every byte that is free.
    fn fill(&self) -> Result<()> {
        let mut filler = OpenOptions::new().create(true).append(true).open(self.filler())?;
        for block in [1 << 20, 4_096] {
            let block = vec![1; block];
            while filler.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Gives so many bytes back.
    fn free(&self, bytes: u64) -> Result<()> {
        let filler = File::options().write(true).open(self.filler())?;
        Ok(filler.set_len(filler.metadata()?.len().saturating_sub(bytes))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Programs that still have files on it let go of them when they end.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Names of all Sites, as the operator sees them.
fn sites(stage: &Stage<'_>) -> Result<String> {
    wait::until_ok("the operator reads", ENDS, || Ok(stage.operator.read(&["get", "sites"])?.to_string()))
}

#[test]
fn a_full_disk_ends_a_controller_and_loses_nothing_that_was_acknowledged() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let disk = SmallDisk::mount(&lab.directory().join(CONTROLLER))?;
    let mut stage = Stage::found(&lab, "kind: Site\nname: before\nnetworkSubnets: [10.30.0.0/24]\n")?;

    // Full at the start.
    stage.controller.kill()?;
    disk.fill()?;
    let refused = format!("{:#}", stage.controller.restart().err().context("started on a full disk")?);
    for part in ["No space left on device", "free space on this file system", "acknowledged is kept"] {
        ensure!(refused.contains(part), "{part:?} is missing in: {refused}");
    }

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
    for part in
        ["the replicated log in", "No space left on device", "free space on this file system", "acknowledged is kept"]
    {
        ensure!(told.contains(part), "{part:?} is missing in: {told}");
    }
    ensure!(!stage.controller.log().text().contains("panicked"), "{}", stage.controller.log().text());

    // Room again.
    fs::remove_file(disk.filler())?;
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
