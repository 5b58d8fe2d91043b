//! Snapshots as files: `<index>-<term>.snapshot`, named so that they sort by age.
//!
//! Written to a temporary name, synced, renamed, directory synced; the last 32 bytes are the BLAKE3 of all others. Only
//! the newest is kept. A file that does not match its checksum is never read.

pub(crate) mod file;
pub(crate) mod incoming;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::data_dir::{DataDirError, damaged, io_error, sync_parent};
use crate::state::State;
use crate::types::SnapshotMeta;
use file::SnapshotFile;
use incoming::Incoming;

const SUFFIX: &str = "snapshot";
const TEMPORARY: &str = "partial";

/// A node's snapshots.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    directory: PathBuf,
    counter: Arc<AtomicU64>,
}

impl Snapshots {
    /// Opens the directory: removes what was being written when the process ended, and checks the newest snapshot.
    pub(crate) fn open(directory: &Path) -> Result<Self, DataDirError> {
        if !directory.is_dir() {
            return Err(damaged(directory, "the directory is missing"));
        }
        let snapshots = Self { directory: directory.to_owned(), counter: Arc::new(AtomicU64::new(0)) };
        let fault = |source| io_error(directory, source);
        for partial in snapshots.files(TEMPORARY).map_err(fault)? {
            fs::remove_file(&partial).map_err(|source| io_error(&partial, source))?;
        }
        if let Some(newest) = snapshots.files(SUFFIX).map_err(fault)?.pop() {
            let file = SnapshotFile::open(&newest).map_err(|source| io_error(&newest, source))?;
            file.read().map_err(|why| damaged(&newest, why.to_string()))?;
        }
        Ok(snapshots)
    }

    /// The newest snapshot.
    pub(crate) fn newest(&self) -> io::Result<Option<(SnapshotMeta, SnapshotFile)>> {
        let Some(path) = self.files(SUFFIX)?.pop() else { return Ok(None) };
        let file = SnapshotFile::open(&path)?;
        Ok(Some((file.meta()?, file)))
    }

    /// Writes a snapshot of `state`.
    pub(crate) fn write(&self, meta: &SnapshotMeta, state: &State) -> io::Result<SnapshotFile> {
        let temporary = self.temporary();
        file::write(&temporary, meta, state)?;
        self.adopt(meta, &temporary)
    }

    /// Makes a received file this node's newest snapshot.
    pub(crate) fn install(&self, meta: &SnapshotMeta, file: &SnapshotFile) -> io::Result<Arc<State>> {
        let (found, state) = file.read()?;
        if found != *meta {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "snapshot is not the one that was announced"));
        }
        if file.path() != self.named(meta) {
            self.adopt(meta, &file.path())?;
        }
        Ok(Arc::new(state))
    }

    /// A file to receive a snapshot into.
    pub(crate) fn receive(&self, length: u64) -> io::Result<Incoming> {
        Incoming::create(self.temporary(), length)
    }

    fn adopt(&self, meta: &SnapshotMeta, temporary: &Path) -> io::Result<SnapshotFile> {
        let path = self.named(meta);
        fs::rename(temporary, &path)?;
        sync_parent(&path)?;
        for older in self.files(SUFFIX)?.into_iter().filter(|other| *other < path) {
            fs::remove_file(older)?;
        }
        SnapshotFile::open(&path)
    }

    fn named(&self, meta: &SnapshotMeta) -> PathBuf {
        let (index, term) = meta.last_log_id.map_or((0, 0), |last| (last.index, last.leader_id.term));
        self.directory.join(format!("{index:020}-{term:020}.{SUFFIX}"))
    }

    fn temporary(&self) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.directory.join(format!("{number}.{TEMPORARY}"))
    }

    /// Files with this suffix, oldest first.
    fn files(&self, suffix: &str) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == suffix) {
                files.push(path);
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}
