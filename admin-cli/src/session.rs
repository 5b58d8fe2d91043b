//! The signed-in session on this machine: where the Controllers are, how they are known, the token, and the key to which it is
//! bound (RFC 9449): the token alone opens nothing.
//!
//! One file, mode 0600, in `$RINGCTL_SESSION` or `$XDG_CONFIG_HOME/ringctl/session.json`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ringwall_protocol::id::DeviceId;
use ringwall_protocol::spa::KnockKey;
use serde::{Deserialize, Serialize};

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
    /// If it cannot be read or is no session.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("{} is no session file; remove it and sign in again", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes the file: a new one beside it, then a rename, so that a crash loses nothing.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("the session file has no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
    }
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
        fs::write(&path, "{").expect("writable");
        assert!(Session::load(&path).is_err());
    }
}
