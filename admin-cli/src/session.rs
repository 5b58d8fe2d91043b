//! The signed-in session on this machine: where the Controllers are, how they are known, the token, and the key to which it is
//! bound (RFC 9449): the token alone opens nothing.
//!
//! One file, mode 0600, in `$RINGCTL_SESSION` or `$XDG_CONFIG_HOME/ringctl/session.json`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ringwall_protocol::id::DeviceId;
use ringwall_protocol::spa::KnockKey;
use ringwall_startup::Refusal;
use ringwall_trust::secret::{FileError, read_private};
use serde::{Deserialize, Serialize};

/// Bytes that a session file takes at most.
const TRIAL: usize = 16 << 10;

/// What is remembered between two calls. No `Debug`: it holds token and key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Session {
    /// `host:port` of admin APIs, tried in order.
    pub(crate) controllers: Vec<String>,
    /// SHA-256 of the Collective's root certificate, hex.
    pub(crate) ca_fingerprint: String,
    /// Stands for this machine at sign-in.
    pub(crate) device_id: DeviceId,
    /// Key that proves this machine: ES256, PKCS#8, base64url. It stays when the session ends.
    #[serde(default)]
    pub(crate) key: Option<String>,
    /// The token.
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// Until when, RFC 3339.
    #[serde(default)]
    pub(crate) expires: Option<String>,
    /// Who signed in.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The administrator's own key for knocking on admin ports (T53).
    #[serde(default)]
    pub(crate) knock_key: Option<KnockKey>,
}

impl Session {
    /// Where the file is.
    ///
    /// # Errors
    /// If neither `$RINGCTL_SESSION`, `$XDG_CONFIG_HOME` nor `$HOME` is set.
    pub(crate) fn path(chosen: Option<&Path>) -> Result<PathBuf> {
        if let Some(path) = chosen {
            return Ok(path.to_owned());
        }
        let config = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")))
            .context("neither XDG_CONFIG_HOME nor HOME is set; name the session file with --session")?;
        Ok(config.join("ringctl/session.json"))
    }

    /// Reads the file; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, if others can read it, or if it is no session.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        match read_private(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|_| anyhow::anyhow!("{} is no session file; remove it and sign in again", path.display())),
            Err(FileError::Io { why, .. }) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Finds out whether the file can be written, before a sign-in whose outcome would be lost.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub(crate) fn check_place(path: &Path) -> Result<()> {
        let folder = path.parent().context("the session file has no folder")?;
        fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
        let beside = beside(path);
        let written = fs::write(&beside, vec![0_u8; TRIAL]);
        // Where it was never made there is nothing to remove.
        let _ = fs::remove_file(&beside);
        written.map_err(|error| refused(path, error))
    }

    /// Writes the file: a new one beside it, then a rename, so that a crash loses nothing.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("the session file has no folder")?;
        fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
        write_and_rename(&beside(path), path, &serde_json::to_vec_pretty(self)?).map_err(|error| refused(path, error))
    }
}

/// Of this process alone: two calls at once write one file each.
fn beside(path: &Path) -> PathBuf {
    path.with_extension(format!("new-{}", std::process::id()))
}

fn refused(path: &Path, error: io::Error) -> anyhow::Error {
    anyhow::anyhow!("cannot write {}: {}; or name another file: --session", path.display(), Refusal::of_file(error))
}

fn write_and_rename(beside: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let written = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(beside)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(beside, path)
    };
    written().inspect_err(|_| {
        // The error that matters is the first one.
        let _ = fs::remove_file(beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_kept_for_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/session.json");
        assert!(Session::load(&path).expect("readable").is_none());
        let session = Session {
            controllers: vec!["127.0.0.1:8443".to_owned()],
            ca_fingerprint: "ab".repeat(32),
            device_id: DeviceId::from_random([1; 16]),
            key: None,
            token: Some("secret".to_owned()),
            expires: None,
            user: None,
            knock_key: None,
        };
        session.save(&path).expect("writable");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Session::load(&path).expect("readable").expect("there").token.as_deref(), Some("secret"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        let refused = Session::load(&path).err().expect("others can read it").to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        fs::write(&path, "{").expect("writable");
        let refused = Session::load(&path).err().expect("damaged").to_string();
        assert!(refused.contains("sign in again"), "{refused}");
    }
}
