//! Starting, step by step. What a later step needs, an earlier one has made.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor as _, Addr};
use anyhow::Context;
use arc_swap::ArcSwapOption;
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use ringwall_actors::feed::Candidate;
use ringwall_actors::feed::FeedCore;
use ringwall_actors::feed::FeedOutbox;
use ringwall_actors::feed::{Feed, FeedParts};
use ringwall_actors::ports::{NameKeeper, TunnelPlane};
use ringwall_actors::registry::AskHealth;
use ringwall_actors::registry::Directory;
use ringwall_actors::registry::published::{self, Published};
use ringwall_actors::registry::{Registry, RegistryParts};
use ringwall_actors::session::SessionPorts;
use ringwall_actors::support::ThreadEntropy;
use ringwall_actors::support::{Clock, SecurityClock};
use ringwall_protocol::feed::FeedView;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::spa::Service;
use ringwall_startup::{CannotListen, DirectoryLock, Refusal};
use ringwall_trust::identity::LeafIdentity;
use ringwall_trust::secret::SecretKey;
use ringwall_trust::spa::{self, JournalFile, Receiver, SpaWindow};
use ringwall_trust::tls::{Alpn, CurrentMembers, Gate, Presented, Purchases, Tls};
use tokio::sync::oneshot;

use super::arbiters::{Arbiters, run_in, start_in};
use super::preflight;
use crate::blocked::{TunnelEventRouter, tell_alerted, tell_blocked};
use crate::clock::{GatewayClock, wall};
use crate::config::Config;
use crate::controller_link::{ControllerDialer, candidates};
use crate::country::Countries;
use crate::data_dir::{DataDir, Identity};
use crate::firewall::{Enforcer, Firewall, FirewallConfig, Guard, HostSettings, Snat, carries_ipv6, conntrack_entries};
use crate::handshake::TokenAuthenticator;
use crate::interfaces::Interfaces;
use crate::knocks::KnockHandler;
use crate::listener::Reception;
use crate::members::{KnockSettings, Shape, follow, membership, policy};
use crate::names::Names;
use crate::renewal::Renewal;
use crate::tunnel::{TunnelConfig, Workers};
use crate::{first_view, health, host_addresses, host_watch, joining, listener};

/// Idle seconds until a Client sends a keep-alive.
const KEEP_ALIVE_SECONDS: u16 = 15;
/// How often the first lease is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Everything that runs. Dropped in the order of the fields.
pub(super) struct Running {
    pub(super) registry: Addr<Registry>,
    pub(super) outbox: Arc<FeedOutbox>,
    /// Done when the firewall must be shaped anew.
    pub(super) reshaped: Pin<Box<dyn Future<Output = ()>>>,
    /// Says what promise cannot be kept any more.
    pub(super) broken: oneshot::Receiver<String>,
    pub(super) firewall: Firewall,
    _arbiters: Arbiters,
    _lock: DirectoryLock,
}

/// Who this Gateway is, and whom it believes.
struct Member {
    data: DataDir,
    identity: Identity,
    own: Arc<Presented>,
    members: Arc<CurrentMembers>,
    dialer: ControllerDialer,
    candidates: Vec<Candidate>,
}

/// What stands below the actors.
struct DataPlane {
    firewall: Firewall,
    enforcer: Enforcer,
    workers: Arc<Workers>,
    directory: Arc<Directory>,
    names: Names,
    settings: HostSettings,
    shortages: host_watch::Shortages,
    interfaces: Interfaces,
}

pub(super) async fn start(config: Config, metrics: PrometheusHandle) -> anyhow::Result<Running> {
    let (data, lock) = preflight::check(&config)?;
    let member = become_member(&config, data).await?;
    let highest = member.identity.incarnation;
    let view = first_view::first_view(member.identity.appliance, highest, &member.candidates, &member.dialer).await;
    let shape = Shape::of(&view);
    let mut ground = start_data_plane(&config, &view).await?;
    let arbiters = Arbiters::start(config.session_threads, config.listener_threads);

    let security = SecurityClock::default();
    let clock: Arc<dyn Clock> = Arc::new(GatewayClock::new(security.clone()));
    // Numbers of audit records go on above those of an earlier process.
    let outbox = Arc::new(FeedOutbox::new(wall().0.saturating_mul(1_000)));
    let (registry, published) = start_registry(&config, &member, &ground, &arbiters, (security, &clock, &outbox));
    let feed = start_feed(&member, &arbiters, &registry, &clock, &outbox);
    forward_firewall_reports(&mut ground, &feed);
    let broken = watch_host(&ground, &arbiters);
    if let Some(address) = config.health {
        serve_health(address, &arbiters, (&registry, &ground.enforcer), metrics);
    }
    wait_for_lease(&registry).await?;
    let guard = start_listeners(&config, &member, &ground, &arbiters, &view, (&published, &registry, &clock))?;
    tracing::info!(address = %config.client, site = view.site.name, "admitting sessions");

    let Member { data, members, .. } = member;
    let DataPlane { names, interfaces, firewall, .. } = ground;
    actix_rt::spawn(host_addresses::watch(interfaces, names.clone(), published.clone(), Arc::clone(&outbox)));
    let told = Arc::clone(&outbox);
    let reshaped =
        Box::pin(async move { follow(published, &members, &guard, (&feed, &told), &data, &names, &shape).await });
    Ok(Running { registry, outbox, reshaped, broken, firewall, _arbiters: arbiters, _lock: lock })
}

