//! A Gateway's data directory: who it is, and the private key that never leaves it.
//!
//! ```text
//! identity.json    collective, appliance, root, key for knocking; the highest incarnation of the Collective that was seen
//! gateway.key/.pem its certificate's key and chain        next.key   of a certificate that is asked for
//! members.json     Controllers, to be dialled after a restart
//! joining.json     id of the command, while it joins
//! knocks.journal   used knocks that were dated ahead of the clock
//! lock             held by the process that runs on it
//! ```
//! All files are private (0600) and replaced atomically.

use std::path::{Path, PathBuf};

use ringwall_protocol::id::{ApplianceId, CollectiveId, CommandId, Incarnation};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_startup::{DirectoryLock, LockError, Refusal, check_room};
use ringwall_trust::identity::{KeyError, KeyKind, PemError, PrivateKey, certificates_from_pem, certificates_to_pem};
use ringwall_trust::secret::{FileError, private_directory, read_private, write_private};
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of [`Identity`].
const VERSION: u16 = 1;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The directory cannot be made, or others may look into it.
    #[error("cannot use the data directory: {0}")]
    Directory(FileError),
    /// Another process uses it.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// There is no room in it.
    #[error("cannot write into {0}: {1}")]
    Room(PathBuf, Refusal),
    /// A file is missing, too open or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key is damaged.
    #[error("cannot use the key in {0}: {1}; if it is damaged, join again with a new seed and an empty data directory")]
    Key(PathBuf, KeyError),
    /// The certificate is damaged.
    #[error("cannot use the certificate in {0}: {1}; join again with a new seed and an empty data directory")]
    Chain(PathBuf, PemError),
    /// A file is damaged, or of another version.
    #[error("{0} is damaged or of another version; join again with a new seed and an empty data directory")]
    Content(PathBuf),
}

/// Who this Gateway is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    version: u16,
    /// The Collective.
    pub collective: CollectiveId,
    /// The appliance.
    pub appliance: ApplianceId,
    /// The Collective's root certificate, DER, base64url.
    pub root_certificate: String,
    /// Key for knocking on Controllers' peer ports, base64url; the one that the feed told last.
    pub(crate) spa_key: Option<String>,
    /// The highest incarnation of the Collective that was seen: a lower one is refused (T19).
    pub incarnation: Incarnation,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("appliance", &self.appliance).finish_non_exhaustive()
    }
}

impl Identity {
    /// An identity of this version.
    #[must_use]
    pub const fn new(
        collective: CollectiveId,
        appliance: ApplianceId,
        root_certificate: String,
        spa_key: Option<String>,
        incarnation: Incarnation,
    ) -> Self {
        Self { version: VERSION, collective, appliance, root_certificate, spa_key, incarnation }
    }
}

const IDENTITY: &str = "identity.json";
const KEY: &str = "gateway.key";
const NEXT_KEY: &str = "next.key";
const CHAIN: &str = "gateway.pem";
const MEMBERS: &str = "members.json";
const JOINING: &str = "joining.json";
const KNOCKS: &str = "knocks.journal";
const LOCK: &str = "lock";

