//! What the disk holds is what comes back; what cannot be trusted refuses the start and says which file.

use std::error::Error;
use std::fs;
use std::path::Path;

use ringwall_protocol::id::{Incarnation, NodeId};
use ringwall_raft::state::blocklist::BlockUser;
use ringwall_raft::{DataDirError, Identity, Node, StartError, data_dir};
use tokio::time::Duration;

use super::fixture::{envelope, user_dn};
use super::group::Group;

async fn written(group: &Group, count: u128) {
    for number in 0..count {
        let command = BlockUser { user: user_dn(number), reason: String::new() };
        group.any().propose(envelope(command)).await.expect("applied");
    }
}

async fn refusal(group: &Group, identity: Identity) -> DataDirError {
    let mut config = group.config(NodeId(1));
    config.identity = identity;
    match Node::start(config, group.connector(NodeId(1))).await {
        Err(StartError::DataDir(why)) => why,
        Err(other) => panic!("expected a refused directory, got {other}: {:?}", other.source()),
        Ok(_) => panic!("expected a refusal, but the node started"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_has_the_same_state() {
    for snapshot_every in [1_000_000u64, 7] {
        let mut group = Group::founded_with(if snapshot_every == 7 {
            |config| {
                config.snapshot_every = 7;
                config.keep_entries = 2;
            }
        } else {
            |_| {}
        })
        .await;
        written(&group, 40).await;
        let before = group.node(1).state();
        group.kill(NodeId(1)).await;
        group.start(NodeId(1)).await;
        let after = group.node(1).read().await.expect("read");
        assert!(after.index() > before.index(), "a new term begins with an entry of its own");
        let again = group.node(1).state_at(before.index());
        assert_eq!(after.advanced_to(before.index()).blocklist().count(), 40);
        if let Some(again) = again {
            assert_eq!(again.digest(), before.digest());
        }
        assert_eq!(after.advanced_to(after.index()).digest(), before.advanced_to(after.index()).digest());
        group.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_another_node_collective_or_life_is_refused() {
    let mut group = Group::founded().await;
    let mine = Group::identity(NodeId(1));
    group.kill(NodeId(1)).await;
    let later = Incarnation { epoch: 2, ..mine.incarnation };
    for other in [Identity { node: NodeId(2), ..mine }, Identity { incarnation: later, ..mine }] {
        let why = refusal(&group, other).await;
        assert!(matches!(why, DataDirError::Foreign { .. }), "{why}");
        assert!(why.to_string().contains("node 1 of collective"), "{why}");
    }
    // Even an identity file that was copied does not make a log one's own.
    let other = group.path(NodeId(2));
    data_dir::create(&other, &Identity { node: NodeId(2), ..mine }).unwrap();
    fs::copy(other.join("identity.json"), group.path(NodeId(1)).join("identity.json")).unwrap();
    let why = refusal(&group, Identity { node: NodeId(2), ..mine }).await;
    assert!(matches!(&why, DataDirError::Foreign { path, .. } if path.ends_with("log")), "{why}");
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_used_empty_or_newer_is_refused() {
    let mut group = Group::founded().await;
    let mine = Group::identity(NodeId(1));
    let path = group.path(NodeId(1));
    assert!(matches!(data_dir::create(&path, &mine), Err(DataDirError::NotEmpty(_))));
    let why = refusal(&group, mine).await;
    assert!(matches!(&why, DataDirError::Io { path, .. } if path.ends_with("log")), "in use: {why}");
    group.kill(NodeId(1)).await;
    let file = path.join("identity.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(matches!(refusal(&group, mine).await, DataDirError::Newer { found: 2, .. }));
    fs::write(&file, "{").unwrap();
    assert!(matches!(refusal(&group, mine).await, DataDirError::Damaged { .. }));
    fs::remove_file(&file).unwrap();
    assert!(matches!(refusal(&group, mine).await, DataDirError::Missing(_)));
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_lost_log_is_refused() {
    let mut group = Group::founded().await;
    written(&group, 50).await;
    let mine = Group::identity(NodeId(1));
    group.kill(NodeId(1)).await;
    let log = group.path(NodeId(1)).join("log");
    let wal = newest(&log, "log");
    let whole = fs::read(&wal).unwrap();
    let mut broken = whole.clone();
    broken[whole.len() / 2] ^= 0x40;
    fs::write(&wal, &broken).unwrap();
    let why = refusal(&group, mine).await;
    assert!(matches!(&why, DataDirError::Damaged { path, .. } if path.ends_with("log")), "{why}");
    fs::write(&wal, &whole).unwrap();
    group.start(NodeId(1)).await;
    group.kill(NodeId(1)).await;
    fs::rename(&log, group.path(NodeId(1)).join("elsewhere")).unwrap();
    let why = refusal(&group, mine).await;
    assert!(matches!(&why, DataDirError::Damaged { reason, .. } if reason.contains("missing")), "{why}");
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_lost_snapshot_is_refused() {
    let mut group = Group::founded_with(|config| {
        config.snapshot_every = 10;
        config.keep_entries = 2;
    })
    .await;
    written(&group, 60).await;
    let mine = Group::identity(NodeId(1));
    let node = group.node(1);
    while node.status().snapshot.is_none_or(|index| index.0 < 40) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(node);
    group.kill(NodeId(1)).await;
    let snapshots = group.path(NodeId(1)).join("snapshots");
    let file = newest(&snapshots, "snapshot");
    let whole = fs::read(&file).unwrap();
    for at in [3, 40, whole.len() / 2, whole.len() - 1] {
        let mut broken = whole.clone();
        broken[at] ^= 1;
        fs::write(&file, &broken).unwrap();
        let why = refusal(&group, mine).await;
        assert!(matches!(&why, DataDirError::Damaged { path, .. } if *path == file), "byte {at}: {why}");
    }
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(refusal(&group, mine).await, DataDirError::Damaged { .. }), "cut short");
    fs::remove_file(&file).unwrap();
    let why = refusal(&group, mine).await;
    assert!(matches!(&why, DataDirError::Damaged { reason, .. } if reason.contains("purged")), "{why}");
    fs::write(&file, &whole).unwrap();
    group.start(NodeId(1)).await;
    assert_eq!(group.node(1).read().await.expect("read").blocklist().count(), 60);
    group.shutdown().await;
}

fn newest(directory: &Path, extension: &str) -> std::path::PathBuf {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files.pop().expect("a file")
}
