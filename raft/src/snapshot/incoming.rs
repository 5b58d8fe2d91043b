//! A snapshot that is being received: chunks in order, into a file that goes away if it is never finished.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use super::file::{MAX_LENGTH, SnapshotFile};

/// The file in the making.
#[derive(Debug)]
pub(crate) struct Incoming {
    path: PathBuf,
    file: File,
    expected: u64,
    received: u64,
    finished: bool,
}

impl Incoming {
    pub(crate) fn create(path: PathBuf, expected: u64) -> io::Result<Self> {
        if expected > MAX_LENGTH {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a snapshot of {expected} bytes is too long"),
            ));
        }
        let file = File::create(&path)?;
        Ok(Self { path, file, expected, received: 0, finished: false })
    }

    /// Adds the bytes that belong at `offset`.
    pub(crate) fn add(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = self.received + bytes.len() as u64;
        if offset != self.received || end > self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("expected offset {}, got {offset}", self.received),
            ));
        }
        self.file.write_all(bytes)?;
        self.received = end;
        Ok(())
    }

    /// Syncs the complete file. Its checksum is checked when it is read.
    pub(crate) fn finish(mut self) -> io::Result<SnapshotFile> {
        if self.received != self.expected {
            let why = format!("received {} of {} bytes", self.received, self.expected);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.file.sync_all()?;
        self.finished = true;
        SnapshotFile::open(&self.path).map(SnapshotFile::temporary)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.finished {
            // What is left behind is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}
