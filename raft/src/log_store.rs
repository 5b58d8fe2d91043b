//! The Raft log and vote in RocksDB.
//!
//! An entry is acknowledged only after the write-ahead log that holds it was synced; the vote is synced before it is
//! answered. Everything is read back checked: a hole, a foreign log or an undecodable entry refuses the start.

pub(crate) mod flusher;
pub(crate) mod keys;
pub(crate) mod tail;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use rocksdb::{
    ColumnFamily, DB, DBRecoveryMode, Direction, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::codec;
use crate::data_dir::{DataDirError, Identity, damaged, io_error};
use crate::types::{Entry, LogId, Types, Vote};
use flusher::Flusher;
use tail::Tail;

/// Version in front of every stored value.
const VERSION: u8 = 1;
/// Most encoded bytes in one batch of replication: well below a frame.
const MAX_BATCH: usize = 4 * 1024 * 1024;

/// The open database. Dropping it closes it, and then says so.
pub(crate) struct Database {
    db: DB,
    _closed: ClosedSignal,
}

struct ClosedSignal(Option<oneshot::Sender<()>>);

impl Drop for ClosedSignal {
    fn drop(&mut self) {
        if let Some(signal) = self.0.take() {
            let _ = signal.send(());
        }
    }
}

/// The log store; clones share it. The database is closed when the last clone has been dropped.
#[derive(Clone)]
pub(crate) struct LogStore {
    /// Before `flusher`: the fields are dropped in this order, so that the flusher's thread has the last reference.
    database: Arc<Database>,
    flusher: Flusher,
    recent: Arc<Mutex<Recent>>,
}

/// What is read too often to ask the disk.
#[derive(Default)]
struct Recent {
    vote: Option<Vote>,
    tail: Tail,
}

/// Makes an empty log for `identity`.
pub(crate) fn create(path: &Path, identity: &Identity) -> Result<(), DataDirError> {
    let mut options = options();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_error_if_exists(true);
    let db = DB::open_cf(&options, path, [keys::META, keys::LOG]).map_err(|why| io_error(path, system(why)))?;
    let database = Database { db, _closed: ClosedSignal(None) };
    database.put_synced(keys::IDENTITY, identity).map_err(|source| io_error(path, source))
}

fn options() -> Options {
    let mut options = Options::default();
    // A torn record at the very end was never acknowledged; anything else that does not read refuses to open.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_write_buffer_size(16 * 1024 * 1024);
    options.set_max_total_wal_size(64 * 1024 * 1024);
    options.set_keep_log_file_num(4);
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    options
}

impl LogStore {
    /// Opens the log of `identity` and checks it; the state up to `snapshot` needs no log. The receiver hears when the
    /// database is closed again.
    pub(crate) fn open(
        path: &Path,
        identity: &Identity,
        snapshot: Option<u64>,
    ) -> Result<(Self, oneshot::Receiver<()>), DataDirError> {
        if !path.join("CURRENT").exists() {
            return Err(damaged(path, "the log is missing"));
        }
        let db = DB::open_cf(&options(), path, [keys::META, keys::LOG]).map_err(|why| match why.kind() {
            rocksdb::ErrorKind::Corruption => damaged(path, why.to_string()),
            rocksdb::ErrorKind::InvalidArgument => damaged(path, format!("not a log: {why}")),
            _ => io_error(path, system(why)),
        })?;
        let (closed, wait) = oneshot::channel();
        let database = Arc::new(Database { db, _closed: ClosedSignal(Some(closed)) });
        let vote = database.check(identity, snapshot).map_err(|why| match why {
            Unsound::Foreign(found) => DataDirError::Foreign {
                path: path.to_owned(),
                found: found.to_string(),
                expected: identity.to_string(),
            },
            Unsound::Damaged(reason) => damaged(path, reason),
            Unsound::Io(source) => damaged(path, source.to_string()),
        })?;
        let flusher = Flusher::start(Arc::clone(&database)).map_err(|source| io_error(path, source))?;
        let recent = Arc::new(Mutex::new(Recent { vote, tail: Tail::default() }));
        Ok((Self { database, flusher, recent }, wait))
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        if start >= end {
            return Ok(Vec::new());
        }
        if let Some(entries) = self.recent().tail.read(start, end, max_bytes) {
            return Ok(entries);
        }
        self.database.entries(start, end, max_bytes)
    }
}

/// Why an opened log is not used.
enum Unsound {
    Foreign(Identity),
    Damaged(String),
    Io(io::Error),
}

impl From<io::Error> for Unsound {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

impl Database {
    /// Everything written before is on disk when this returns.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.db.flush_wal(true).map_err(system)
    }

    fn family(&self, name: &'static str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("both families were named when the database was opened")
    }