/// The directory.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Opens the directory; makes it, for this user only, if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or if others may look into it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        private_directory(path).map_err(DataDirError::Directory)?;
        Ok(Self(path.to_owned()))
    }

    /// Makes this process the directory's only user, and finds out whether there is room in it.
    ///
    /// # Errors
    /// [`DataDirError::Locked`], [`DataDirError::Room`].
    pub(crate) fn lock(&self) -> Result<DirectoryLock, DataDirError> {
        let lock = DirectoryLock::take(&self.0, LOCK)?;
        check_room(&self.0).map_err(|why| DataDirError::Room(self.0.clone(), why))?;
        Ok(lock)
    }

    /// Who this Gateway is; `None` before it has joined.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn identity(&self) -> Result<Option<Identity>, DataDirError> {
        let identity: Option<Identity> = self.read_json(IDENTITY)?;
        match identity {
            Some(identity) if identity.version != VERSION => Err(DataDirError::Content(self.0.join(IDENTITY))),
            identity => Ok(identity),
        }
    }

    /// Keeps who this Gateway is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn keep_identity(&self, identity: &Identity) -> Result<(), DataDirError> {
        self.write_json(IDENTITY, identity)
    }

    /// The Controllers that were known last.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn members(&self) -> Result<Vec<ControllerRecord>, DataDirError> {
        Ok(self.read_json(MEMBERS)?.unwrap_or_default())
    }

    /// Keeps the Controllers.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn keep_members(&self, members: &[ControllerRecord]) -> Result<(), DataDirError> {
        self.write_json(MEMBERS, &members)
    }

    /// Where used knocks are kept over a restart.
    #[must_use]
    pub(crate) fn knock_journal(&self) -> PathBuf {
        self.0.join(KNOCKS)
    }

    /// The own key; made and kept if there is none.
    ///
    /// # Errors
    /// If it cannot be made, read or kept.
    pub fn key(&self) -> Result<PrivateKey, DataDirError> {
        self.key_in(KEY)
    }

    /// The key of a certificate that is asked for; made and kept if there is none.
    ///
    /// # Errors
    /// If it cannot be made, read or kept.
    pub(crate) fn next_key(&self) -> Result<PrivateKey, DataDirError> {
        self.key_in(NEXT_KEY)
    }

    /// The own certificate chain, leaf first.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, DataDirError> {
        let path = self.0.join(CHAIN);
        certificates_from_pem(&read_private(&path)?).map_err(|error| DataDirError::Chain(path, error))
    }

    /// Keeps the certificate of the present key.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn keep_chain(&self, chain: &[CertificateDer<'_>]) -> Result<(), DataDirError> {
        self.write(CHAIN, certificates_to_pem(chain).as_bytes())
    }

    /// The next key and its certificate become the present ones. The chain is written first: a crash in between leaves
    /// a chain whose key is the next one, which [`DataDir::key`] then finds.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn activate_next_key(&self, chain: &[CertificateDer<'_>]) -> Result<(), DataDirError> {
        self.keep_chain(chain)?;
        let moved = std::fs::rename(self.0.join(NEXT_KEY), self.0.join(KEY));
        let path = self.0.join(KEY);
        Ok(moved.map_err(|error| FileError::Io { path, why: Refusal::of_file(error) })?)
    }

    /// The id of the joining command: the same for every try.
    ///
    /// # Errors
    /// If the file is damaged or cannot be written.
    pub fn joining(&self, fresh: CommandId) -> Result<CommandId, DataDirError> {
        if let Some(known) = self.read_json(JOINING)? {
            return Ok(known);
        }
        self.write_json(JOINING, &fresh)?;
        Ok(fresh)
    }

    /// Forgets the joining command.
    pub fn joined(&self) {
        // Left behind, it does no harm: its token is spent.
        let _ = std::fs::remove_file(self.0.join(JOINING));
    }

    fn key_in(&self, name: &'static str) -> Result<PrivateKey, DataDirError> {
        let path = self.0.join(name);
        if path.exists() {
            return PrivateKey::load(&path).map_err(|error| DataDirError::Key(path, error));
        }
        let failed = |error| DataDirError::Key(path.clone(), error);
        let key = PrivateKey::generate(KeyKind::P256).map_err(failed)?;
        key.save(&path).map_err(failed)?;
        Ok(key)
    }

    fn read_json<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, DataDirError> {
        let path = self.0.join(name);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read_private(&path)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| DataDirError::Content(path))
    }

    fn write_json<T: Serialize>(&self, name: &'static str, value: &T) -> Result<(), DataDirError> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|_| DataDirError::Content(self.0.join(name)))?;
        self.write(name, &bytes)
    }

    fn write(&self, name: &'static str, bytes: &[u8]) -> Result<(), DataDirError> {
        Ok(write_private(&self.0.join(name), bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::id::IncarnationId;

    use super::*;

    #[test]
    fn what_is_kept_is_found_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(&directory.path().join("gateway")).expect("made");
        assert_eq!(data.identity().expect("readable"), None);
        let identity = Identity::new(
            CollectiveId::from_random([1; 16]),
            ApplianceId::from_random([2; 16]),
            "root".to_owned(),
            Some("key".to_owned()),
            Incarnation { epoch: 7, id: IncarnationId::from_random([3; 16]) },
        );
        data.keep_identity(&identity).expect("written");
        assert_eq!(data.identity().expect("readable"), Some(identity));
        let key = data.key().expect("made");
        assert_eq!(data.key().expect("read").thumbprint(), key.thumbprint());
        let first = data.joining(CommandId::from_random([4; 16])).expect("kept");
        assert_eq!(data.joining(CommandId::from_random([5; 16])).expect("kept"), first, "the same for every try");
    }

    #[test]
    fn damaged_identity_is_an_error_and_not_a_new_beginning() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(directory.path()).expect("made");
        write_private(&directory.path().join(IDENTITY), b"{}").expect("written");
        assert!(matches!(data.identity(), Err(DataDirError::Content(path)) if path.ends_with(IDENTITY)));
    }
}
