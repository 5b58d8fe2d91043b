//! Mode UDP-TCP on a Controller: the kernel's guard in front of its ports, knocks that open them, and what is to be done
//! when the guard cannot stand.
//!
//! Without the right to change the kernel's rules a Controller serves modes Open and TCP; asked for UDP-TCP it closes the
//! ports for Clients and administrators (but for the sources that need no knock) and says why. The peer port then goes on
//! in mode TCP: were it closed too, a Collective that was switched over by mistake could not agree to switch back.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringwall_kernel::guard::{GuardConfig, GuardError, GuardedPort, PortGuard};
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::spa::Service;
use ringwall_startup::CannotListen;
use ringwall_trust::spa::{self, Heard, Hole, KeyOwner, Pinholes, Receiver, Spent};
use ringwall_trust::tls::{Purchases, SpaPolicy};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::clock;
use crate::setup::config::Config;

/// A guard that could not be had is tried again after this time.
const AGAIN: Duration = Duration::from_secs(10);

/// What the gates are to want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// At the ports for Clients and administrators.
    pub(crate) clients: SpaPolicy,
    /// At the peer port.
    pub(crate) peers: SpaPolicy,
}

/// The ports of a Controller as knocks see them.
pub(crate) struct Dark {
    listeners: [(Service, SocketAddr); 3],
    guard: GuardConfig,
    receiver: Arc<Mutex<Receiver>>,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    guard: Option<PortGuard>,
    knocks: Vec<JoinHandle<()>>,
    /// Of a guard that was taken away: each has its socket until it has ended.
    ending: Vec<JoinHandle<()>>,
    holes: Pinholes,
    failed: Option<Instant>,
    cleared: bool,
}

