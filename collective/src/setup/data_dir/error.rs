//! Why a data directory is not usable, and what to do about it.

use std::path::PathBuf;

use ringwall_startup::{LockError, Refusal};
use ringwall_trust::ca::CaError;
use ringwall_trust::identity::{KeyError, PemError};
use ringwall_trust::secret::{FileError, SealError};

use super::IDENTITY_VERSION;

/// Why a data directory is not usable.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The operating system refused.
    #[error("cannot use {path}: {why}")]
    Io {
        /// The file or directory that was refused.
        path: PathBuf,
        /// What it said, and what to do about it.
        why: Refusal,
    },
    /// There is something in it already.
    #[error(
        "expected {0} to be empty or not to exist; name another directory, or remove it if an earlier `init` or `join` \
         was interrupted (it then has no identity.json)"
    )]
    NotEmpty(PathBuf),
    /// Nothing was made there.
    #[error(
        "{0} holds no Controller: found a Collective with `ringwall-controller init`, join one with `ringwall-controller \
         join`, or name the directory of one with --data-dir"
    )]
    Missing(PathBuf),
    /// Another process uses it.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// A private file is missing, too open or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key is damaged.
    #[error(
        "cannot use the key in {path}; if it is damaged, restore this file from a backup, or remove this Controller and join again"
    )]
    Key {
        /// The key file, in the data directory.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// The certificate chain is damaged.
    #[error(
        "cannot use the certificate in node.pem: {0}; restore this file from a backup, or remove this Controller and join again"
    )]
    Chain(PemError),
    /// `identity.json` is damaged or of another version.
    #[error(
        "expected identity.json of version {IDENTITY_VERSION}: {0}; restore this file from a backup, or remove this Controller and join again"
    )]
    Identity(String),
    /// `members.json` is damaged.
    #[error(
        "expected members.json to hold controllers' records: {0}; restore this file from a backup, or remove this Controller and join again"
    )]
    Members(String),
    /// `kek.key` is damaged.
    #[error(
        "expected kek.key to hold numbered keys of 32 bytes; restore this file from a backup, or remove this Controller and join again"
    )]
    Kek,
    /// `wrap.key` is damaged.
    #[error(
        "expected wrap.key to hold a key of 32 bytes; restore this file from a backup, or remove this Controller and join again"
    )]
    Wrap,
    /// `root.sealed` is damaged.
    #[error("root.sealed is damaged; restore it from a backup")]
    RootText,
    /// The sealed root does not open.
    #[error(
        "root.sealed does not open under kek.key: they are of two Collectives, or damaged; restore both from one backup"
    )]
    Root(#[source] SealError),
    /// Root key and certificate do not belong together.
    #[error(transparent)]
    Ca(#[from] CaError),
}
