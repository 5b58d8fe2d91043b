//! One private file: limits and mode are checked on reading.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ringwall_trust::secret::{FileError, write_private};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::StoreError;

/// Largest file: entitlement tokens of 30 Sites, each of the largest size.
pub(crate) const MAX_STATE_FILE: u64 = 16 << 20;

/// The content; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| StoreError::io(path, error))?,
    };
    let mode = file.metadata().map_err(|error| StoreError::io(path, error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode }.into());
    }
    let mut content = Zeroizing::new(Vec::new());
    file.take(MAX_STATE_FILE + 1).read_to_end(&mut content).map_err(|error| StoreError::io(path, error))?;
    if content.len() as u64 > MAX_STATE_FILE {
        return Err(StoreError::TooLarge { path: path.to_owned() });
    }
    Ok(Some(content))
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path, what: &'static str) -> Result<Option<T>, StoreError> {
    let Some(content) = read(path)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&content);
    parsed.map(Some).map_err(|_| StoreError::Damaged { path: path.to_owned(), what })
}

pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let content = Zeroizing::new(serde_json::to_vec(value).expect("our own records serialise"));
    Ok(write_private(path, &content)?)
}

pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
        _ => Ok(()),
    }
}
