//! The journal of knocks in a file: those dated ahead of the clock, which the floor of a new process does not cover.
//!
//! ```text
//! rwknock1 ‖ { time(8, ms, big endian) ‖ used(16) } …            a torn last record is disregarded
//! ```
//! Every record is synced before its knock is accepted. Knocks of the present are never written: a new process refuses
//! everything older than its start.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ringwall_protocol::time::UnixMillis;

use ringwall_startup::Refusal;

use crate::secret::{FileError, read_private, write_private};
use crate::spa::{Journal, Used};

const MAGIC: &[u8; 8] = b"rwknock1";
pub(super) const RECORD: usize = 8 + 16;
/// Records at which those that are over are thrown out.
const COMPACT: usize = 4_096;
/// Records that are kept at most, within what a private file may hold; beyond them knocks dated ahead are refused.
const MOST: usize = 2 * COMPACT;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be appended to.
    #[error("cannot append to {0}: {1}")]
    Append(PathBuf, Refusal),
    /// Something else stands there.
    #[error("{0} is no journal of knocks; remove it if no knock of the last hour may be at stake")]
    Content(PathBuf),
}

/// Used knocks with the time that each carries.
pub type Kept = Vec<(Used, UnixMillis)>;

/// The open file.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: File,
    kept: Kept,
}

impl JournalFile {
    /// Opens the journal, or makes an empty one; gives what may still matter at `now`.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path, now: UnixMillis) -> Result<(Self, Kept), JournalError> {
        let mut kept = match read_private(path) {
            Ok(bytes) => parse(&bytes).ok_or_else(|| JournalError::Content(path.to_owned()))?,
            Err(FileError::Io { why, .. }) if why.kind() == io::ErrorKind::NotFound => vec![],
            Err(error) => return Err(error.into()),
        };
        kept.retain(|(_, time)| *time >= now);
        write_private(path, &encode(&kept))?;
        let file = append(path).map_err(|error| JournalError::Append(path.to_owned(), Refusal::of_file(error)))?;
        Ok((Self { path: path.to_owned(), file, kept: kept.clone() }, kept))
    }

    fn compact(&mut self, now: UnixMillis) -> io::Result<()> {
        self.kept.retain(|(_, time)| *time >= now);
        write_private(&self.path, &encode(&self.kept)).map_err(io::Error::other)?;
        self.file = append(&self.path)?;
        Ok(())
    }
}

impl Journal for JournalFile {
    fn keep(&mut self, used: Used, time: UnixMillis, now: UnixMillis) -> io::Result<()> {
        if !self.kept.is_empty() && self.kept.len().is_multiple_of(COMPACT) {
            self.compact(now)?;
        }
        if self.kept.len() >= MOST {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all(&record(used, time))?;
        self.file.sync_data()?;
        self.kept.push((used, time));
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).mode(0o600).open(path)
}

fn record(used: Used, time: UnixMillis) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&time.0.to_be_bytes());
    record[8..].copy_from_slice(&used);
    record
}

pub(super) fn encode(kept: &Kept) -> Vec<u8> {
    kept.iter().fold(MAGIC.to_vec(), |mut bytes, (used, time)| {
        bytes.extend(record(*used, *time));
        bytes
    })
}

pub(super) fn parse(bytes: &[u8]) -> Option<Kept> {
    let records = bytes.strip_prefix(MAGIC)?.as_chunks::<RECORD>().0;
    let kept = records.iter().map(|record| {
        let (time, used) = record.split_at(8);
        let time = u64::from_be_bytes(time.try_into().expect("8 of 24 bytes"));
        (used.try_into().expect("16 of 24 bytes"), UnixMillis(time))
    });
    Some(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn what_was_kept_is_there_after_a_restart_as_long_as_it_matters() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("knocks.journal");
        let (mut journal, kept) = JournalFile::open(&path, NOW).expect("opened");
        assert_eq!(kept, vec![]);
        let (soon, later) = (UnixMillis(NOW.0 + 5_000), UnixMillis(NOW.0 + 60_000));
        journal.keep([1; 16], soon, NOW).expect("kept");
        journal.keep([2; 16], later, NOW).expect("kept");
        drop(journal);
        let (_, kept) = JournalFile::open(&path, NOW).expect("opened");
        assert_eq!(kept, vec![([1; 16], soon), ([2; 16], later)]);
        let (_, kept) = JournalFile::open(&path, UnixMillis(NOW.0 + 10_000)).expect("opened");
        assert_eq!(kept, vec![([2; 16], later)]);
    }

    #[test]
    fn a_torn_record_is_disregarded_and_a_foreign_file_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("knocks.journal");
        let mut bytes = encode(&vec![([1; 16], NOW)]);
        bytes.extend([0xFF; 7]);
        write_private(&path, &bytes).expect("written");
        assert_eq!(JournalFile::open(&path, NOW).expect("opened").1, vec![([1; 16], NOW)]);
        write_private(&path, b"something else").expect("written");
        assert!(matches!(JournalFile::open(&path, NOW), Err(JournalError::Content(_))));
    }

    #[test]
    fn a_journal_never_grows_without_bound() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("knocks.journal");
        let many: Kept = (0..COMPACT).map(|n| ([(n % 251) as u8; 16], NOW)).collect();
        write_private(&path, &encode(&many)).expect("written");
        let (mut journal, _) = JournalFile::open(&path, NOW).expect("opened");
        let later = UnixMillis(NOW.0 + 10_000);
        journal.keep([9; 16], UnixMillis(NOW.0 + 20_000), later).expect("kept");
        drop(journal);
        assert_eq!(JournalFile::open(&path, later).expect("opened").1.len(), 1, "what is over was thrown out");
    }
}