async fn become_member(config: &Config, data: DataDir) -> anyhow::Result<Member> {
    let identity = joining::identity(&data, config.seed.as_deref()).await?;
    let own = Presented::new(data.chain()?, &data.key()?).context("load the own certificate and key")?;
    let controllers = data.members()?;
    let members = membership(identity.collective, &identity.root_certificate, &controllers, []);
    let members = CurrentMembers::new(members);
    let key = identity.spa_key.as_deref().map(str::parse::<SecretKey>).transpose();
    let key = key.map_err(|_| anyhow::anyhow!("the kept key for knocking is damaged"))?;
    let knock = Arc::new(ArcSwapOption::from_pointee(key));
    let dialer = ControllerDialer { members: Arc::clone(&members), own: Arc::clone(&own), knock, data: data.clone() };
    let candidates = candidates(&controllers);
    anyhow::ensure!(
        !candidates.is_empty(),
        "no controller is known; join again with a new seed and an empty data directory"
    );
    Ok(Member { data, identity, own, members, dialer, candidates })
}

async fn start_data_plane(config: &Config, view: &FeedView) -> anyhow::Result<DataPlane> {
    let interfaces = Interfaces::open()?;
    let firewall_config = shape_firewall(config, view, &interfaces).await?;
    let firewall = Firewall::start(firewall_config).context("start the firewall")?;
    let directory = Arc::new(Directory::default());
    let tunnel = TunnelConfig {
        device: config.tun.as_str().to_owned(),
        mtu: config.mtu,
        workers: config.tunnel_workers,
        ..TunnelConfig::default()
    };
    let event_router = Arc::new(TunnelEventRouter(Arc::clone(&directory)));
    let workers = Workers::start(&tunnel, event_router)
        .map_err(|error| anyhow::anyhow!("cannot make the TUN device {}: {}", config.tun, Refusal::of_tun(error)))?;
    interfaces.route(&served_pools(config, view), workers.device_index()).await?;
    let settings = HostSettings::new(config.tun.clone(), config.protected.clone());
    firewall.enable_forwarding().context(
        "cannot enable IP forwarding; in a container or unit, make /proc/sys/net writable, or set net.ipv4.ip_forward and \
         net.ipv6.conf.all.forwarding there",
    )?;
    let mut shortages = host_watch::Shortages::default();
    if let Some(unsafe_setting) = host_watch::apply_settings(&settings, &mut shortages) {
        anyhow::bail!(unsafe_setting);
    }
    let enforcer = firewall.enforcer();
    let names = Names::start(enforcer.clone(), Arc::clone(&directory), view);
    let names = names.context("start the name resolver thread")?;
    names.found(interfaces.own_addresses().await?);
    Ok(DataPlane { firewall, enforcer, workers: Arc::new(workers), directory, names, settings, shortages, interfaces })
}

/// The pools whose family this host carries.
fn served_pools(config: &Config, view: &FeedView) -> Vec<IpNet> {
    let (v6, v4): (Vec<IpNet>, Vec<IpNet>) = view.site.pools.iter().partition(|pool| matches!(pool, IpNet::V6(_)));
    if v6.is_empty() || carries_ipv6(&config.tun) {
        return v4.into_iter().chain(v6).collect();
    }
    let setting = format!("net.ipv6.conf.{}.disable_ipv6", config.tun);
    tracing::warn!(
        setting,
        "IPv6 is off on this host: sessions are served over IPv4 only; switch it on, or take the IPv6 pools from the site"
    );
    v4
}