    fn meta<T: DeserializeOwned>(&self, key: &[u8]) -> io::Result<Option<T>> {
        let bytes = self.db.get_pinned_cf(self.family(keys::META), key).map_err(io::Error::other)?;
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    fn put_synced<T: Serialize>(&self, key: &[u8], value: &T) -> io::Result<()> {
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        self.db.put_cf_opt(self.family(keys::META), key, encode(value)?, &synced).map_err(io::Error::other)
    }

    fn last(&self) -> io::Result<Option<LogId>> {
        let mut newest = self.db.iterator_cf(self.family(keys::LOG), IteratorMode::End);
        match newest.next() {
            Some(entry) => {
                let (_, bytes) = entry.map_err(io::Error::other)?;
                Ok(Some(decode::<Entry>(&bytes)?.log_id))
            }
            None => self.meta(keys::PURGED),
        }
    }

    fn entries(&self, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let mut bounds = ReadOptions::default();
        bounds.set_iterate_upper_bound(keys::entry(end));
        let from = keys::entry(start);
        let mode = IteratorMode::From(&from, Direction::Forward);
        let mut entries = Vec::new();
        let mut bytes = 0;
        for found in self.db.iterator_cf_opt(self.family(keys::LOG), bounds, mode) {
            let (_, value) = found.map_err(io::Error::other)?;
            bytes += value.len();
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(decode::<Entry>(&value)?);
        }
        Ok(entries)
    }

    /// Whose log it is, that it has no hole, and that every entry decodes. Gives the vote.
    fn check(&self, identity: &Identity, snapshot: Option<u64>) -> Result<Option<Vote>, Unsound> {
        match self.meta::<Identity>(keys::IDENTITY)? {
            None => return Err(Unsound::Damaged("the log does not say whose it is".to_owned())),
            Some(found) if found != *identity => return Err(Unsound::Foreign(found)),
            Some(_) => {}
        }
        let purged: Option<LogId> = self.meta(keys::PURGED)?;
        let mut expected = purged.map_or(0, |purged| purged.index + 1);
        for found in self.db.iterator_cf(self.family(keys::LOG), IteratorMode::Start) {
            let (key, value) = found.map_err(io::Error::other)?;
            let index = keys::index(&key).ok_or_else(|| Unsound::Damaged("a key is no index".to_owned()))?;
            let entry: Entry = decode(&value).map_err(|why| Unsound::Damaged(format!("entry {index}: {why}")))?;
            if index != expected || entry.log_id.index != index {
                return Err(Unsound::Damaged(format!("expected entry {expected}, found {index}")));
            }
            expected += 1;
        }
        let committed: Option<LogId> = self.meta(keys::COMMITTED)?;
        let known = expected.max(snapshot.map_or(0, |last| last + 1));
        if let Some(committed) = committed.filter(|committed| committed.index >= known) {
            let reason = format!("the log ends before entry {} that was committed", committed.index);
            return Err(Unsound::Damaged(reason));
        }
        if let Some(purged) = purged.filter(|purged| snapshot.is_none_or(|last| last < purged.index)) {
            let reason = format!("entries up to {} were purged and no snapshot holds them", purged.index);
            return Err(Unsound::Damaged(reason));
        }
        Ok(self.meta(keys::VOTE)?)
    }
}

/// The database's error as the system's. It has texts only; two of them are for the operator.
fn system(error: rocksdb::Error) -> io::Error {
    let text = error.to_string();
    let kind = if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
        io::ErrorKind::StorageFull
    } else if text.contains("Read-only file system") {
        io::ErrorKind::ReadOnlyFilesystem
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, error)
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(VERSION);
    codec::encode_into(&mut bytes, value).map_err(io::Error::other)?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => codec::decode(rest).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why)),
        Some((version, _)) => {
            let why = format!("stored value has version {version}, at most {VERSION} is understood");
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "stored value is empty")),
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, MAX_BATCH)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.recent().vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let last_purged_log_id = self.database.meta(keys::PURGED)?;
        Ok(LogState { last_purged_log_id, last_log_id: self.database.last()? })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (database, vote) = (Arc::clone(&self.database), *vote);
        let written = tokio::task::spawn_blocking(move || database.put_synced(keys::VOTE, &vote)).await;
        written.map_err(io::Error::other)??;
        self.recent().vote = Some(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let family = self.database.family(keys::META);
        match committed {
            Some(committed) => self.database.db.put_cf(family, keys::COMMITTED, encode(&committed)?),
            None => self.database.db.delete_cf(family, keys::COMMITTED),
        }
        .map_err(io::Error::other)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.database.meta(keys::COMMITTED)
    }

    async fn append<I>(&mut self, entries: I, done: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = WriteBatch::default();
        let mut appended = Vec::new();
        for entry in entries {
            let bytes = encode(&entry)?;
            batch.put_cf(self.database.family(keys::LOG), keys::entry(entry.log_id.index), &bytes);
            appended.push((entry, bytes.len()));
        }
        self.database.db.write(batch).map_err(io::Error::other)?;
        let mut recent = self.recent();
        for (entry, size) in appended {
            recent.tail.push(entry, size);
        }
        drop(recent);
        self.flusher.flush(done);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.database.family(keys::LOG), &keys::entry(from)[..], &keys::END[..]);
        self.recent().tail.truncate_after(last.map(|last| last.index));
        self.database.db.write(batch).map_err(io::Error::other)
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.database.family(keys::META), keys::PURGED, encode(&upto)?);
        let (from, end) = (keys::entry(0), keys::entry(upto.index.saturating_add(1)));
        batch.delete_range_cf(self.database.family(keys::LOG), &from[..], &end[..]);
        self.recent().tail.purge(upto.index);
        self.database.db.write(batch).map_err(io::Error::other)
    }
}
