//! What is kept for one profile.

use std::path::PathBuf;

use ringwall_protocol::id::DeviceId;
use ringwall_trust::identity::{KeyKind, PrivateKey};
use ringwall_trust::secret::{Random, write_private};
use serde::{Deserialize, Serialize};

use super::{StoreError, StoredSession, file};
use crate::secret_text::SecretText;

/// This installation in the eyes of one Collective: outlives sign-outs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Device {
    /// Random; never the machine's own id (T15).
    pub(crate) device_id: DeviceId,
    /// From the last sign-in, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cookie: Option<SecretText>,
    /// The device's own SPA key, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spa_key: Option<SecretText>,
    /// Who signed in last, to be offered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
}

/// The files of one profile.
#[derive(Debug, Clone)]
pub(crate) struct ProfileStore {
    directory: PathBuf,
}

impl ProfileStore {
    pub(super) const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The device; a new one at the first call.
    ///
    /// # Errors
    /// If the file is damaged or cannot be written.
    pub(crate) fn device(&self, random: &dyn Random) -> Result<Device, StoreError> {
        if let Some(device) = file::read_json(&self.path("device.json"), "a device record")? {
            return Ok(device);
        }
        let device =
            Device { device_id: DeviceId::from_random(random.array()), cookie: None, spa_key: None, username: None };
        self.keep_device(&device)?;
        Ok(device)
    }

    /// Keeps a new cookie or SPA key.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn keep_device(&self, device: &Device) -> Result<(), StoreError> {
        file::write_json(&self.path("device.json"), device)
    }

    /// The device's key; a new one of this kind at the first call. RSA takes some 100 ms then.
    ///
    /// # Errors
    /// If the key cannot be made, read or written.
    pub(crate) fn key(&self, kind: KeyKind) -> Result<PrivateKey, StoreError> {
        let path = self.path("key.pem");
        match file::read(&path)? {
            Some(pem) => Ok(PrivateKey::from_pem(&pem)?),
            None => {
                let key = PrivateKey::generate(kind)?;
                key.save(&path)?;
                Ok(key)
            }
        }
    }

    /// The last sign-in, if it was not signed out.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(crate) fn session(&self) -> Result<Option<StoredSession>, StoreError> {
        file::read_json(&self.path("session.json"), "the last sign-in")
    }

    /// Keeps a sign-in.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn keep_session(&self, session: &StoredSession) -> Result<(), StoreError> {
        file::write_json(&self.path("session.json"), session)
    }

    /// Forgets the sign-in; device and key stay.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub(crate) fn forget_session(&self) -> Result<(), StoreError> {
        file::remove(&self.path("session.json"))
    }

    /// The number of the next `hello`: above all former ones, also after a crash (T12).
    ///
    /// # Errors
    /// If it cannot be written; then it must not be used.
    pub(crate) fn next_connect_seq(&self) -> Result<u64, StoreError> {
        let path = self.path("connect_seq");
        let damaged = || StoreError::Damaged { path: path.clone(), what: "a number" };
        let last: u64 = match file::read(&path)? {
            Some(text) => {
                std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).ok_or_else(damaged)?
            }
            None => 0,
        };
        let next = last.checked_add(1).ok_or_else(damaged)?;
        write_private(&path, next.to_string().as_bytes())?;
        Ok(next)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}
