//! A node that is killed without warning has everything that it ever acknowledged.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ringwall_protocol::id::NodeId;
use ringwall_raft::state::blocklist::BlockUser;
use ringwall_raft::{Connecting, Node, NodeConfig, PeerConnector, data_dir};

use super::fixture::{START, envelope, founding, fresh, user_dn};
use super::group::Group;

const DIRECTORY: &str = "RINGWALL_RAFT_CRASH_DIRECTORY";

struct Alone;

impl PeerConnector for Alone {
    fn connect(&self, _: NodeId) -> Connecting<'_> {
        Box::pin(async { Err(std::io::ErrorKind::NotConnected.into()) })
    }
}

fn config(directory: PathBuf) -> NodeConfig {
    let mut config = NodeConfig::new(Group::identity(NodeId(1)), directory, || START);
    config.snapshot_every = 40;
    config.keep_entries = 5;
    config
}

/// The process that is killed: writes until then, and prints what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by acknowledged_writes_survive_kill_nine"]
async fn child_writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let node = Node::start(config(directory.into()), Arc::new(Alone)).await.unwrap();
    if node.state().collective().is_none() {
        node.initialize(founding(), fresh(), START).await.unwrap();
    }
    let first = node.read().await.unwrap().blocklist().count() as u128;
    for number in first.. {
        // Two processes must not propose under the same ids.
        let mut envelope = envelope(BlockUser { user: user_dn(number), reason: String::new() });
        envelope.command_id = ringwall_protocol::id::CommandId::new(super::fixture::id((0xc << 100) + number));
        node.propose(envelope).await.unwrap();
        println!("acknowledged {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill_nine() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("node1");
    data_dir::create(&path, &Group::identity(NodeId(1))).unwrap();
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "crash::child_writes_until_it_is_killed"])
            .env(DIRECTORY, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let last = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("acknowledged ").and_then(|number| number.parse::<u128>().ok()))
            .find(|number| *number >= round * 100)
            .expect("the child writes");
        child.kill().unwrap();
        child.wait().unwrap();
        let node = Node::start(config(path.clone()), Arc::new(Alone)).await.expect("starts again");
        let state = node.read().await.unwrap();
        for number in 0..=last {
            assert!(state.blocked(&user_dn(number)).is_some(), "write {number} of {last} was acknowledged and is lost");
        }
        node.shutdown().await;
    }
}
