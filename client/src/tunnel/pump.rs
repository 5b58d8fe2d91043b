//! The pump: the one thread that owns the TUN, the route table and every Site's tunnel.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use ipnet::IpNet;
use ringwall_protocol::id::SiteId;
use ringwall_tunnel::frame::{FrameHeader, FrameKind, HEADER_LEN, MAX_PACKET};
use ringwall_tunnel::record_pump::{RecordPump, plaintext_room};
use ringwall_tunnel::tun::{Queue, SyncDevice};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

use super::counters::Counters;
use super::event::{LossReason, TunnelEvent, TunnelEvents};
use super::route_table::{Route, RouteTable};
use super::site::{Link, Site};
use super::{SiteTunnel, inbound, outbound};

/// What one read from a socket may take. More is slower: what was received, decrypted and gathered then no longer stays
/// in the core's cache together (15 % of the processor's time between 256 and 64 KiB).
const RAW: usize = 64 * 1024;
/// Ready tasks that run before the kernel is asked for new readiness: each of them may move 256 KiB.
const TASKS_BETWEEN_POLLS: u32 = 4;

/// What the pump is told to do.
pub(super) enum Order {
    /// Carry a Site's packets through this tunnel, in place of a former one.
    Add(Box<SiteTunnel>),
    /// Forget a Site and its routes.
    Remove(SiteId),
    /// A Site's routes have changed; its tunnel stays.
    Reroute { site: SiteId, routes: Vec<IpNet>, primary: bool },
    /// Change the device's MTU.
    SetMtu { mtu: u16, done: oneshot::Sender<io::Result<()>> },
    /// End.
    Stop,
}

/// Buffers that all tunnels use in turn.
pub(super) struct Scratch {
    pub(super) raw: Box<[u8]>,
    pub(super) plain: Box<[u8]>,
}

/// What the pump is given at its start.
pub(super) struct Equipment {
    pub(super) events: Arc<dyn TunnelEvents>,
    pub(super) counters: Arc<Counters>,
    pub(super) site_queue: usize,
}

/// What all tasks of the pump share.
pub(super) struct Pump {
    pub(super) queue: Queue,
    pub(super) events: Arc<dyn TunnelEvents>,
    pub(super) counters: Arc<Counters>,
    /// Bytes that may wait for one Site.
    pub(super) site_queue: usize,
    pub(super) scratch: RefCell<Scratch>,
    pub(super) batch: RefCell<outbound::Batch>,
    sites: RefCell<Vec<Rc<Site>>>,
    routes: RefCell<RouteTable<Rc<Site>>>,
    serial: Cell<u64>,
}

/// Starts the pump on a thread of its own.
pub(super) fn start(
    device: SyncDevice,
    equipment: Equipment,
    orders: mpsc::UnboundedReceiver<Order>,
) -> io::Result<JoinHandle<()>> {
    let mut alarm = Alarm { events: Arc::clone(&equipment.events), armed: true };
    std::thread::Builder::new().name("tunnel".into()).spawn(move || match work(device, equipment, orders) {
        Ok(()) => alarm.disarm(),
        Err(error) => tracing::error!(%error, "tunnel pump failed"),
    })
}

fn work(device: SyncDevice, equipment: Equipment, orders: mpsc::UnboundedReceiver<Order>) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_POLLS)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let pump = Rc::new(Pump::new(Queue::register(device)?, equipment));
        pump.run(orders).await
    })
}

impl Pump {
    fn new(queue: Queue, equipment: Equipment) -> Self {
        let Equipment { events, counters, site_queue } = equipment;
        let scratch = Scratch {
            raw: vec![0; RAW].into_boxed_slice(),
            plain: vec![0; HEADER_LEN + MAX_PACKET + plaintext_room(RAW)].into_boxed_slice(),
        };
        Self {
            queue,
            events,
            counters,
            site_queue,
            scratch: RefCell::new(scratch),
            batch: RefCell::default(),
            sites: RefCell::default(),
            routes: RefCell::default(),
            serial: Cell::new(0),
        }
    }

