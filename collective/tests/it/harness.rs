//! Controllers in this process, over loopback, with data directories of their own.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use ringwall_collective::Controller;
use ringwall_collective::DataDir;
use ringwall_collective::Process;
use ringwall_collective::{Advertise, Config, RaftPace, RawConfig};
use ringwall_collective::{FoundingOptions, Joined, found};
use ringwall_protocol::id::{LogIndex, SiteId, UserId};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::object::{Appliance, LocalUser, Object};
use ringwall_protocol::wire::join::{JoinRole, SEED_VERSION, Seed, SeedController};
use ringwall_raft::state::join_token::{CreateJoinToken, JoinTokenHash};
use ringwall_raft::state::local_password::{PasswordHash, SetLocalPassword};
use ringwall_raft::state::object::PutObject;
use ringwall_trust::identity::Fingerprint;
use ringwall_trust::password::{self, Cost};
use ringwall_trust::secret::{SecretKey, SystemRandom, write_private};
use ringwall_trust::spa::PeerRole;
use serde_json::json;
use tempfile::TempDir;

use crate::admin::caller::Admin;

/// Password of every user in these tests.
pub(crate) const PASSWORD: &str = "correct horse";

/// One Controller that can be stopped and started again.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) process: Option<Process>,
}

/// A Collective.
pub(crate) struct Lab {
    pub(crate) directory: TempDir,
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Fingerprint,
    pub(crate) break_glass: String,
}

impl Lab {
    /// A Collective of one Controller that serves.
    pub(crate) async fn start() -> Self {
        Self::start_with(config).await
    }

