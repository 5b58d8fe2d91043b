//! A disk that a test fills and empties: a file system of its own under the directory of one program.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A file system of its own, unmounted at the end.
pub(super) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many bytes; a program that starts wants 1 MiB of them.
    pub(super) fn mount(at: &Path, bytes: usize) -> Result<Self> {
        fs::create_dir_all(at)?;
        let options = format!("size={bytes},mode=700");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).context("mount a disk")?;
        Ok(Self(at.to_owned()))
    }

    /// The file that takes the room.
    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes every byte that is free.
    pub(super) fn fill(&self) -> Result<()> {
        let mut filler = OpenOptions::new().create(true).append(true).open(self.filler())?;
        for block in [1 << 20, 4_096] {
            let block = vec![1; block];
            while filler.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Gives every byte back.
    pub(super) fn empty(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("remove the filler")
    }

    /// Gives so many bytes back.
    pub(super) fn free(&self, bytes: u64) -> Result<()> {
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
