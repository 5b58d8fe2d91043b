//! A Controller as a running process: listeners, the Raft node, links, duties; started together, stopped in good order.
//! Tests run several in one process.

pub(crate) mod clock;
pub(crate) mod duties;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use ringwall_protocol::membership::ControllerRecord;
use ringwall_raft::{Node, State};
use ringwall_trust::spa::Receiver;
use ringwall_trust::tls::{CurrentMembers, Members, Presented};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::servers::HttpServers;
use crate::audit::file::AuditFile;
use crate::controller::{Controller, Parts};
use crate::identity::hashing::HashingPool;
use crate::issuing::intermediates::IssuerKeys;
use crate::listener::dark::Dark;
use crate::listener::gates::Gates;
use crate::listener::spa;
use crate::listener::spa::Places;
use crate::peers;
use crate::peers::connector::Connector;
use crate::peers::feed::Feeds;
use crate::peers::reports::Reports;
use crate::setup::bootstrap;
use crate::setup::config::Config;
use crate::setup::data_dir::{DataDir, NodeIdentity, NodeKeys};
use crate::setup::vault::Vault;

/// Connections get this long to finish what they do.
const GRACE: Duration = Duration::from_secs(3);

/// A running Controller.
pub struct Process {
    /// What tests and the admin API look at.
    pub controller: Arc<Controller>,
    /// Addresses that the listeners have.
    pub bound: Bound,
    stop: watch::Sender<bool>,
    http: HttpServers,
    tasks: Vec<JoinHandle<()>>,
}

/// Addresses of listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Client API.
    pub client: SocketAddr,
    /// Admin API.
    pub admin: SocketAddr,
    /// Peers.
    pub peer: SocketAddr,
    /// Metrics and health.
    pub metrics: Option<SocketAddr>,
}

struct Listeners {
    client: TcpListener,
    admin: TcpListener,
    peer: TcpListener,
    metrics: Option<TcpListener>,
}

impl Process {
    /// Starts a Controller whose data directory `init` or `join` has made. Must be called on a multi-threaded runtime.
    ///
    /// # Errors
    /// What is wrong with data directory, addresses or log.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let data_dir = DataDir::existing(&config.data_dir);
        let identity = data_dir.identity().context("reading who this node is")?;
        let keys = data_dir.keys().context("reading this node's keys")?;
        let first_members = data_dir.members().context("reading the members known from joining")?;
        let listeners = Listeners::bind(&config)?;
        let bound = listeners.bound()?;
        let NodeKeys { node: own_key, chain, client_ca, appliance_ca, signer, kek, root } = keys;
        let presented = Presented::new(chain.clone(), &own_key).context("this node's certificate")?;
        let roots: Vec<CertificateDer<'static>> = chain.last().cloned().into_iter().collect();
        let members = CurrentMembers::new(known_members(&identity, &roots, &first_members)?);
        let connector = Connector::new(&presented, &members, &first_members);
        let node = Node::start(bootstrap::raft_config(&config, &identity, &data_dir), Arc::new(connector.clone()))
            .await
            .context("starting the replicated log")?;
        let hashing = HashingPool::new(config.password_hashes, tokio::runtime::Handle::current());
        let controller = Arc::new(Controller::new(Parts {
            identity: identity.clone(),
            data_dir: data_dir.clone(),
            node,
            vault: Vault::new(kek),
            signer,
            hashing,
            outbound: config.providers.clone(),
            issuer_keys: IssuerKeys { client: client_ca, appliance: appliance_ca },
            connector: connector.clone(),
            presented: Arc::clone(&presented),
        }));
        let receiver = spa::receiver(&data_dir, clock::now()).context("opening the journal of knocks")?;
        let dark = Dark::new(&config, &receiver);
        let gates = Arc::new(Gates::new(&presented, &members, &receiver, &dark, config.admin_sources.clone()));
        let (stop, stopping) = watch::channel(false);
        let follower = Follower {
            identity: identity.clone(),
            controller: Arc::clone(&controller),
            members,
            roots,
            gates: Arc::clone(&gates),
            receiver,
            dark,
            places: Places::of(&config),
            connector,
        };
        let audit = Arc::new(AuditFile::open(data_dir.path()).context("opening the audit file")?);
        let (reports, recording) = Reports::new(&controller.peers, audit);
        let (http, arbiter) = HttpServers::start(listeners.http()?, &config, &gates, &controller).await?;
        let feeds = Feeds::new(arbiter, &controller.peers, identity.incarnation, reports);
        let peer_listener = tokio::net::TcpListener::from_std(listeners.peer)?;
        let tasks = vec![
            tokio::spawn(follower.follow(stopping.clone())),
            tokio::spawn(recording),
            tokio::spawn(duties::run(Arc::clone(&controller), root, config.advertise.clone(), stopping.clone())),
            tokio::spawn(peers::serve(peer_listener, gates, Arc::clone(&controller.peers), feeds, stopping)),
        ];
        tracing::info!(node = %identity.node, client = %bound.client, admin = %bound.admin, peer = %bound.peer, "serving");
        Ok(Self { controller, bound, stop, http, tasks })
    }

    /// Serves until SIGINT or SIGTERM, then stops in good order.
    ///
    /// # Errors
    /// If signals cannot be received.
    pub async fn until_told_to_stop(self) -> anyhow::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        self.stop().await;
        Ok(())
    }

    /// Stops: listeners first, then links and duties, the log last.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.http.stop().await;
        for task in self.tasks {
            let abort = task.abort_handle();
            if tokio::time::timeout(GRACE, task).await.is_err() {
                abort.abort();
            }
        }
        self.controller.replica.node().shutdown().await;
        self.http.join().await;
    }
}

