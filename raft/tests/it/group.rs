//! A group of real nodes in one process: RocksDB in temporary directories, TCP over loopback between them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use ringwall_protocol::id::{LogIndex, NodeId};
use ringwall_raft::{Connecting, Identity, Node, NodeConfig, PeerConnector, PeerStream, data_dir};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::fixture::{START, founding, fresh, incarnation};

/// How long any condition may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where nodes listen, and which are cut off.
#[derive(Default)]
struct Wires {
    addresses: Mutex<BTreeMap<NodeId, SocketAddr>>,
    cut: Mutex<BTreeSet<NodeId>>,
    silent: Mutex<BTreeSet<NodeId>>,
}

/// A stream on which nothing moves while one of its ends is silent, and nobody is told.
struct Quiet {
    inner: TcpStream,
    ends: [NodeId; 2],
    wires: Arc<Wires>,
}

impl Quiet {
    fn is_silent(&self, context: &Context<'_>) -> bool {
        let silent = self.wires.silent.lock().unwrap();
        let yes = self.ends.iter().any(|end| silent.contains(end));
        if yes {
            let waker = context.waker().clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                waker.wake();
            });
        }
        yes
    }
}

impl AsyncRead for Quiet {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_silent(cx) { Poll::Pending } else { Pin::new(&mut self.inner).poll_read(cx, to) }
    }
}

impl AsyncWrite for Quiet {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_silent(cx) { Poll::Pending } else { Pin::new(&mut self.inner).poll_write(cx, from) }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

struct Connector {
    me: NodeId,
    wires: Arc<Wires>,
}

impl PeerConnector for Connector {
    fn connect(&self, peer: NodeId) -> Connecting<'_> {
        Box::pin(async move {
            let cut = {
                let cut = self.wires.cut.lock().unwrap();
                cut.contains(&peer) || cut.contains(&self.me)
            };
            let address = self.wires.addresses.lock().unwrap().get(&peer).copied();
            let address = address.filter(|_| !cut).ok_or(io::ErrorKind::NotConnected)?;
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            stream.write_u64(self.me.0).await?;
            let quiet = Quiet { inner: stream, ends: [self.me, peer], wires: Arc::clone(&self.wires) };
            Ok(Box::new(quiet) as Box<dyn PeerStream>)
        })
    }
}

struct Running {
    node: Node,
    listener: JoinHandle<()>,
}

/// The group.
pub(crate) struct Group {
    directory: TempDir,
    wires: Arc<Wires>,
    running: BTreeMap<NodeId, Running>,
    pub(crate) configure: fn(&mut NodeConfig),
}

impl Group {
    /// One founded node, number 1.
    pub(crate) async fn founded() -> Self {
        Self::founded_with(|_| {}).await
    }

    pub(crate) async fn founded_with(configure: fn(&mut NodeConfig)) -> Self {
        let mut group =
            Self { directory: TempDir::new().unwrap(), wires: Arc::default(), running: BTreeMap::new(), configure };
        group.create(NodeId(1)).await;
        group.node(1).initialize(founding(), fresh(), START).await.expect("founded");
        group
    }

    /// `count` voters.
    pub(crate) async fn of(count: u64) -> Self {
        Self::of_with(count, |_| {}).await
    }

    pub(crate) async fn of_with(count: u64, configure: fn(&mut NodeConfig)) -> Self {
        let mut group = Self::founded_with(configure).await;
        for number in 2..=count {
            group.create(NodeId(number)).await;
            group.node(1).add_learner(NodeId(number)).await.expect("learner");
            group.promote(number).await;
        }
        group
    }

    /// Promotes as soon as the learner has caught up.
    pub(crate) async fn promote(&self, number: u64) {
        let target = self.node(1).state().index();
        self.reaches(number, target).await;
        let (leader, id) = (self.leader(None).await, NodeId(number));
        let knows = || leader.status().followers.get(&id).is_some_and(|one| one.matched >= target);
        let acknowledged = async {
            while !knows() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, acknowledged).await.expect("the leader hears of it");
        self.any().promote(NodeId(number)).await.expect("promoted");
    }

    pub(crate) fn path(&self, node: NodeId) -> PathBuf {
        self.directory.path().join(format!("node{node}"))
    }

    pub(crate) fn identity(node: NodeId) -> Identity {
        Identity { collective: founding().id, node, incarnation: incarnation() }
    }

    /// A new node with an empty directory.
    pub(crate) async fn create(&mut self, node: NodeId) {
        data_dir::create(&self.path(node), &Self::identity(node)).expect("directory");
        self.start(node).await;
    }

    pub(crate) fn config(&self, node: NodeId) -> NodeConfig {
        let mut config = NodeConfig::new(Self::identity(node), self.path(node), || START);
        (self.configure)(&mut config);
        config
    }

