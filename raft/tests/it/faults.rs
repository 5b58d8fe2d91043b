//! Faults of a group over real time: nodes crash, are partitioned and come back, while clients write and read.
//!
//! What must hold throughout: nothing acknowledged is lost or applied twice, no read is older than an acknowledgement
//! that came before it, and in the end all agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ringwall_protocol::id::{LogIndex, NodeId};
use ringwall_raft::Node;
use ringwall_raft::state::blocklist::BlockUser;
use tokio::sync::RwLock;
use tokio::time::Instant;

use super::fixture::{envelope, user_dn};
use super::group::{Group, PATIENCE};

const ROUNDS: u64 = 8;
const WRITERS: u128 = 4;

/// What clients know.
#[derive(Default)]
struct Known {
    acknowledged: Mutex<BTreeMap<u128, LogIndex>>,
    highest: AtomicU64,
    reads: AtomicU64,
    over: AtomicBool,
}

impl Known {
    fn acknowledge(&self, number: u128, index: LogIndex) {
        self.acknowledged.lock().unwrap().insert(number, index);
        self.highest.fetch_max(index.0, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// A repeatable choice: the same rounds each time, whatever the timing does.
fn choice(round: u64, of: u64) -> u64 {
    let hash = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 33) % of
}

async fn some_node(group: &RwLock<Group>, wanted: u64) -> Node {
    let group = group.read().await;
    let numbers = group.numbers();
    group.node(numbers[usize::try_from(wanted).unwrap() % numbers.len()].0)
}

async fn write(group: Arc<RwLock<Group>>, known: Arc<Known>, writer: u128) {
    let mut number = writer;
    while !known.is_over() {
        let envelope = envelope(BlockUser { user: user_dn(number), reason: String::new() });
        let mut attempt = u64::try_from(number).unwrap();
        loop {
            let node = some_node(&group, attempt).await;
            if let Ok(applied) = node.propose(envelope.clone()).await {
                known.acknowledge(number, applied.index);
                break;
            }
            attempt += 1;
        }
        number += WRITERS;
    }
}

async fn read(group: Arc<RwLock<Group>>, known: Arc<Known>) {
    let mut attempt = 0;
    while !known.is_over() {
        attempt += 1;
        let before = LogIndex(known.highest.load(Ordering::SeqCst));
        let node = some_node(&group, attempt).await;
        if let Ok(state) = node.read().await {
            assert!(state.index() >= before, "read {} after {before} was acknowledged", state.index());
            known.reads.fetch_add(1, Ordering::SeqCst);
        }
        tokio::task::yield_now().await;
    }
}

async fn disturb(group: &RwLock<Group>, round: u64) {
    let victim = NodeId(1 + choice(round, 3));
    let pause = Duration::from_millis(300 + 100 * choice(round + 100, 8));
    match round % 4 {
        0 => {
            group.write().await.kill(victim).await;
            tokio::time::sleep(pause).await;
            group.write().await.start(victim).await;
        }
        1 => {
            group.read().await.silence(victim);
            tokio::time::sleep(pause).await;
            group.read().await.heal(victim);
        }
        2 => {
            group.write().await.isolate(victim).await;
            tokio::time::sleep(pause).await;
            group.read().await.heal(victim);
        }
        _ => {
            // Refused if the group has other worries now.
            let _ = some_node(group, round).await.transfer_leader(victim).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_faults_nothing_acknowledged_is_lost_and_no_read_is_stale() {
    let group = Group::of_with(3, |config| {
        config.snapshot_every = 100;
        config.keep_entries = 20;
        config.proposal_deadline = Duration::from_secs(2);
        config.read_deadline = Duration::from_secs(1);
    })
    .await;
    let group = Arc::new(RwLock::new(group));
    let known = Arc::new(Known::default());
    let mut clients: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&group), Arc::clone(&known), writer))).collect();
    clients.extend((0..2).map(|_| tokio::spawn(read(Arc::clone(&group), Arc::clone(&known)))));
    for round in 0..ROUNDS {
        let before = known.highest.load(Ordering::SeqCst);
        disturb(&group, round).await;
        // The group is at work again before the next blow.
        let began = Instant::now();
        while known.highest.load(Ordering::SeqCst) < before + 20 {
            assert!(began.elapsed() < PATIENCE, "round {round}: nothing is written any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    known.over.store(true, Ordering::SeqCst);
    for client in clients {
        tokio::time::timeout(PATIENCE, client).await.expect("in time").expect("no client failed");
    }
    let group = Arc::into_inner(group).expect("no client is left").into_inner();
    let state = group.any().read().await.expect("read");
    let acknowledged = known.acknowledged.lock().unwrap().clone();
    for (number, index) in &acknowledged {
        let revocation = state.revocations().find(*index);
        assert!(revocation.is_some(), "write {number} was acknowledged at {index} and is not there");
    }
    // Every proposal was acknowledged in the end, so a surplus was applied twice.
    assert_eq!(state.revocations().iter().count(), acknowledged.len());
    let reads = known.reads.load(Ordering::SeqCst);
    println!("{} writes and {reads} reads in {ROUNDS} rounds", acknowledged.len());
    assert!(reads > 100);
    group.agree().await;
    group.shutdown().await;
}