    /// The same, configured otherwise.
    pub(crate) async fn start_with(config: fn(PathBuf) -> Config) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = config(directory.path().join("c1"));
        let options = FoundingOptions {
            name: "test".to_owned(),
            hostname: config.advertise.client[0].clone(),
            admin: "root".to_owned(),
            advertise: config.advertise.clone(),
            keep_root: true,
            spa_mode: SpaMode::Open,
        };
        let founded = found(&options, "a long password", ringwall_collective::now(), &SystemRandom).expect("founded");
        let root = founded.root.fingerprint();
        let break_glass = founded.break_glass.expose().to_owned();
        let data = DataDir::create(&config.data_dir).expect("a fresh directory");
        data.write_keys(&founded.keys, &SystemRandom).expect("keys");
        ringwall_collective::begin(&data, &config, &founded.identity, founded.command).await.expect("begun");
        data.write_identity(&founded.identity).expect("identity");
        let process = Process::start(config.clone()).await.expect("started");
        let lab = Self { directory, nodes: vec![Node { config, process: Some(process) }], root, break_glass };
        lab.until_ready(0).await;
        lab
    }

    /// The Controller with this number, from 0.
    pub(crate) fn controller(&self, at: usize) -> &Controller {
        &self.process(at).controller
    }

    pub(crate) fn process(&self, at: usize) -> &Process {
        self.nodes[at].process.as_ref().expect("running")
    }

    /// Where a Controller's client API listens.
    pub(crate) fn client_address(&self, at: usize) -> SocketAddr {
        self.process(at).bound.client
    }

    pub(crate) async fn stop(&mut self, at: usize) {
        self.nodes[at].process.take().expect("running").stop().await;
    }

    pub(crate) async fn restart(&mut self, at: usize) {
        let config = self.nodes[at].config.clone();
        self.nodes[at].process = Some(Process::start(config).await.expect("started again"));
        self.until_ready(at).await;
    }

    /// Waits until a Controller can decide.
    pub(crate) async fn until_ready(&self, at: usize) {
        until("the controller can decide", async || {
            let controller = self.controller(at);
            controller.replica.current().await.is_ok_and(|state| state.collective().is_some())
                && controller.own_keys.can_sign()
        })
        .await;
    }

    /// Makes an appliance and the seed with which it joins at the running Controllers.
    pub(crate) async fn seed(&self, name: &str, role: JoinRole, site: Option<SiteId>) -> Seed {
        let is = |wanted| json!({ "enabled": role == wanted });
        let appliance: Appliance = self
            .put(json!({
                "id": uuid::Uuid::new_v4(), "name": name, "site": site,
                "controller": is(JoinRole::Controller), "gateway": is(JoinRole::Gateway),
                "clientInterface": { "addresses": ["192.0.2.7:443"] },
            }))
            .await;
        let token = SecretKey::generate(&SystemRandom);
        let not_after = ringwall_collective::now().plus(Duration::from_secs(600));
        let create =
            CreateJoinToken { appliance: appliance.base.id, token: JoinTokenHash::new(token.digest()), not_after };
        self.some_controller().replica.change(create).await.expect("created");
        let state = self.some_controller().replica.current().await.expect("a quorum");
        let collective = state.collective().expect("founded");
        let running = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let vault = &self.some_controller().vault;
        let join_key = ringwall_collective::peer_key(&state, vault, PeerRole::Join).expect("a key");
        Seed {
            version: SEED_VERSION,
            collective_id: collective.id,
            incarnation: collective.incarnation,
            role,
            appliance_id: appliance.base.id,
            name: name.to_owned(),
            site_id: site,
            root_certificate: collective.root_certificate.clone(),
            controllers: running
                .filter_map(|process| state.controller(process.controller.replica.me()))
                .map(|record| SeedController {
                    addresses: record.peer_addresses.clone(),
                    spki_sha256: record.keys.clone(),
                })
                .collect(),
            spa_key: Some(join_key.expose_text().to_string()),
            join_token: token.expose_text().to_string(),
            not_after,
        }
    }

    /// A further Controller joins and serves; returns when it votes and is active.
    pub(crate) async fn join(&mut self) {
        self.join_with(config).await;
    }

    /// The same, configured otherwise.
    pub(crate) async fn join_with(&mut self, config: fn(PathBuf) -> Config) {
        let name = format!("c{}", self.nodes.len() + 1);
        let seed = self.seed(&name, JoinRole::Controller, None).await;
        let file = self.directory.path().join(format!("{name}.seed"));
        write_private(&file, &serde_json::to_vec(&seed).expect("JSON")).expect("written");
        let config = config(self.directory.path().join(&name));
        let raw = RawConfig { data_dir: config.data_dir.clone(), ..RawConfig::default() };
        let joined = admitted(&Admin::root(self).await, &name, &file, &config, &raw).await.expect("joined");
        assert!(joined.signed, "the founding node holds the root");
        assert!(!file.exists(), "the seed is used up");
        let process = Process::start(config.clone()).await.expect("started");
        self.nodes.push(Node { config, process: Some(process) });
        let at = self.nodes.len() - 1;
        self.until_ready(at).await;
        until("the controller is active", async || {
            let state = self.controller(at).replica.state();
            state.controller(joined.node).is_some_and(|record| record.state == ApplianceState::Active)
        })
        .await;
    }

    /// Which Controller leads.
    pub(crate) async fn leader(&self) -> usize {
        let running = || self.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.process.as_ref()?)));
        until("somebody leads", async || {
            running().any(|(_, process)| process.controller.replica.status().role == ringwall_raft::Role::Leader)
        })
        .await;
        running()
            .find(|(_, process)| process.controller.replica.status().role == ringwall_raft::Role::Leader)
            .expect("just seen")
            .0
    }

    /// Any Controller that runs.
    pub(crate) fn some_controller(&self) -> &Controller {
        let mut running = self.nodes.iter().filter_map(|node| node.process.as_ref());
        &running.next().expect("one runs").controller
    }

    /// Blocks a user as an administrator does; returns the index of the revocation.
    pub(crate) async fn block(&self, user: &str) -> LogIndex {
        Admin::root(self).await.block(user).await;
        let state = self.some_controller().replica.current().await.expect("a quorum");
        state.revocations().iter().map(|revocation| revocation.index).max().expect("a revocation")
    }

    /// Writes an object given as the admin API writes it.
    pub(crate) async fn put<T>(&self, json: serde_json::Value) -> T
    where
        T: serde::de::DeserializeOwned + Into<Object> + Clone,
    {
        let object: T = serde_json::from_value(json).expect("a valid object");
        self.some_controller().replica.change(PutObject::new(object.clone())).await.expect("written");
        object
    }

    /// A local user whose password is [`PASSWORD`].
    pub(crate) async fn user(&self, name: &str) -> UserId {
        let id = UserId::new(uuid::Uuid::new_v4());
        let user: LocalUser = self.put(json!({ "id": id, "name": name, "labels": { "team": "dev" } })).await;
        let phc = password::hash(PASSWORD, Cost::FAST, &SystemRandom).expect("hashed");
        let set = SetLocalPassword { user: user.base.id, hash: PasswordHash::new(phc), must_change: false };
        self.some_controller().replica.change(set).await.expect("set");
        id
    }
}

