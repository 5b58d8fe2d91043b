//! The Client's tunnel: one TUN device, one TLS connection per Site, one thread that moves packets between them.
//!
//! Promises: a packet goes to the Site with the longest matching prefix, or nowhere; what comes from a Site is for the
//! tunnel's own address and from that Site's networks; a Site whose tunnel is lost keeps its routes and swallows their
//! packets until it is added again or removed. How packets move is `ringwall-tunnel`'s part, which is the same at the
//! Gateway; here is where they go. Connecting, TLS handshakes, and addresses, routes and rules of the device in the kernel
//! are made elsewhere.

mod drop_reason;
mod event;
mod route_table;
mod side;
mod site;
mod site_traffic;

use std::fmt;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use ipnet::IpNet;
use ringwall_protocol::id::SiteId;
use ringwall_tunnel::counters::{Counters, Traffic};
use ringwall_tunnel::frame::ATTACH_TOKEN_LEN;
use ringwall_tunnel::tun;
use ringwall_tunnel::worker::{self, Equipment};
use tokio::sync::{mpsc, oneshot};

pub use self::drop_reason::DropReason;
pub use self::event::{TunnelEvent, TunnelEvents};
pub use ringwall_tunnel::loss::LossReason;

use self::side::{ClientSide, Order};
use self::site_traffic::SiteTraffic;

/// How the tunnel is made.
#[derive(Debug, Clone)]
pub struct TunnelConfig {
    /// Name of the TUN device, at most 15 bytes.
    pub device: String,
    /// Its MTU in bytes until a `welcome` says otherwise; at least 1,280, which IPv6 needs.
    pub mtu: u16,
    /// Bytes that may wait for one Site before its packets are dropped.
    pub site_queue: usize,
}

impl Default for TunnelConfig {
    /// 1 MiB per Site is 16 of the largest packets, or 80 ms at 100 Mbit/s.
    fn default() -> Self {
        Self { device: "ringwall0".into(), mtu: 1_400, site_queue: 1024 * 1024 }
    }
}

/// A connection to a Site's Gateway after knock and mutual TLS, and what it is for.
pub struct SiteTunnel {
    /// Which Site.
    pub site: SiteId,
    /// The socket.
    pub stream: TcpStream,
    /// Its TLS, with the handshake done.
    pub connection: rustls::ClientConnection,
    /// What the Gateway gave for this tunnel; it is spent once.
    pub attach_token: [u8; ATTACH_TOKEN_LEN],
    /// Our addresses inside the tunnel.
    pub addresses: Vec<IpAddr>,
    /// The Site's networks.
    pub routes: Vec<IpNet>,
    /// True if this Site wins where another one has an equal prefix.
    pub primary: bool,
}

impl fmt::Debug for SiteTunnel {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteTunnel").field("site", &self.site).field("routes", &self.routes).finish_non_exhaustive()
    }
}

/// The worker is not there any more; a [`TunnelEvent::Stopped`] has said so.
#[derive(Debug, thiserror::Error)]
#[error("the tunnel has stopped")]
pub struct Stopped;

/// Handle of the running worker. Dropped, it stops, every tunnel closes and the device goes.
pub struct ClientTunnel {
    orders: mpsc::UnboundedSender<Order>,
    counters: Arc<Counters<DropReason>>,
    sites: Arc<SiteTraffic>,
    index: u32,
    thread: Option<JoinHandle<()>>,
}

impl ClientTunnel {
    /// Makes the TUN device in the caller's network namespace and starts the worker.
    ///
    /// # Errors
    /// If the device cannot be made or the thread cannot be started.
    pub fn start(config: &TunnelConfig, events: Arc<dyn TunnelEvents>) -> io::Result<Self> {
        let device = tun::open(&config.device, config.mtu, 1)?.remove(0);
        let index = device.if_index()?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let (counters, sites) = (Arc::new(Counters::default()), Arc::new(SiteTraffic::default()));
        let equipment = Equipment { counters: Arc::clone(&counters), peer_queue: config.site_queue, orders: inbox };
        let (stopped, traffic) = (stopped(Arc::clone(&events)), Arc::clone(&sites));
        let make_side = move || ClientSide::new(events, traffic);
        let thread = worker::start("tunnel".into(), device, equipment, make_side, stopped)?;
        Ok(Self { orders, counters, sites, index, thread: Some(thread) })
    }

    /// Attaches a tunnel for a Site, in place of a former one. [`TunnelEvent::SiteAttached`] or
    /// [`TunnelEvent::SiteLost`] follows.
    ///
    /// # Errors
    /// If the worker has stopped.
    pub fn add_site(&self, tunnel: SiteTunnel) -> Result<(), Stopped> {
        self.tell(Order::Add(Box::new(tunnel)))
    }

    /// Forgets a Site: its tunnel closes, its routes vanish. No event follows.
    ///
    /// # Errors
    /// If the worker has stopped.
    pub fn remove_site(&self, site: SiteId) -> Result<(), Stopped> {
        self.tell(Order::Remove(site))
    }

    /// Replaces a Site's networks; its tunnel stays.
    ///
    /// # Errors
    /// If the worker has stopped.
    pub fn reroute_site(&self, site: SiteId, routes: Vec<IpNet>, primary: bool) -> Result<(), Stopped> {
        self.tell(Order::Reroute { site, routes, primary })
    }

    /// Sets the MTU of the device, in bytes.
    ///
    /// # Errors
    /// If the kernel refuses it, or the worker has stopped.
    pub async fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.tell(Order::SetMtu { mtu, done }).map_err(io::Error::other)?;
        answer.await.map_err(io::Error::other)?
    }

    /// Interface index of the TUN device, for addresses, routes and rules.
    #[must_use]
    pub const fn device_index(&self) -> u32 {
        self.index
    }

    /// What was moved and dropped so far.
    #[must_use]
    pub fn counters(&self) -> &Counters<DropReason> {
        &self.counters
    }

    /// What one Site's tunnels moved since the Site came.
    #[must_use]
    pub fn site_traffic(&self, site: SiteId) -> Arc<Traffic> {
        self.sites.of(site)
    }

    fn tell(&self, order: Order) -> Result<(), Stopped> {
        self.orders.send(order).map_err(|_| Stopped)
    }
}

/// Tells that the worker ended though nothing told it to: by an error, or by a panic.
fn stopped(events: Arc<dyn TunnelEvents>) -> impl FnOnce(Option<io::Error>) + Send + 'static {
    move |error| {
        if let Some(error) = error {
            tracing::error!(%error, "tunnel worker failed");
        }
        events.tunnel_event(TunnelEvent::Stopped);
    }
}

impl Drop for ClientTunnel {
    fn drop(&mut self) {
        // If the worker has stopped there is nothing to stop.
        let _stopped = self.tell(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A worker that panicked has said so by an event.
            let _panicked = thread.join();
        }
    }
}