impl fmt::Debug for Dark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dark").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Dark {
    /// For the listeners of a configuration; nothing is guarded yet.
    #[must_use]
    pub(crate) fn new(config: &Config, receiver: &Arc<Mutex<Receiver>>) -> Arc<Self> {
        let listeners = [
            (Service::Client, config.listen_client),
            (Service::Peer, config.listen_peer),
            (Service::Admin, config.listen_admin),
        ];
        let guarded = |(service, address): &(Service, SocketAddr)| GuardedPort {
            port: address.port(),
            exempt: if *service == Service::Admin { config.admin_sources.clone() } else { vec![] },
        };
        let guard = GuardConfig {
            table: format!("ringwall_controller_{}", config.listen_client.port()),
            ports: listeners.iter().map(guarded).collect(),
        };
        let receiver = Arc::clone(receiver);
        Arc::new(Self { listeners, guard, receiver, standing: Mutex::default() })
    }

    /// Before the state tells the mode: nobody comes to the ports for Clients and administrators. The peer port answers,
    /// for the state comes through it, and with the state the keys to knock there.
    pub(crate) fn begin(&self) {
        // One for each listener, in their order.
        let guarded = self.listeners.iter().zip(&self.guard.ports);
        let ports =
            guarded.filter(|((service, _), _)| *service != Service::Peer).map(|(_, port)| port.clone()).collect();
        // The table stays, until the mode is known and another takes its place or it is taken away.
        match PortGuard::start(&GuardConfig { ports, ..self.guard.clone() }) {
            Ok(_) | Err(GuardError::NotPermitted) => {}
            Err(error) => tracing::warn!(%error, table = self.guard.table, "the ports answer before the mode is known"),
        }
    }

    /// Brings the kernel to what `mode` wants and answers what the gates are to want. Must be called on a runtime.
    pub(crate) async fn follow(self: &Arc<Self>, mode: SpaMode) -> Wanted {
        match mode {
            SpaMode::Open => {
                self.lift();
                Wanted { clients: SpaPolicy::Open, peers: SpaPolicy::Open }
            }
            SpaMode::Tcp => {
                self.lift();
                Wanted { clients: SpaPolicy::Tcp, peers: SpaPolicy::Tcp }
            }
            SpaMode::UdpTcp => {
                self.ended().await;
                let clients = if self.stand() { SpaPolicy::Tcp } else { SpaPolicy::Closed };
                Wanted { clients, peers: SpaPolicy::Tcp }
            }
        }
    }

    /// Waits until the sockets of a guard that was taken away are closed: their ports are wanted again, and a port that this
    /// process still has is refused to it like anybody's.
    async fn ended(&self) {
        let ending = std::mem::take(&mut self.standing().ending);
        for task in ending {
            // It was aborted, or has ended by itself.
            let _ = task.await;
        }
    }

    /// Closes what was bought with keys that are no longer held.
    pub(crate) fn lock_out(&self) {
        let mut standing = self.standing();
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let holes = standing.holes.lock_out(|owner| !receiver.holds(owner));
        drop(receiver);
        let Some(guard) = &mut standing.guard else { return };
        for hole in holes {
            if let Err(error) = guard.close(hole.source, hole.port) {
                tracing::error!(%error, "a removed key's pinhole could not be closed; it ends within 10 s");
            }
        }
    }

    /// Whether the kernel lets this source come to the port without a knock.
    fn is_exempt(&self, source: SocketAddr, port: u16) -> bool {
        let source = source.ip().to_canonical();
        let guarded = self.guard.ports.iter().filter(|guarded| guarded.port == port);
        guarded.flat_map(|guarded| &guarded.exempt).any(|network| network.contains(&source))
    }

    /// Takes the guard away, an earlier process's too.
    fn lift(&self) {
        let mut standing = self.standing();
        let knocks = std::mem::take(&mut standing.knocks);
        knocks.iter().for_each(JoinHandle::abort);
        standing.ending.extend(knocks);
        standing.failed = None;
        let lifted = match standing.guard.take() {
            Some(guard) => guard.remove(),
            None if standing.cleared => return,
            None => PortGuard::clear(&self.guard.table),
        };
        standing.cleared = true;
        match lifted {
            // Who may not change rules has made none.
            Ok(()) | Err(GuardError::NotPermitted) => {}
            Err(error) => tracing::warn!(%error, table = self.guard.table, "the guard's table could not be removed"),
        }
    }

    /// Whether the guard stands now.
    fn stand(self: &Arc<Self>) -> bool {
        let mut standing = self.standing();
        if standing.guard.is_some() {
            return true;
        }
        if standing.failed.is_some_and(|at| at.elapsed() < AGAIN) {
            return false;
        }
        match self.raise() {
            Ok((guard, sockets)) => {
                standing.guard = Some(guard);
                standing.failed = None;
                standing.knocks = sockets.into_iter().map(|socket| self.listen(socket)).collect();
                tracing::info!(table = self.guard.table, "the ports are dark until somebody knocks");
                true
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "SPA mode UDP-TCP cannot be kept here: clients and administrators are not let in; \
                     give this process CAP_NET_ADMIN, or override the mode of this appliance"
                );
                standing.failed = Some(Instant::now());
                false
            }
        }
    }

    fn raise(&self) -> anyhow::Result<(PortGuard, Vec<UdpSocket>)> {
        let bind = |&(_, address): &(Service, SocketAddr)| {
            spa::open_port(address).map_err(|error| CannotListen::new(address, "UDP, for knocks", error))
        };
        let sockets = self.listeners.iter().map(bind).collect::<Result<_, _>>()?;
        let guard = PortGuard::start(&self.guard)?;
        warn_without_syn_cookies();
        Ok((guard, sockets))
    }

    fn listen(self: &Arc<Self>, socket: UdpSocket) -> JoinHandle<()> {
        let this = Arc::clone(self);
        let listening = async move {
            let error = spa::listen(&socket, &this.receiver, clock::now, |heard| this.heard(heard)).await;
            tracing::error!(%error, "a port for knocks is gone");
        };
        tokio::spawn(listening)
    }

    fn heard(&self, heard: Heard) {
        let (source, knock) = match heard {
            Heard::Knock(source, knock) => (source.ip(), knock),
            Heard::Refused(why, count) => {
                metrics::counter!("ringwall_knocks_refused_total", "why" => why.kind()).increment(count);
                return;
            }
        };
        let Some((_, listener)) = self.listeners.iter().find(|(service, _)| *service == knock.service) else {
            metrics::counter!("ringwall_knocks_refused_total", "why" => "service").increment(1);
            return;
        };
        metrics::counter!("ringwall_knocks_total").increment(1);
        let hole = Hole::new(source, listener.port());
        let mut standing = self.standing();
        if !standing.holes.buy(hole, &knock.owner, knock.connections, Instant::now()) {
            metrics::counter!("ringwall_knocks_refused_total", "why" => "keys").increment(1);
            return;
        }
        if let Some(guard) = &mut standing.guard
            && let Err(error) = guard.open(hole.source, hole.port, Pinholes::OPEN)
        {
            tracing::warn!(%error, "a knock could not open its port");
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // A panic elsewhere leaves a table that opens too little at worst.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purchases for Dark {
    /// Where no guard stands, nothing has to be bought. Where what was bought is spent, the port closes for its source.
    fn spend(&self, source: SocketAddr, port: u16, owner: &KeyOwner) -> bool {
        let mut standing = self.standing();
        if standing.guard.is_none() || self.is_exempt(source, port) {
            return true;
        }
        let hole = Hole::new(source.ip(), port);
        let spent = standing.holes.spend(hole, owner, Instant::now());
        if spent == Spent::Last
            && let Some(guard) = &mut standing.guard
            && let Err(error) = guard.close(hole.source, hole.port)
        {
            tracing::warn!(%error, "a pinhole could not be closed; it ends within 10 s");
        }
        spent != Spent::Nothing
    }
}

/// A queue full of SYNs would keep out whoever knocked (T47).
fn warn_without_syn_cookies() {
    const SETTING: &str = "/proc/sys/net/ipv4/tcp_syncookies";
    if std::fs::read_to_string(SETTING).is_ok_and(|value| value.trim() == "0") {
        tracing::warn!(
            "net.ipv4.tcp_syncookies is 0: a flood of SYNs can keep Clients and peers out; set it to 1 with sysctl"
        );
    }
}