async fn shape_firewall(config: &Config, view: &FeedView, interfaces: &Interfaces) -> anyhow::Result<FirewallConfig> {
    let (mut pools4, mut pools6) = (vec![], vec![]);
    for pool in &view.site.pools {
        match pool {
            IpNet::V4(net) => pools4.push(net.trunc()),
            IpNet::V6(net) => pools6.push(net.trunc()),
        }
    }
    let mut shaped = FirewallConfig::new(config.tun.clone(), pools4, pools6);
    shaped.tcp_port = config.client.port();
    shaped.udp_port = config.client.port();
    shaped.guard = match view.spa_mode {
        SpaMode::Open => Guard::Open,
        SpaMode::Tcp => Guard::Tcp,
        SpaMode::UdpTcp => Guard::UdpTcp,
    };
    shaped.conntrack_entries = conntrack_entries();
    let lease = view.site.lease_seconds.max(view.site.grace_seconds.unwrap_or(0));
    shaped.longest_lease = Duration::from_secs(u64::from(lease));
    if let Some(out) = config.protected.first().filter(|_| view.site.snat) {
        let found = interfaces.addresses(out).await?;
        let (v4, v6) = (config.snat.0.or(found.0), config.snat.1.or(found.1));
        let health = config.health.map(|address| address.port());
        let listeners: Vec<u16> = health.into_iter().chain([config.client.port()]).collect();
        shaped.snat = Some(Snat { out: out.clone(), v4, v6, ports: Snat::ports_beside(&listeners) });
    }
    Ok(shaped)
}

fn start_registry(
    config: &Config,
    member: &Member,
    ground: &DataPlane,
    arbiters: &Arbiters,
    (security, clock, outbox): (SecurityClock, &Arc<dyn Clock>, &Arc<FeedOutbox>),
) -> (Addr<Registry>, Published) {
    let (publisher, published) = published::channel();
    let parts = RegistryParts {
        gateway: member.identity.appliance,
        ports: SessionPorts {
            enforcer: Arc::new(ground.enforcer.clone()),
            tunnel: Arc::clone(&ground.workers) as Arc<dyn TunnelPlane>,
            names: Arc::new(ground.names.clone()) as Arc<dyn NameKeeper>,
            outbox: Arc::clone(outbox),
            clock: Arc::clone(clock),
        },
        security,
        directory: Arc::clone(&ground.directory),
        publisher,
        arbiters: arbiters.session_handles(),
        mtu: config.mtu,
        keep_alive_seconds: KEEP_ALIVE_SECONDS,
    };
    (start_in(&arbiters.control, move || Registry::new(parts)), published)
}

fn start_feed(
    member: &Member,
    arbiters: &Arbiters,
    registry: &Addr<Registry>,
    clock: &Arc<dyn Clock>,
    outbox: &Arc<FeedOutbox>,
) -> Addr<Feed> {
    let identity = &member.identity;
    let name = LeafIdentity::Gateway { collective: identity.collective, appliance: identity.appliance };
    let (data, own) = (member.data.clone(), Arc::clone(&member.own));
    let renewal = Renewal { data, own, outbox: Arc::clone(outbox), name };
    actix_rt::spawn(renewal.clone().watch());
    // What was kept when this process began: the first view may have raised it since.
    let highest = member.data.identity().ok().flatten().map_or(identity.incarnation, |kept| kept.incarnation);
    let core =
        FeedCore::new(identity.appliance, Some(highest), member.candidates.clone(), clock.now(), &mut ThreadEntropy);
    let parts = FeedParts {
        core,
        dialer: Arc::new(member.dialer.clone()),
        registry: registry.clone().recipient(),
        outbox: Arc::clone(outbox),
        clock: Arc::clone(clock),
        on_certificate: Box::new(move |_, chain| renewal.take(&chain)),
    };
    Feed::start_in_arbiter(&arbiters.control.handle(), move |_| Feed::new(parts))
}

/// Carries what the firewall reports to those whom it concerns.
fn forward_firewall_reports(ground: &mut DataPlane, feed: &Addr<Feed>) {
    let (_, none) = tokio::sync::mpsc::channel(1);
    let blocked = std::mem::replace(&mut ground.firewall.blocked, none);
    actix_rt::spawn(tell_blocked(blocked, Arc::clone(&ground.directory), ground.names.clone()));
    let (_, none) = tokio::sync::mpsc::channel(1);
    let alerted = std::mem::replace(&mut ground.firewall.alerted, none);
    actix_rt::spawn(tell_alerted(alerted, Arc::clone(&ground.directory)));
    let (_, none) = tokio::sync::mpsc::channel(1);
    let events = std::mem::replace(&mut ground.firewall.events, none);
    let tunnel = Arc::clone(&ground.workers) as Arc<dyn TunnelPlane>;
    actix_rt::spawn(host_watch::follow_events(events, feed.clone(), tunnel));
}

