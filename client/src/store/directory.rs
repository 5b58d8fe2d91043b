//! The state directory as a whole: which profiles there are, and the daemon's lock and socket.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ringwall_startup::DirectoryLock;
use ringwall_trust::secret::{private_directory, write_private};

use super::{ProfileStore, StoreError, StoredProfile, file};
use crate::profile::{Profile, ProfileSlot};

/// Holds the path of the resolver file.
const RESOLVER_FILE: &str = "resolver-file";

/// Where the Client keeps what it knows.
#[derive(Debug, Clone)]
pub(crate) struct StateDirectory {
    root: PathBuf,
}

impl StateDirectory {
    /// `/var/lib/ringwall` for root, else `$XDG_STATE_HOME/ringwall` or `$HOME/.local/state/ringwall`.
    #[must_use]
    pub(crate) fn default_path() -> PathBuf {
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/var/lib/ringwall");
        }
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        state.or_else(home).unwrap_or_else(|| PathBuf::from("/var/lib")).join("ringwall")
    }

    /// Opens the directory and makes it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or if others may look into it.
    pub(crate) fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        let this = Self { root };
        private_directory(&this.root)?;
        private_directory(&this.profiles_path())?;
        Ok(this)
    }

    /// The directory itself.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    /// The running daemon's local socket.
    #[must_use]
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.root.join("ringwall.sock")
    }

    /// Where a detached daemon writes its log.
    #[must_use]
    pub(crate) fn log_path(&self) -> PathBuf {
        self.root.join("ringwall.log")
    }

    /// Notes which resolver file of the system the daemon may replace, for whoever cleans up after one that was killed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn note_resolver_file(&self, file: &Path) -> Result<(), StoreError> {
        let file = std::path::absolute(file).map_err(|error| StoreError::io(file, error))?;
        Ok(write_private(&self.root.join(RESOLVER_FILE), file.as_os_str().as_bytes())?)
    }

    /// The resolver file that the last daemon noted.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn resolver_file(&self) -> Result<Option<PathBuf>, StoreError> {
        let noted = file::read(&self.root.join(RESOLVER_FILE))?;
        Ok(noted.map(|path| PathBuf::from(OsStr::from_bytes(&path))))
    }

    /// Makes this process the directory's only daemon.
    ///
    /// # Errors
    /// [`StoreError::Locked`].
    pub(crate) fn lock(&self) -> Result<DirectoryLock, StoreError> {
        Ok(DirectoryLock::take(&self.root, "daemon.lock")?)
    }

    /// All profiles, by name.
    ///
    /// # Errors
    /// If one cannot be read; the error names the file.
    pub(crate) fn profiles(&self) -> Result<Vec<StoredProfile>, StoreError> {
        let path = self.profiles_path();
        let mut profiles = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(|error| StoreError::io(&path, error))? {
            let link = entry.map_err(|error| StoreError::io(&path, error))?.path().join("profile.link");
            if let Some(profile) = read_link(&link)? {
                profiles.push(StoredProfile { slot: profile.slot(), profile });
            }
        }
        profiles.sort_by(|a, b| a.profile.name.cmp(&b.profile.name).then(a.slot.cmp(&b.slot)));
        Ok(profiles)
    }

    /// The stored profile for a host and provider.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn profile(&self, slot: &ProfileSlot) -> Result<Option<Profile>, StoreError> {
        read_link(&self.slot_path(slot).join("profile.link"))
    }

    /// The profile that the user means: by name or slot, or the only one.
    ///
    /// # Errors
    /// [`StoreError::NoSuchProfile`], [`StoreError::NoProfile`], [`StoreError::WhichProfile`].
    pub(crate) fn choose(&self, wanted: Option<&str>) -> Result<StoredProfile, StoreError> {
        let mut profiles = self.profiles()?;
        if let Some(wanted) = wanted {
            profiles.retain(|stored| stored.profile.name == wanted || stored.slot.to_string() == wanted);
        }
        match (profiles.len(), wanted) {
            (1, _) => Ok(profiles.swap_remove(0)),
            (0, Some(wanted)) => Err(StoreError::NoSuchProfile(wanted.to_owned())),
            (0, None) => Err(StoreError::NoProfile),
            _ => {
                let name = |stored: StoredProfile| format!("{} ({})", stored.profile.name, stored.slot);
                Err(StoreError::WhichProfile(profiles.into_iter().map(name).collect()))
            }
        }
    }

    /// Keeps a profile. Whether it may replace another is decided before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn keep(&self, profile: &Profile) -> Result<(), StoreError> {
        let directory = self.slot_path(&profile.slot());
        private_directory(&directory)?;
        Ok(write_private(&directory.join("profile.link"), profile.expose_link().as_bytes())?)
    }

    /// Forgets a profile, its key and its tokens.
    ///
    /// # Errors
    /// If the directory cannot be removed.
    pub(crate) fn forget(&self, slot: &ProfileSlot) -> Result<(), StoreError> {
        let directory = self.slot_path(slot);
        std::fs::remove_dir_all(&directory).map_err(|error| StoreError::io(&directory, error))
    }

    /// What is kept for a profile.
    #[must_use]
    pub(crate) fn store(&self, slot: &ProfileSlot) -> ProfileStore {
        ProfileStore::new(self.slot_path(slot))
    }

    fn profiles_path(&self) -> PathBuf {
        self.root.join("profiles")
    }

    fn slot_path(&self, slot: &ProfileSlot) -> PathBuf {
        self.profiles_path().join(slot.to_string())
    }
}

fn read_link(path: &Path) -> Result<Option<Profile>, StoreError> {
    let Some(content) = file::read(path)? else { return Ok(None) };
    let text = std::str::from_utf8(&content)
        .map_err(|_| StoreError::Damaged { path: path.to_owned(), what: "a profile link" })?;
    Profile::parse_link(text).map(Some).map_err(|source| StoreError::Link { path: path.to_owned(), source })
}
