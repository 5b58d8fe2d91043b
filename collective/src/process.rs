//! A Controller as a running process: listeners, the Raft node, links, duties; started together, stopped in good order.
//! Tests run several in one process.
//!
//! On top of everything: the command line, the tasks, the duties that time brings. What is served is left to `api` and
//! `peers`.

pub(crate) mod cli;
pub(crate) mod duties;
mod follower;
mod listeners;
pub(crate) mod logging;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ringwall_protocol::membership::ControllerRecord;
use ringwall_raft::Node;
use ringwall_startup::{DirectoryLock, StopSignals};
use ringwall_trust::tls::{CurrentMembers, Members, Presented};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use self::listeners::Bound;

use self::follower::Follower;
use self::listeners::Listeners;
use crate::api::servers::HttpServers;
use crate::clock;
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
use crate::replica::vault::Vault;
use crate::setup::bootstrap;
use crate::setup::config::Config;
use crate::setup::data_dir::{DataDir, NodeIdentity, NodeKeys};

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
    log: PathBuf,
    lock: DirectoryLock,
}

impl Process {
    /// Starts a Controller whose data directory `init` or `join` has made. Must be called on a multi-threaded runtime.
    ///
    /// # Errors
    /// What is wrong with data directory, addresses or log.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let data_dir = DataDir::existing(&config.data_dir)?;
        let identity = data_dir.identity().context("reading who this node is")?;
        let lock = data_dir.lock()?;
        let keys = data_dir.keys().context("reading this node's keys")?;
        let first_members = data_dir.members().context("reading the members known from joining")?;
        let listeners = Listeners::bind(&config)?;
        let bound = listeners.bound()?;
        let NodeKeys { node: own_key, chain, client_ca, appliance_ca, signer, keks, wrap, root } = keys;
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
            vault: Vault::new(keks),
            wrap,
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
        follower.prepare().await;
        listeners.listen()?;
        let (reports, recording) = Reports::new(&controller.peers);
        let (http, arbiter) = HttpServers::start(listeners.http()?, &config, &gates, &controller).await?;
        let feeds = Feeds::new(arbiter, &controller.peers, identity.incarnation, reports);
        let peer_listener = tokio::net::TcpListener::from_std(listeners.peer)?;
        let tasks = vec![
            tokio::spawn(follower.follow(stopping.clone())),
            tokio::spawn(recording),
            tokio::spawn(Arc::clone(&controller.clock).run(stopping.clone())),
            tokio::spawn(duties::run(Arc::clone(&controller), root, config.advertise.clone(), stopping.clone())),
            tokio::spawn(peers::serve(peer_listener, gates, Arc::clone(&controller.peers), feeds, stopping)),
        ];
        tracing::info!(node = %identity.node, client = %bound.client, admin = %bound.admin, peer = %bound.peer, "serving");
        Ok(Self { controller, bound, stop, http, tasks, log: data_dir.raft(), lock })
    }

    /// Serves until SIGINT or SIGTERM, then stops in good order; also when the replicated log can no longer be written.
    ///
    /// # Errors
    /// If the replicated log can no longer be written.
    pub(crate) async fn until_told_to_stop(self, signals: &mut StopSignals) -> anyhow::Result<()> {
        let node = self.controller.replica.node().clone();
        let failure = tokio::select! {
            () = signals.told() => None,
            why = node.failed() => Some(LogFailure { directory: self.log.clone(), why }),
        };
        drop(node);
        tracing::info!("stopping");
        self.stop().await;
        failure.map_or(Ok(()), |failure| Err(failure.into()))
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
        drop(self.lock);
    }
}

/// The replicated log can no longer be written or read: the Controller ends, since it could neither answer nor agree to
/// anything.
#[derive(Debug, thiserror::Error)]
#[error(
    "the replicated log in {directory} can no longer be used: {why}; free space on this file system or repair it (df -h, \
     journalctl -k), then start the program again: everything that was acknowledged is kept"
)]
struct LogFailure {
    directory: PathBuf,
    why: String,
}

/// The membership known before the state is: from joining, or nobody.
fn known_members(
    identity: &NodeIdentity,
    roots: &[CertificateDer<'static>],
    controllers: &[ControllerRecord],
) -> anyhow::Result<Members> {
    Members::from_records(identity.collective_id, roots, controllers, []).context("members known from joining")
}