impl Listeners {
    fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = |what: &str, address: SocketAddr| -> anyhow::Result<TcpListener> {
            let listener = TcpListener::bind(address).with_context(|| format!("listening on {address} ({what})"))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        Ok(Self {
            client: bind("client API", config.listen_client)?,
            admin: bind("admin API", config.listen_admin)?,
            peer: bind("peers", config.listen_peer)?,
            metrics: config.listen_metrics.map(|address| bind("metrics", address)).transpose()?,
        })
    }

    fn bound(&self) -> anyhow::Result<Bound> {
        Ok(Bound {
            client: self.client.local_addr()?,
            admin: self.admin.local_addr()?,
            peer: self.peer.local_addr()?,
            metrics: self.metrics.as_ref().map(TcpListener::local_addr).transpose()?,
        })
    }

    /// Second handles for the HTTP thread.
    fn http(&self) -> anyhow::Result<(TcpListener, TcpListener, Option<TcpListener>)> {
        let metrics = self.metrics.as_ref().map(TcpListener::try_clone).transpose()?;
        Ok((self.client.try_clone()?, self.admin.try_clone()?, metrics))
    }
}

/// The membership known before the state is: from joining, or nobody.
fn known_members(
    identity: &NodeIdentity,
    roots: &[CertificateDer<'static>],
    controllers: &[ControllerRecord],
) -> anyhow::Result<Members> {
    Members::from_records(identity.collective_id, roots, controllers, []).context("members known from joining")
}

/// Keeps what connections are judged by in step with the state.
struct Follower {
    identity: NodeIdentity,
    controller: Arc<Controller>,
    members: Arc<CurrentMembers>,
    roots: Vec<CertificateDer<'static>>,
    gates: Arc<Gates>,
    receiver: Arc<Mutex<Receiver>>,
    dark: Arc<Dark>,
    places: Places,
    connector: Connector,
}

impl Follower {
    async fn follow(self, mut stop: watch::Receiver<bool>) {
        let mut applied = self.controller.replica.watch_applied();
        let mut followed = spa::Followed::new(self.places.clone());
        let mut last: Option<Arc<State>> = None;
        loop {
            applied.mark_unchanged();
            let state = self.controller.replica.state();
            self.update(&state, last.as_deref(), &mut followed);
            last = Some(state);
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { return },
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn update(&self, state: &State, last: Option<&State>, followed: &mut spa::Followed) {
        if state.collective().is_none() {
            return;
        }
        let same = last.is_some_and(|last| {
            last.collective().is_some()
                && last.controllers().eq(state.controllers())
                && last.gateways().eq(state.gateways())
        });
        if !same {
            self.follow_members(state);
        }
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let locked_out = followed.follow(&mut receiver, state, &self.controller.vault);
        drop(receiver);
        if locked_out {
            self.dark.lock_out();
        }
        self.gates.set_policy(self.dark.follow(state.spa_mode_of(self.identity.appliance)));
        self.connector.follow(state, &self.controller.vault);
    }

    fn follow_members(&self, state: &State) {
        let id = self.identity.collective_id;
        match Members::from_records(id, &self.roots, state.controllers(), state.gateways()) {
            Ok(members) => self.members.replace(members),
            Err(error) => tracing::error!(%error, "membership in the state is damaged; the former one stays"),
        }
    }
}
