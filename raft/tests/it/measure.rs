//! Figures, printed: run with `--ignored --nocapture measured`.

use std::sync::Arc;
use std::time::Duration;

use ringwall_raft::CommandEnvelope;
use ringwall_raft::state::totp::{PutTotpSeed, UseTotpStep};
use tokio::time::Instant;

use super::fixture::{envelope, user, user_dn};
use super::group::Group;

fn quantiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("{what}: n={} p50 {:?} p99 {:?} max {:?}", times.len(), at(0.5), at(0.99), at(1.0));
}

fn step(writer: u128, number: u64) -> CommandEnvelope {
    envelope(UseTotpStep { user: user(writer), step: number })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; not a check"]
async fn measured_writes_and_reads() {
    let group = Group::of(3).await;
    let leader = group.leader(None).await;
    let follower =
        group.numbers().into_iter().map(|id| group.node(id.0)).find(|node| node.id() != leader.id()).unwrap();
    for writer in 0..128u128 {
        let seed = ringwall_raft::state::secret::Sealed::new(1, "seed");
        leader.propose(envelope(PutTotpSeed { user: user(writer), dn: user_dn(writer), seed })).await.unwrap();
    }
    for (name, node) in [("leader", &leader), ("follower", &follower)] {
        let mut writes = Vec::new();
        let mut reads = Vec::new();
        let base = if name == "leader" { 0 } else { 10_000 };
        for number in 0..1_000 {
            let began = Instant::now();
            node.propose(step(0, base + number)).await.unwrap();
            writes.push(began.elapsed());
            let began = Instant::now();
            node.read().await.unwrap();
            reads.push(began.elapsed());
        }
        quantiles(&format!("raft.write, one at a time, on the {name}"), writes);
        quantiles(&format!("raft.read, one at a time, on the {name}"), reads);
    }
    let node = Arc::new(leader);
    let began = Instant::now();
    let writers: Vec<_> = (0..64u128)
        .map(|writer| {
            let node = Arc::clone(&node);
            tokio::spawn(async move {
                for number in 0..100u64 {
                    node.propose(step(64 + writer, number)).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    println!("64 writers: {:.0} writes/s", 6_400.0 / began.elapsed().as_secs_f64());
    group.agree().await;
    group.shutdown().await;
}