/// Ends the Controllers in good order: a process that ends while RocksDB's threads run may be aborted by the C library
/// after its test has passed.
impl Drop for Lab {
    fn drop(&mut self) {
        let running: Vec<Process> = self.nodes.iter_mut().filter_map(|node| node.process.take()).collect();
        if std::thread::panicking() || running.is_empty() {
            return;
        }
        let runtime = tokio::runtime::Handle::current();
        let stop_all = async {
            for process in running {
                process.stop().await;
            }
        };
        // The test's own thread may not wait inside its runtime; another one may.
        std::thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(stop_all));
        });
    }
}

/// Joins as a Controller while an administrator admits the key that it shows.
pub(crate) async fn admitted(
    root: &Admin,
    name: &str,
    seed: &Path,
    config: &Config,
    raw: &RawConfig,
) -> anyhow::Result<Joined> {
    let (shown, fingerprint) = tokio::sync::oneshot::channel();
    let joining = ringwall_collective::join(seed, config, raw, |_, key| drop(shown.send(key.to_string())));
    let admitting = async {
        let Ok(fingerprint) = fingerprint.await else { return };
        until("the controller is admitted", async || {
            let waiting = root.get("/collective/waiting").await.ok();
            let one = waiting["data"].as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
            let Some(one) = one else { return false };
            let path = format!("/collective/waiting/{}/admit", one["id"].as_str().expect("an id"));
            root.post(&path, &json!({ "fingerprint": fingerprint })).await.ok();
            true
        })
        .await;
    };
    // The administrator has nothing to do once joining has failed.
    tokio::pin!(joining, admitting);
    tokio::select! {
        joined = &mut joining => joined,
        () = &mut admitting => joining.await,
    }
}

/// A configuration with free ports of the loopback.
pub(crate) fn config(data_dir: PathBuf) -> Config {
    let [client, admin, peer] = [(); 3].map(|()| free_port());
    let text = |address: SocketAddr| vec![address.to_string()];
    Config {
        data_dir,
        listen_client: client,
        listen_admin: admin,
        listen_peer: peer,
        listen_metrics: None,
        advertise: Advertise { client: text(client), admin: text(admin), peer: text(peer) },
        admin_sources: vec!["127.0.0.0/8".parse().expect("a network")],
        raft: RaftPace {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(400),
            election_max: Duration::from_millis(800),
        },
        http_workers: 1,
        password_hashes: 2,
        providers: ringwall_collective::Outbound { allow_local: true, networks: Vec::new() },
        bind_destination: true,
    }
}

/// An address that is this process's until it ends: below the ports of outgoing connections, so that the kernel gives it to
/// nobody between now and the listener, and locked against other tests.
pub(crate) fn free_port() -> SocketAddr {
    static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
    const PORTS: std::ops::Range<u32> = 20_000..32_000;
    let locks = std::env::temp_dir().join("ringwall-test-ports");
    std::fs::create_dir_all(&locks).expect("a directory");
    for nth in 0..PORTS.end - PORTS.start {
        let port = PORTS.start + (std::process::id() * 31 + nth) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
        let lock = File::create(locks.join(port.to_string())).expect("a lock file");
        if lock.try_lock().is_ok() && TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            TAKEN.lock().expect("not poisoned").push(lock);
            return address;
        }
    }
    panic!("every port from {} to {} is taken", PORTS.start, PORTS.end);
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "timed out: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
