//! A Controller's data directory: who this node is, and the private keys that never leave it.
//!
//! ```text
//! controller.toml   configuration                     identity.json  collective, node, appliance, incarnation
//! node.pem          its own key and certificate chain client-ca.key, appliance-ca.key  keys of its intermediates
//! token.key         signs tokens                      kek.key        opens the Collective's stored secrets, by generation
//! wrap.key          opens key-encryption keys that are offered to this node
//! root.sealed       the root key, sealed under kek.key; only where it is kept (`--keep-root-sealed`)
//! members.json      members known from joining         raft/          log, vote, snapshots
//! lock              held by the process that runs on it
//! ```
//! The certificates of the intermediates stand in the member record, not here.

mod error;

use std::fs;
use std::path::{Path, PathBuf};

use ringwall_protocol::id::{ApplianceId, CollectiveId, Incarnation, LogIndex, NodeId};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_raft::state::secret::{Sealed, split};
use ringwall_startup::{DirectoryLock, Refusal, check_room};
use ringwall_trust::ca::RootCa;
use ringwall_trust::identity::{Fingerprint, PrivateKey, certificates_from_pem, certificates_to_pem};
use ringwall_trust::secret::{
    Random, SealError, SecretKey, WrapKey, open, private_directory, read_private, seal, write_private,
};
use ringwall_trust::token::TokenSigner;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::error::DataDirError;
use crate::replica::key_ring::KeyRing;

/// Held while a process uses the directory.
const LOCK: &str = "lock";
/// Version of [`NodeIdentity`].
const IDENTITY_VERSION: u16 = 1;

/// Who a node is; written once, when it is made or admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeIdentity {
    version: u16,
    /// The Collective.
    pub collective_id: CollectiveId,
    /// Its incarnation when this node joined; the state says which one is current.
    pub incarnation: Incarnation,
    /// This node in the Raft group.
    pub node: NodeId,
    /// This node as an appliance.
    pub appliance: ApplianceId,
    /// Log index of its admission.
    pub created_at_index: LogIndex,
}

impl NodeIdentity {
    /// The identity of a node that was just made or admitted.
    #[must_use]
    pub const fn new(
        collective_id: CollectiveId,
        incarnation: Incarnation,
        node: NodeId,
        appliance: ApplianceId,
        created_at_index: LogIndex,
    ) -> Self {
        Self { version: IDENTITY_VERSION, collective_id, incarnation, node, appliance, created_at_index }
    }
}

/// The private keys of a node, and its own certificate. No `Debug`.
pub struct NodeKeys {
    /// Key of its own certificate.
    pub node: PrivateKey,
    /// Its own certificate, the intermediate that issued it, the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// Key of its intermediate for Clients' certificates.
    pub client_ca: PrivateKey,
    /// Key of its intermediate for appliances' certificates.
    pub appliance_ca: PrivateKey,
    /// Signs tokens.
    pub signer: TokenSigner,
    /// Opens the Collective's stored secrets.
    pub keks: KeyRing,
    /// Opens what is wrapped for this node.
    pub wrap: WrapKey,
    /// The root, where it is kept.
    pub root: Option<RootCa>,
}

