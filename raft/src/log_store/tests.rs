//! openraft's own conformance suite on the real store, and what it does not ask.

use std::sync::Arc;

use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, RaftLogReader, StorageError};
use ringwall_protocol::id::{CollectiveId, CommandId, Incarnation, IncarnationId, NodeId};
use ringwall_protocol::time::UnixMillis;
use tempfile::TempDir;

use super::*;
use crate::data_dir;
use crate::machine::Machine;
use crate::machine::published::Published;
use crate::snapshot::Snapshots;
use crate::state::command::CommandEnvelope;
use crate::state::secret::{PutSecret, Sealed};
use crate::types::Proposal;

fn identity() -> Identity {
    Identity {
        collective: CollectiveId::from_random([1; 16]),
        node: NodeId(1),
        incarnation: Incarnation { epoch: 1, id: IncarnationId::from_random([2; 16]) },
    }
}

struct Builder;

impl StoreBuilder<Types, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<Types>> {
        let directory = TempDir::new().expect("a temporary directory");
        data_dir::create(directory.path(), &identity()).expect("created");
        let snapshots = Snapshots::open(&data_dir::snapshots(directory.path())).expect("opened");
        let (log, _) = LogStore::open(&data_dir::log(directory.path()), &identity(), None).expect("opened");
        Ok((directory, log, Machine::new(Arc::new(Published::new()), snapshots)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_store_suite_passes() {
    Suite::test_all(Builder).await.expect("the suite passes");
}

fn entry(index: u64, size: usize) -> Entry {
    let command = PutSecret { name: format!("s{index}"), sealed: Sealed::new(1, "x".repeat(size)) };
    let id = CommandId::from_random(u128::from(index).to_be_bytes());
    let envelope = CommandEnvelope::new(id, NodeId(1), UnixMillis(index), command.into());
    let log_id = LogId { leader_id: openraft::alias::CommittedLeaderIdOf::<Types>::new(1), index };
    Entry { log_id, payload: EntryPayload::Normal(Proposal(Arc::new(envelope))) }
}

struct Opened {
    directory: TempDir,
    log: LogStore,
    closed: oneshot::Receiver<()>,
}

impl Opened {
    fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        create(&directory.path().join("log"), &identity()).expect("created");
        Self::open(directory, None).expect("opened")
    }

    fn open(directory: TempDir, snapshot: Option<u64>) -> Result<Self, DataDirError> {
        let (log, closed) = LogStore::open(&directory.path().join("log"), &identity(), snapshot)?;
        Ok(Self { directory, log, closed })
    }

    /// Closes the log and opens it again, so that nothing is answered from memory.
    async fn again(self, snapshot: Option<u64>) -> Result<Self, DataDirError> {
        let Self { directory, log, closed } = self;
        drop(log);
        closed.await.expect("the database says when it is closed");
        Self::open(directory, snapshot)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_and_vote_survive_and_purged_ones_do_not_come_back() {
    let mut opened = Opened::new();
    let entries: Vec<_> = (0..100).map(|index| entry(index, 10)).collect();
    opened.log.blocking_append(entries.clone()).await.expect("appended");
    let vote = Vote::new(7, 1);
    opened.log.save_vote(&vote).await.expect("saved");
    opened.log.truncate_after(Some(entry(89, 0).log_id)).await.expect("truncated");
    opened.log.purge(entry(9, 0).log_id).await.expect("purged");
    assert_eq!(opened.log.try_get_log_entries(..).await.expect("read"), &entries[10..90]);
    let mut opened = opened.again(Some(9)).await.expect("opened again");
    assert_eq!(opened.log.try_get_log_entries(..).await.expect("read"), &entries[10..90]);
    assert_eq!(opened.log.read_vote().await.expect("read"), Some(vote));
    let state = opened.log.get_log_state().await.expect("read");
    assert_eq!(state.last_purged_log_id.map(|purged| purged.index), Some(9));
    assert_eq!(state.last_log_id.map(|last| last.index), Some(89));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_for_replication_is_bounded_in_bytes_but_never_empty() {
    let mut opened = Opened::new();
    let entries: Vec<_> = (0..200).map(|index| entry(index, 60_000)).collect();
    opened.log.blocking_append(entries).await.expect("appended");
    let huge = entry(200, 6 * 1024 * 1024);
    opened.log.blocking_append([huge]).await.expect("appended");
    let mut from_disk = opened.again(None).await.expect("opened again");
    let log = &mut from_disk.log;
    let some = log.limited_get_log_entries(0, 201).await.expect("read");
    assert!((1..150).contains(&some.len()), "{}", some.len());
    assert_eq!(log.limited_get_log_entries(200, 201).await.expect("read").len(), 1);
    assert_eq!(log.limited_get_log_entries(5, 5).await.expect("read").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_an_early_end_or_an_unreadable_entry_refuses_the_log() {
    type Damage = (&'static str, fn(&Database));
    let damage: [Damage; 4] = [
        ("expected entry 5", |database| {
            database.db.delete_cf(database.family(keys::LOG), keys::entry(5)).expect("deleted");
        }),
        ("ends before entry 9", |database| {
            database.db.delete_cf(database.family(keys::LOG), keys::entry(9)).expect("deleted");
        }),
        ("entry 3", |database| {
            database.db.put_cf(database.family(keys::LOG), keys::entry(3), [VERSION, 0xc1]).expect("written");
        }),
        ("version 9", |database| {
            database.db.put_cf(database.family(keys::LOG), keys::entry(3), [9, 0]).expect("written");
        }),
    ];
    for (expected, harm) in damage {
        let mut opened = Opened::new();
        opened.log.blocking_append((0..10).map(|index| entry(index, 1))).await.expect("appended");
        opened.log.save_committed(Some(entry(9, 0).log_id)).await.expect("saved");
        harm(&opened.log.database);
        let why = match opened.again(None).await {
            Err(DataDirError::Damaged { reason, .. }) => reason,
            Err(other) => panic!("expected damage, got {other}"),
            Ok(_) => panic!("opened in spite of: {expected}"),
        };
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn the_tail_answers_as_the_log_would() {
    let mut tail = Tail::default();
    (10..20).for_each(|index| tail.push(entry(index, 1), 100));
    let read = |tail: &Tail, start, end, bytes| {
        tail.read(start, end, bytes).map(|found| found.iter().map(|one| one.log_id.index).collect::<Vec<_>>())
    };
    assert_eq!(read(&tail, 12, 15, usize::MAX), Some(vec![12, 13, 14]));
    assert_eq!(read(&tail, 12, 99, 250), Some(vec![12, 13]));
    assert_eq!(read(&tail, 12, 99, 1), Some(vec![12]), "one at least");
    assert_eq!(read(&tail, 9, 12, usize::MAX), None, "not all of it is here");
    assert_eq!(read(&tail, 20, 22, usize::MAX), None);
    tail.truncate_after(Some(15));
    assert_eq!(read(&tail, 14, 99, usize::MAX), Some(vec![14, 15]));
    tail.purge(14);
    assert_eq!(read(&tail, 15, 99, usize::MAX), Some(vec![15]));
    tail.push(entry(40, 1), 100);
    assert_eq!(read(&tail, 40, 41, usize::MAX), Some(vec![40]), "a jump begins anew");
    assert_eq!(read(&tail, 15, 16, usize::MAX), None);
    tail.truncate_after(None);
    assert_eq!(read(&tail, 40, 41, usize::MAX), None);
}
