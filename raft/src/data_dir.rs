//! A node's directory: `identity.json` (whose it is), `log/` (RocksDB), `snapshots/`.
//!
//! A node votes and acknowledges on the strength of what its directory holds. So it never starts on one that is
//! another's, newer than it understands, damaged, or lacks its log.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ringwall_protocol::id::{CollectiveId, Incarnation, NodeId};
use ringwall_startup::Refusal;
use serde::{Deserialize, Serialize};

use crate::log_store;

/// The format that is written, and the newest that is read.
pub(crate) const FORMAT: u32 = 1;
/// Longest `identity.json`: ten times what it needs.
const MAX_IDENTITY: u64 = 4 * 1024;

/// Whose a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The Collective.
    pub collective: CollectiveId,
    /// The node. Ids are never reused, not even by a node whose directory was lost.
    pub node: NodeId,
    /// The incarnation of the Collective in which the directory was made.
    pub incarnation: Incarnation,
}

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It holds something already.
    #[error("{0} is not empty; a new node needs an empty directory")]
    NotEmpty(PathBuf),
    /// It holds no node.
    #[error(
        "{0} holds no node: identity.json is missing; remove this node from the Collective and join again with an empty directory"
    )]
    Missing(PathBuf),
    /// It belongs to another node, Collective or incarnation.
    #[error(
        "{path} belongs to {found}, expected {expected}; name the directory of this node, or join again with an empty one"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// A newer program wrote it.
    #[error("{path} has format {found}, at most {FORMAT} is understood: start the newer program")]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It cannot be trusted. The node must leave the group and join again under a new id.
    #[error("{path} is damaged: {reason}; remove this node from the Collective and join again with an empty directory")]
    Damaged {
        /// What is damaged.
        path: PathBuf,
        /// Reason, in words.
        reason: String,
    },
    /// It is in use, or cannot be read or written.
    #[error("cannot use {path}: {why}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said, and what to do about it.
        why: Refusal,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityFile {
    format: u32,
    #[serde(flatten)]
    identity: Option<Identity>,
}

/// Makes the directory of a new node, with an empty log.
///
/// # Errors
/// [`DataDirError::NotEmpty`], [`DataDirError::Io`].
pub fn create(path: &Path, identity: &Identity) -> Result<(), DataDirError> {
    fs::create_dir_all(path).map_err(|source| io_error(path, source))?;
    let mut entries = fs::read_dir(path).map_err(|source| io_error(path, source))?;
    if entries.next().is_some() {
        return Err(DataDirError::NotEmpty(path.to_owned()));
    }
    fs::create_dir(snapshots(path)).map_err(|source| io_error(&snapshots(path), source))?;
    log_store::create(&log(path), identity)?;
    // The identity comes last: a directory with one is complete.
    let file = IdentityFile { format: FORMAT, identity: Some(*identity) };
    let text = serde_json::to_vec_pretty(&file).expect("ids have an encoding");
    write_synced(&identity_file(path), &text).map_err(|source| io_error(path, source))
}

/// Reads whose directory it is.
///
/// # Errors
/// [`DataDirError`], saying what is wrong.
pub fn identity(path: &Path) -> Result<Identity, DataDirError> {
    let file = identity_file(path);
    let length = match fs::metadata(&file) {
        Ok(metadata) => metadata.len(),
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Err(DataDirError::Missing(path.to_owned())),
        Err(source) => return Err(io_error(&file, source)),
    };
    if length > MAX_IDENTITY {
        return Err(damaged(&file, format!("{length} bytes are too long")));
    }
    let bytes = fs::read(&file).map_err(|source| io_error(&file, source))?;
    let read: IdentityFile = serde_json::from_slice(&bytes).map_err(|why| damaged(&file, why.to_string()))?;
    if read.format > FORMAT {
        return Err(DataDirError::Newer { path: path.to_owned(), found: read.format });
    }
    read.identity.ok_or_else(|| damaged(&file, "ids are missing".to_owned()))
}

/// Checks that the directory is that of `expected`.
pub(crate) fn check(path: &Path, expected: &Identity) -> Result<(), DataDirError> {
    let found = identity(path)?;
    if found != *expected {
        return Err(DataDirError::Foreign {
            path: path.to_owned(),
            found: found.to_string(),
            expected: expected.to_string(),
        });
    }
    Ok(())
}

pub(crate) fn log(path: &Path) -> PathBuf {
    path.join("log")
}

pub(crate) fn snapshots(path: &Path) -> PathBuf {
    path.join("snapshots")
}

fn identity_file(path: &Path) -> PathBuf {
    path.join("identity.json")
}

/// Writes a file so that after a crash it is there as a whole, or not at all.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> DataDirError {
    DataDirError::Io { path: path.to_owned(), why: Refusal::of_file(source) }
}

pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> DataDirError {
    DataDirError::Damaged { path: path.to_owned(), reason: reason.into() }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {} of collective {}, incarnation {}", self.node, self.collective, self.incarnation)
    }
}