/// A data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Makes the directory, mode 0700.
    ///
    /// # Errors
    /// [`DataDirError::NotEmpty`], [`DataDirError::Io`].
    pub fn create(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io { path: path.to_owned(), why: Refusal::of_file(source) };
        if path.exists() && fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(DataDirError::NotEmpty(path.to_owned()));
        }
        private_directory(path)?;
        // Before anything is in it: a founding that runs out of room could not be taken up again.
        check_room(path).map_err(|why| DataDirError::Io { path: path.to_owned(), why })?;
        Ok(Self(path.to_owned()))
    }

    /// The directory of a node that was made or admitted.
    ///
    /// # Errors
    /// [`DataDirError::Missing`]; if others may look into it.
    pub fn existing(path: &Path) -> Result<Self, DataDirError> {
        // Who may not look into a parent is told so, and not that nothing is there.
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => private_directory(path)?,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DataDirError::Io { path: path.to_owned(), why: Refusal::of_file(error) });
            }
            _ => return Err(DataDirError::Missing(path.to_owned())),
        }
        Ok(Self(path.to_owned()))
    }

    /// Makes this process the directory's only user, and finds out whether there is room in it.
    ///
    /// # Errors
    /// [`DataDirError::Locked`], [`DataDirError::Io`].
    pub(crate) fn lock(&self) -> Result<DirectoryLock, DataDirError> {
        let lock = DirectoryLock::take(&self.0, LOCK)?;
        check_room(&self.0).map_err(|why| DataDirError::Io { path: self.0.clone(), why })?;
        Ok(lock)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where log, vote and snapshots are.
    #[must_use]
    pub fn raft(&self) -> PathBuf {
        self.0.join("raft")
    }

    /// The configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.0.join(super::config::FILE_NAME)
    }

    /// Writes the configuration file.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_configuration(&self, text: &str) -> Result<(), DataDirError> {
        Ok(write_private(&self.configuration(), text.as_bytes())?)
    }

    /// Writes who the node is. Written last: a directory without it is no node.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_identity(&self, identity: &NodeIdentity) -> Result<(), DataDirError> {
        let text = serde_json::to_vec_pretty(identity).expect("ids and numbers always serialise");
        Ok(write_private(&self.file("identity.json"), &text)?)
    }

    /// Reads who the node is.
    ///
    /// # Errors
    /// [`DataDirError::Missing`], [`DataDirError::File`], [`DataDirError::Identity`].
    pub fn identity(&self) -> Result<NodeIdentity, DataDirError> {
        let path = self.file("identity.json");
        if !path.exists() {
            return Err(DataDirError::Missing(self.0.clone()));
        }
        let text = read_private(&path)?;
        let identity: NodeIdentity =
            serde_json::from_slice(&text).map_err(|error| DataDirError::Identity(error.to_string()))?;
        if identity.version != IDENTITY_VERSION {
            return Err(DataDirError::Identity(format!("got version {}", identity.version)));
        }
        Ok(identity)
    }

    /// Writes all keys.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn write_keys(&self, keys: &NodeKeys, random: &dyn Random) -> Result<(), DataDirError> {
        self.save_key("client-ca.key", &keys.client_ca)?;
        self.save_key("appliance-ca.key", &keys.appliance_ca)?;
        self.write_own_certificate(&keys.node, &keys.chain)?;
        self.write_signer(&keys.signer)?;
        self.write_keks(&keys.keks)?;
        write_private(&self.file("wrap.key"), keys.wrap.private().expose_text().as_bytes())?;
        if let Some((root, (generation, key))) = keys.root.as_ref().zip(keys.keks.iter().next()) {
            self.write_root(root, generation, key, random)?;
        }
        Ok(())
    }

    /// Replaces the key-encryption keys.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub(crate) fn write_keks(&self, keks: &KeyRing) -> Result<(), DataDirError> {
        Ok(write_private(&self.file("kek.key"), keks.expose_text().as_bytes())?)
    }

    /// Seals the root key under a generation of the key-encryption key.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub(crate) fn write_root(
        &self,
        root: &RootCa,
        generation: u32,
        key: &SecretKey,
        random: &dyn Random,
    ) -> Result<(), DataDirError> {
        let sealed = seal(key, &root_label(root.certificate()), root.key().expose_pkcs8(), random);
        let text = Sealed::new(generation, data_encoding::BASE64URL_NOPAD.encode(&sealed));
        Ok(write_private(&self.file("root.sealed"), text.as_str().as_bytes())?)
    }

    /// The generation under which the root key is sealed; `None` where it is not kept.
    ///
    /// # Errors
    /// [`DataDirError::File`], [`DataDirError::RootText`].
    pub(crate) fn root_generation(&self) -> Result<Option<u32>, DataDirError> {
        Ok(self.sealed_root()?.map(|(generation, _)| generation))
    }

    fn sealed_root(&self) -> Result<Option<(u32, Vec<u8>)>, DataDirError> {
        let path = self.file("root.sealed");
        if !path.exists() {
            return Ok(None);
        }
        let text = read_private(&path)?;
        let parts = std::str::from_utf8(&text).ok().and_then(|text| split(text.trim()));
        let parsed = parts.and_then(|(generation, sealed)| {
            Some((generation, data_encoding::BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?))
        });
        parsed.map(Some).ok_or(DataDirError::RootText)
    }

    /// Reads all keys.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn keys(&self) -> Result<NodeKeys, DataDirError> {
        let chain = certificates_from_pem(&read_private(&self.file("node.pem"))?).map_err(DataDirError::Chain)?;
        let keks = read_private(&self.file("kek.key"))?;
        let keks =
            std::str::from_utf8(&keks).ok().and_then(|text| KeyRing::parse(text).ok()).ok_or(DataDirError::Kek)?;
        let wrap = read_private(&self.file("wrap.key"))?;
        let wrap = std::str::from_utf8(&wrap).ok().and_then(|text| text.trim().parse::<SecretKey>().ok());
        let wrap = wrap.and_then(|key| WrapKey::from_private(key).ok()).ok_or(DataDirError::Wrap)?;
        let signer_path = self.file("token.key");
        let signer = TokenSigner::from_pkcs8(read_private(&signer_path)?)
            .map_err(|source| DataDirError::Key { path: signer_path, source })?;
        Ok(NodeKeys {
            node: self.load_key("node.pem")?,
            root: self.root(&chain, &keks)?,
            chain,
            client_ca: self.load_key("client-ca.key")?,
            appliance_ca: self.load_key("appliance-ca.key")?,
            signer,
            keks,
            wrap,
        })
    }

    /// Writes the members that were known when this node joined.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_members(&self, members: &[ControllerRecord]) -> Result<(), DataDirError> {
        let text = serde_json::to_vec_pretty(members).expect("records always serialise");
        Ok(write_private(&self.file("members.json"), &text)?)
    }

    /// The members that were known when this node joined; none at the first node. The state knows better once it is there.
    ///
    /// # Errors
    /// [`DataDirError::File`], [`DataDirError::Members`].
    pub fn members(&self) -> Result<Vec<ControllerRecord>, DataDirError> {
        let path = self.file("members.json");
        if !path.exists() {
            return Ok(Vec::new());
        }
        serde_json::from_slice(&read_private(&path)?).map_err(|error| DataDirError::Members(error.to_string()))
    }

    /// Replaces the key that signs tokens.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_signer(&self, signer: &TokenSigner) -> Result<(), DataDirError> {
        Ok(write_private(&self.file("token.key"), signer.expose_pkcs8())?)
    }

    /// Replaces the node's own certificate and its key.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn write_own_certificate(
        &self,
        key: &PrivateKey,
        chain: &[CertificateDer<'static>],
    ) -> Result<(), DataDirError> {
        // One file, so that key and certificate are never of two minds.
        let text = Zeroizing::new([key.expose_pem().as_str(), &certificates_to_pem(chain)].concat());
        Ok(write_private(&self.file("node.pem"), text.as_bytes())?)
    }

    fn root(&self, chain: &[CertificateDer<'static>], keks: &KeyRing) -> Result<Option<RootCa>, DataDirError> {
        let path = self.file("root.sealed");
        let Some((certificate, (generation, sealed))) = chain.last().zip(self.sealed_root()?) else { return Ok(None) };
        let kek = keks.get(generation).ok_or(DataDirError::Root(SealError::Refused))?;
        let pkcs8 = open(kek, &root_label(certificate), &sealed).map_err(DataDirError::Root)?;
        let key = PrivateKey::from_pkcs8(Zeroizing::new(pkcs8.to_vec()))
            .map_err(|source| DataDirError::Key { path, source })?;
        Ok(Some(RootCa::from_parts(key, certificate.clone())?))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn save_key(&self, name: &str, key: &PrivateKey) -> Result<(), DataDirError> {
        let path = self.file(name);
        key.save(&path).map_err(|source| DataDirError::Key { path, source })
    }

    fn load_key(&self, name: &str) -> Result<PrivateKey, DataDirError> {
        let path = self.file(name);
        PrivateKey::load(&path).map_err(|source| DataDirError::Key { path, source })
    }
}

fn root_label(certificate: &CertificateDer<'_>) -> String {
    format!("root-key/{}", Fingerprint::of(certificate))
}