    async fn run(self: Rc<Self>, mut orders: mpsc::UnboundedReceiver<Order>) -> io::Result<()> {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Stop) | None => {
                        self.sites.borrow().iter().for_each(|site| site.close_link());
                        return Ok(());
                    }
                    Some(order) => self.obey(order),
                },
                ready = self.queue.readable() => {
                    ready?;
                    if !outbound::drain(&self)? {
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    /// The Site whose routes hold this address.
    pub(super) fn site_to(&self, address: IpAddr) -> Option<Rc<Site>> {
        self.routes.borrow().find(address).cloned()
    }

    /// True if packets to `address` go to this Site.
    pub(super) fn belongs(&self, site: &Site, address: IpAddr) -> bool {
        self.routes.borrow().find(address).is_some_and(|found| found.id == site.id)
    }

    fn obey(self: &Rc<Self>, order: Order) {
        match order {
            Order::Add(tunnel) => self.add(*tunnel),
            Order::Remove(site) => {
                self.counters.forget_site(site);
                if let Some(site) = self.take(site) {
                    site.close_link();
                }
                self.reroute();
            }
            Order::Reroute { site, routes, primary } => self.change_routes(site, routes, primary),
            Order::SetMtu { mtu, done } => {
                // Whoever asked may have gone; the MTU is set all the same.
                let _nobody_waits = done.send(self.queue.set_mtu(mtu));
            }
            Order::Stop => {}
        }
    }

    fn add(self: &Rc<Self>, tunnel: SiteTunnel) {
        let SiteTunnel { site: id, stream, connection, attach_token, addresses, routes, primary } = tunnel;
        if let Some(former) = self.take(id) {
            former.close_link();
        }
        let moved = self.counters.of_site(id);
        let site = Rc::new(Site { id, addresses, routes, primary, moved, link: RefCell::new(None) });
        self.sites.borrow_mut().push(Rc::clone(&site));
        self.reroute();
        let opened = RecordPump::new(stream, connection).and_then(|mut pump| {
            let [header, token] = [&FrameHeader::plain(FrameKind::Attach, 32).encode()[..], &attach_token[..]];
            pump.seal(&[header, token].concat())?;
            Ok(pump)
        });
        match opened {
            Ok(pump) => self.drive(site, pump),
            Err(error) => {
                let reason = LossReason::Broken(error.kind());
                self.events.tunnel_event(TunnelEvent::SiteLost { site: id, reason });
            }
        }
    }

    /// Starts the task of a tunnel; its first turn sends the attach token.
    fn drive(self: &Rc<Self>, site: Rc<Site>, pump: RecordPump) {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        let link = Link::new(pump, serial, Instant::now());
        let armed = link.armed;
        *site.link.borrow_mut() = Some(link);
        tokio::task::spawn_local(inbound::run(Rc::clone(self), site, serial, armed));
    }

    fn change_routes(self: &Rc<Self>, id: SiteId, routes: Vec<IpNet>, primary: bool) {
        let Some(former) = self.take(id) else { return };
        let link = former.link.borrow_mut().take();
        let addresses = former.addresses.clone();
        let moved = self.counters.of_site(id);
        let site = Rc::new(Site { id, addresses, routes, primary, moved, link: RefCell::new(None) });
        self.sites.borrow_mut().push(Rc::clone(&site));
        self.reroute();
        if let Some(mut link) = link {
            // The task of the former shape ends; one for the new shape goes on with the same tunnel.
            link.wake();
            let serial = self.serial.get() + 1;
            self.serial.set(serial);
            link.serial = serial;
            let armed = link.armed;
            *site.link.borrow_mut() = Some(link);
            tokio::task::spawn_local(inbound::run(Rc::clone(self), site, serial, armed));
        }
    }

    fn take(&self, id: SiteId) -> Option<Rc<Site>> {
        let mut sites = self.sites.borrow_mut();
        let at = sites.iter().position(|site| site.id == id)?;
        Some(sites.swap_remove(at))
    }

    fn reroute(&self) {
        let sites = self.sites.borrow();
        let routes = sites.iter().flat_map(|site| {
            let route =
                |prefix: &IpNet| Route { prefix: *prefix, preference: site.preference(), target: Rc::clone(site) };
            site.routes.iter().map(route)
        });
        *self.routes.borrow_mut() = RouteTable::new(routes.collect());
    }
}

/// Tells that the pump ended, by an error or by a panic, unless it was disarmed.
struct Alarm {
    events: Arc<dyn TunnelEvents>,
    armed: bool,
}

impl Alarm {
    fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if self.armed {
            self.events.tunnel_event(TunnelEvent::Stopped);
        }
    }
}
