//! One daemon per state directory: a lock that the kernel takes back when its process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::StoreError;

/// Held while the daemon runs.
#[derive(Debug)]
pub(crate) struct DaemonLock(#[expect(dead_code, reason = "holds the lock until it is dropped")] File);

impl DaemonLock {
    /// Takes the lock in this file and writes the process id into it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let io = |error| StoreError::io(path, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                file.take(32).read_to_string(&mut holder).map_err(io)?;
                return Err(StoreError::Locked(holder.trim().to_owned()));
            }
            Err(error) => return Err(io(error.into())),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self(file))
    }
}
