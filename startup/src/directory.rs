//! A program's directory: one process uses it at a time, and there is room in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::obstacle::Refusal;

/// Room that must be there when a program starts, bytes: keys are replaced and a log is begun.
const ROOM: usize = 1 << 20;
/// File that is written and removed to find out whether there is room.
const TRIAL: &str = ".room";
/// Longest text of a lock file: a process id.
const MAX_HOLDER: u64 = 32;

/// Held while a process uses a directory; the kernel takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock(#[expect(dead_code, reason = "holds the lock until it is dropped")] File);

/// Why a directory is not this process's.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{directory} is in use by process {holder}: stop that process, or name another directory")]
    InUse {
        /// The data or state directory that the other process holds.
        directory: PathBuf,
        /// Id of the process, as it wrote it.
        holder: String,
    },
    /// The lock file cannot be written.
    #[error("cannot lock {path}: {why}")]
    Refused {
        /// The lock file.
        path: PathBuf,
        /// What the system said, and what to do about it.
        why: Refusal,
    },
}

impl DirectoryLock {
    /// Takes the lock in this file of the directory and writes the process id into it.
    ///
    /// # Errors
    /// [`LockError::InUse`] if another process has it; [`LockError::Refused`].
    pub fn take(directory: &Path, file: &str) -> Result<Self, LockError> {
        let path = directory.join(file);
        let refused = |error: io::Error| LockError::Refused { path: path.clone(), why: Refusal::of_file(error) };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(&path).map_err(refused)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                lock.take(MAX_HOLDER).read_to_string(&mut holder).map_err(refused)?;
                let (directory, holder) = (directory.to_owned(), holder.trim().to_owned());
                return Err(LockError::InUse { directory, holder });
            }
            Err(error) => return Err(refused(error.into())),
        }
        lock.set_len(0).map_err(refused)?;
        lock.rewind().map_err(refused)?;
        writeln!(lock, "{}", std::process::id()).map_err(refused)?;
        Ok(Self(lock))
    }
}

/// Finds out whether a directory takes what a program writes at its start: a full disk is told of before anything is begun
/// on it.
///
/// # Errors
/// What the system says; nothing is left behind.
pub fn check_room(directory: &Path) -> Result<(), Refusal> {
    let path = directory.join(TRIAL);
    let tried = write_trial(&path);
    // Where it was never made there is nothing to remove.
    let _ = std::fs::remove_file(&path);
    tried.map_err(Refusal::of_file)
}

fn write_trial(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&vec![0; ROOM])?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Obstacle;

    #[test]
    fn a_directory_has_one_user_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let held = DirectoryLock::take(directory.path(), "lock").expect("free");
        let refused = DirectoryLock::take(directory.path(), "lock").expect_err("in use").to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        drop(held);
        DirectoryLock::take(directory.path(), "lock").expect("free again");
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_of_and_nothing_is_left_of_a_trial() {
        let directory = tempfile::tempdir().expect("a directory");
        check_room(directory.path()).expect("there is room");
        assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 0);
        let refused = check_room(&directory.path().join("gone")).expect_err("not there");
        assert_eq!(refused.obstacle(), Obstacle::NoFile);
    }
}