    pub(crate) fn connector(&self, me: NodeId) -> Arc<dyn PeerConnector> {
        Arc::new(Connector { me, wires: Arc::clone(&self.wires) })
    }

    /// Starts a node on what its directory holds.
    pub(crate) async fn start(&mut self, id: NodeId) {
        let node = Node::start(self.config(id), self.connector(id)).await.expect("started");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.wires.addresses.lock().unwrap().insert(id, listener.local_addr().unwrap());
        let listener = tokio::spawn(accept(listener, node.clone(), Arc::clone(&self.wires)));
        self.running.insert(id, Running { node, listener });
    }

    /// Takes a node away at once: its streams break first, so that it says goodbye to nobody.
    pub(crate) async fn kill(&mut self, id: NodeId) {
        self.wires.cut.lock().unwrap().insert(id);
        let Running { node, listener } = self.running.remove(&id).expect("running");
        listener.abort();
        let _ = listener.await;
        node.shutdown().await;
        drop(node);
        self.wires.addresses.lock().unwrap().remove(&id);
        self.wires.cut.lock().unwrap().remove(&id);
    }

    /// Nobody reaches the node, and it reaches nobody.
    pub(crate) async fn isolate(&mut self, id: NodeId) {
        self.wires.cut.lock().unwrap().insert(id);
        self.relisten(id).await;
        // Streams that the node opened end at the others.
        for other in self.numbers() {
            if other != id {
                self.relisten(other).await;
            }
        }
    }

    /// Streams of the node stay open, and nothing comes out of them any more.
    pub(crate) fn silence(&self, id: NodeId) {
        self.wires.silent.lock().unwrap().insert(id);
    }

    pub(crate) fn heal(&self, id: NodeId) {
        self.wires.silent.lock().unwrap().remove(&id);
        self.wires.cut.lock().unwrap().remove(&id);
    }

    async fn relisten(&mut self, id: NodeId) {
        let running = self.running.get_mut(&id).expect("running");
        running.listener.abort();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.wires.addresses.lock().unwrap().insert(id, listener.local_addr().unwrap());
        running.listener = tokio::spawn(accept(listener, running.node.clone(), Arc::clone(&self.wires)));
    }

    pub(crate) fn numbers(&self) -> Vec<NodeId> {
        self.running.keys().copied().collect()
    }

    pub(crate) fn node(&self, number: u64) -> Node {
        self.running[&NodeId(number)].node.clone()
    }

    pub(crate) fn any(&self) -> Node {
        self.running.values().next().expect("a node").node.clone()
    }

    /// The leader on which all running nodes but `except` agree.
    pub(crate) async fn leader(&self, except: Option<NodeId>) -> Node {
        let started = Instant::now();
        loop {
            let nodes = self.running.values().map(|one| &one.node).filter(|node| Some(node.id()) != except);
            let leaders: BTreeSet<_> = nodes.map(|node| node.status().leader).collect();
            if let Some(Some(leader)) = leaders.first()
                && leaders.len() == 1
                && Some(*leader) != except
                && self.running.contains_key(leader)
            {
                return self.node(leader.0);
            }
            assert!(started.elapsed() < PATIENCE, "no leader: {leaders:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until a node has applied `index`.
    pub(crate) async fn reaches(&self, number: u64, index: LogIndex) {
        let mut applied = self.node(number).watch_applied();
        let reached = timeout(PATIENCE, applied.wait_for(|applied| *applied >= index)).await;
        reached.expect("in time").expect("running");
    }

    /// Waits until all have applied what the furthest has, and checks that they agree.
    pub(crate) async fn agree(&self) {
        let furthest = self.running.values().map(|one| one.node.state().index()).max().unwrap();
        for id in self.numbers() {
            self.reaches(id.0, furthest).await;
        }
        let digests: BTreeSet<_> =
            self.running.values().map(|one| one.node.state_at(furthest).unwrap().digest()).collect();
        assert_eq!(digests.len(), 1, "the states at {furthest} differ");
    }

    pub(crate) async fn shutdown(self) {
        for running in self.running.into_values() {
            running.listener.abort();
            running.node.shutdown().await;
        }
    }
}

async fn accept(listener: TcpListener, node: Node, wires: Arc<Wires>) {
    // Aborting this task drops the set, and with it every stream.
    let mut streams = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let (node, wires) = (node.clone(), Arc::clone(&wires));
        streams.spawn(async move {
            stream.set_nodelay(true).unwrap();
            let Ok(peer) = stream.read_u64().await else { return };
            let cut = {
                let cut = wires.cut.lock().unwrap();
                cut.contains(&NodeId(peer)) || cut.contains(&node.id())
            };
            if !cut {
                let _ = node.serve_peer(stream, NodeId(peer)).await;
            }
        });
    }
}