fn watch_host(ground: &DataPlane, arbiters: &Arbiters) -> oneshot::Receiver<String> {
    let (enforcer, settings, shortages) = (ground.enforcer.clone(), ground.settings.clone(), ground.shortages.clone());
    run_in(&arbiters.control, move || host_watch::watch(enforcer, settings, shortages))
}

fn serve_health(
    address: std::net::SocketAddr,
    arbiters: &Arbiters,
    (registry, enforcer): (&Addr<Registry>, &Enforcer),
    metrics: PrometheusHandle,
) {
    let (registry, enforcer) = (registry.clone(), enforcer.clone());
    drop(run_in(&arbiters.control, move || async move {
        if let Err(error) = health::serve(address, registry, enforcer, metrics).await {
            tracing::error!(%error, %address, "cannot serve health and metrics");
        }
    }));
}

/// Nobody is let in before the kernel enforces what the Collective knows.
async fn wait_for_lease(registry: &Addr<Registry>) -> anyhow::Result<()> {
    loop {
        let health = registry.send(AskHealth).await.context("the session registry has stopped")?;
        if health.lease_held {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn start_listeners(
    config: &Config,
    member: &Member,
    ground: &DataPlane,
    arbiters: &Arbiters,
    view: &FeedView,
    (published, registry, clock): (&Published, &Addr<Registry>, &Arc<dyn Clock>),
) -> anyhow::Result<KnockSettings> {
    let window = SpaWindow::new(view.spa_window_seconds).unwrap_or(SpaWindow::DEFAULT);
    let (journal, used) =
        JournalFile::open(&member.data.knock_journal(), wall()).context("open the journal of knocks")?;
    let receiver = Receiver::new(window, None, wall()).with_journal(Box::new(journal), used);
    let receiver = receiver.with_cutoffs(published.cutoffs());
    let receiver = Arc::new(Mutex::new(receiver));
    let served = [Alpn::Tunnel, Alpn::Http];
    let mut gate = Gate::new(Service::Tunnel, &served, policy(view.spa_mode), Arc::clone(&receiver), wall);
    let knock_handler = (view.spa_mode == SpaMode::UdpTcp)
        .then(|| Arc::new(KnockHandler::new(ground.enforcer.clone(), config.client.port())));
    if let Some(knock_handler) = &knock_handler {
        gate = gate.with_purchases(Arc::clone(knock_handler) as Arc<dyn Purchases>);
    }
    if !config.bind_destination {
        tracing::warn!("spa.bind_destination is off: a captured knock may be used at another appliance once");
    }
    let guard = KnockSettings {
        me: member.identity.appliance,
        receiver,
        gate: Arc::new(gate),
        listen: config.client,
        bind_destination: config.bind_destination,
        knock: Arc::clone(&member.dialer.knock),
        saved: Mutex::default(),
    };
    guard.follow(view);
    if let Some(knock_handler) = &knock_handler {
        let refused = |error| CannotListen::new(config.client, "UDP, for knocks", error);
        let socket = spa::open_port(config.client).map_err(refused)?;
        actix_rt::spawn(Arc::clone(knock_handler).listen(socket, Arc::clone(&guard.receiver)));
    }
    let countries = config.countries.as_deref().map(Countries::open).transpose()?.map(Arc::new);
    let membership = Arc::clone(&member.members) as Arc<dyn ringwall_trust::tls::Membership>;
    // Members of the feed, not only those that were known from the last run.
    let snapshot = published.snapshot().context("a lease without a view")?;
    let (controllers, gateways) = (snapshot.view.controllers.values(), snapshot.view.gateways.values());
    let root = &snapshot.view.root_certificate;
    member.members.replace(crate::members::membership(snapshot.view.collective, root, controllers, gateways));
    let (registry, names) = (registry.clone(), ground.names.clone());
    let reception = Reception {
        gate: Arc::clone(&guard.gate),
        tls: Tls::new().gateway_server(&member.own, membership),
        door: TokenAuthenticator::new(published.clone(), registry, Arc::clone(clock), names, countries),
        workers: Arc::clone(&ground.workers),
        seats: listener::seats(),
    };
    for arbiter in &arbiters.listeners {
        let socket = listener::bind(config.client).map_err(|error| CannotListen::new(config.client, "TCP", error))?;
        let reception = reception.clone();
        drop(run_in(arbiter, move || listener::accept(socket, reception)));
    }
    Ok(guard)
}
