//! Files that hold secrets: written whole or not at all, readable by their owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ringwall_startup::Refusal;
use zeroize::Zeroizing;

/// Largest private file that is read: keys, chains and seeds are a few KiB.
pub(crate) const MAX_PRIVATE_FILE: u64 = 256 << 10;

/// Why a private file was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot use {path}: {why}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said, and what to do about it.
        why: Refusal,
    },
    /// Others than the owner may read the file.
    #[error(
        "expected {path} to be readable by its owner only (mode 0600), got mode {mode:o}; find out who could read it, \
         then: chmod 600 {path}"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others than its owner may look into the directory, or it belongs to somebody else.
    #[error(
        "expected the directory {path} to be its owner's alone (mode 0700, user {user}), got mode {mode:04o} of user \
         {owner}; find out who could read it, then: chown {user} {path} && chmod 700 {path}"
    )]
    ExposedDirectory {
        /// As it was asked for.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// User id of its owner.
        owner: u32,
        /// Effective user id of this process.
        user: u32,
    },
    /// The file is larger than anything we write.
    #[error(
        "expected {path} to have at most {MAX_PRIVATE_FILE} bytes, it is another file or damaged; restore it from a backup"
    )]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
}

/// Makes a directory for secrets with mode 0700, parents too, or takes an empty one over; refuses one that holds something
/// and that others may look into, or that belongs to another user (T82).
///
/// # Errors
/// [`FileError::Io`], [`FileError::ExposedDirectory`].
pub fn private_directory(path: &Path) -> Result<(), FileError> {
    let io_error = |source| FileError::Io { path: path.to_owned(), why: Refusal::of_file(source) };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error)?;
    let metadata = fs::metadata(path).map_err(io_error)?;
    let (mode, owner) = (metadata.permissions().mode() & 0o7777, metadata.uid());
    let user = nix::unistd::geteuid().as_raw();
    if mode & 0o077 == 0 && owner == user {
        return Ok(());
    }
    if owner == user && fs::read_dir(path).map_err(io_error)?.next().is_none() {
        return fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io_error);
    }
    Err(FileError::ExposedDirectory { path: path.to_owned(), mode, owner, user })
}

/// Writes `content` with mode 0600: temporary file, fsync, rename, fsync of the directory.
///
/// # Errors
/// [`FileError::Io`]; the former file is then still there.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    write_and_rename(&temporary, path, content).map_err(|source| {
        let _ = fs::remove_file(&temporary); // best effort: the error that matters is the first one
        FileError::Io { path: path.to_owned(), why: Refusal::of_file(source) }
    })
}

fn write_and_rename(temporary: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Reads a private file and refuses one that group or others may read.
///
/// # Errors
/// [`FileError`].
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let io_error = |source| FileError::Io { path: path.to_owned(), why: Refusal::of_file(source) };
    let file = File::open(path).map_err(io_error)?;
    let mode = file.metadata().map_err(io_error)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    let mut content = Zeroizing::new(Vec::new());
    file.take(MAX_PRIVATE_FILE + 1).read_to_end(&mut content).map_err(io_error)?;
    if content.len() as u64 > MAX_PRIVATE_FILE {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_its_owners_alone_and_is_replaced_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key.pem");
        write_private(&path, b"one").expect("written");
        write_private(&path, b"two").expect("replaced");
        assert_eq!(fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
        assert_eq!(read_private(&path).expect("read").as_slice(), b"two");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_directory_with_secrets_that_others_can_look_into_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("below/data");
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        let mode = || fs::metadata(&path).expect("exists").permissions().mode() & 0o777;
        private_directory(&path).expect("made");
        assert_eq!(mode(), 0o700);
        set(0o755);
        private_directory(&path).expect("an empty one is taken over");
        assert_eq!(mode(), 0o700);
        write_private(&path.join("key.pem"), b"one").expect("written");
        private_directory(&path).expect("its owner's alone");
        for exposed in [0o755, 0o710, 0o701] {
            set(exposed);
            let refused = private_directory(&path).expect_err("others may look into it");
            assert!(matches!(refused, FileError::ExposedDirectory { mode, .. } if mode == exposed), "{refused}");
        }
        set(0o700);
        std::os::unix::fs::chown(&path, Some(65_534), None).expect("another owner");
        assert!(matches!(private_directory(&path), Err(FileError::ExposedDirectory { owner: 65_534, .. })));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key.pem");
        write_private(&path, b"one").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(matches!(read_private(&path), Err(FileError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key.pem");
        write_private(&path, &vec![0; MAX_PRIVATE_FILE as usize + 1]).expect("written");
        assert!(matches!(read_private(&path), Err(FileError::TooLarge { .. })));
    }
}
