//! What the Client keeps between runs: profiles, and per profile the device, its key, and the last sign-in.
//!
//! ```text
//! <state directory>/               0700
//!   daemon.lock                    held by the running daemon
//!   ringwall.sock                  its local socket, 0600
//!   profiles/<slot>/profile.link   the link, which may hold the SPA key
//!                   device.json    device id, cookie, per-device SPA key
//!                   key.pem        private key
//!                   session.json   tokens, certificate, Controllers
//!                   connect_seq    counts every hello (T12)
//! ```
//!
//! Every file has mode 0600 and is replaced whole (temporary file, fsync, rename); one that others may read is refused.
//! What tokens mean is left to others.

use std::io;
use std::path::{Path, PathBuf};

use ringwall_startup::{LockError, Refusal};
use ringwall_trust::identity::KeyError;
use ringwall_trust::secret::FileError;

use crate::profile::{LinkError, Profile, ProfileSlot};

mod directory;
mod file;
mod profile_store;
mod session;

pub(crate) use directory::StateDirectory;
pub(crate) use profile_store::{Device, ProfileStore};
pub(crate) use session::{StoredSession, StoredSite};

use file::MAX_STATE_FILE;

/// Why something was not read from or written to the state directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The operating system refused.
    #[error("cannot use {path}: {why}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said, and what to do about it.
        why: Refusal,
    },
    /// A secret file could not be written, or is not secret.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is larger than what we write.
    #[error("expected {path} to have at most {MAX_STATE_FILE} bytes")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The file does not say what it should.
    #[error("expected {path} to hold {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// A stored link is damaged.
    #[error("{path}")]
    Link {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: LinkError,
    },
    /// The key could not be made or read.
    #[error("cannot use the device's key")]
    Key(#[from] KeyError),
    /// Another daemon runs on this directory, or the lock cannot be written.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// No profile of this name.
    #[error("no such profile: {0:?}")]
    NoSuchProfile(String),
    /// There is no profile at all.
    #[error("there is no profile yet")]
    NoProfile,
    /// Several profiles, and none was named.
    #[error("there are several profiles: {}", .0.join(", "))]
    WhichProfile(Vec<String>),
}

impl StoreError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), why: Refusal::of_file(source) }
    }
}

/// A stored profile and where it is.
#[derive(Debug, Clone)]
pub(crate) struct StoredProfile {
    /// Its place.
    pub(crate) slot: ProfileSlot,
    /// What its link says.
    pub(crate) profile: Profile,
}

#[cfg(test)]
mod tests;
