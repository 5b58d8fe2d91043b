//! The Client's side of its tunnels: the peers of its worker are the Sites.
//!
//! Promises: a packet goes to the Site of its longest prefix or nowhere, and from the tunnel's own addresses only. What
//! reaches the TUN is for the tunnel's own address and comes from an address that belongs to this Site, so that no Site can
//! speak for another one or for the local network. ICMP errors may come from anywhere if the packet that they quote went to
//! this Site.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use ipnet::IpNet;
use ringwall_protocol::id::SiteId;
use ringwall_tunnel::counters::Traffic;
use ringwall_tunnel::link::{Link, LinkSlot};
use ringwall_tunnel::loss::LossReason;
use ringwall_tunnel::packet::{self, Layout};
use ringwall_tunnel::side::{PeerSide, Unrouted};
use ringwall_tunnel::worker::Worker;
use tokio::sync::oneshot;

use super::SiteTunnel;
use super::drop_reason::DropReason;
use super::event::{TunnelEvent, TunnelEvents};
use super::route_table::{Route, RouteTable};
use super::site::Site;
use super::site_traffic::SiteTraffic;

/// What the worker is told to do.
pub(super) enum Order {
    /// Carry a Site's packets through this tunnel, in place of a former one.
    Add(Box<SiteTunnel>),
    /// Forget a Site and its routes.
    Remove(SiteId),
    /// A Site's routes have changed; its tunnel stays.
    Reroute { site: SiteId, routes: Vec<IpNet>, primary: bool },
    /// Change the device's MTU.
    SetMtu { mtu: u16, done: oneshot::Sender<io::Result<()>> },
    /// Close all tunnels and end the worker.
    Stop,
}

/// All Sites, and which of them a packet goes to.
pub(super) struct ClientSide {
    events: Arc<dyn TunnelEvents>,
    traffic: Arc<SiteTraffic>,
    sites: RefCell<Vec<Rc<Site>>>,
    routes: RefCell<RouteTable<Rc<Site>>>,
}

impl ClientSide {
    pub(super) fn new(events: Arc<dyn TunnelEvents>, traffic: Arc<SiteTraffic>) -> Self {
        Self { events, traffic, sites: RefCell::default(), routes: RefCell::default() }
    }

    /// True if packets to `address` go to this Site.
    fn belongs(&self, site: &Site, address: IpAddr) -> bool {
        self.routes.borrow().find(address).is_some_and(|found| found.id == site.id)
    }

    /// An ICMP error about a packet that we sent to this Site.
    fn is_error_about(&self, site: &Site, packet: &[u8], layout: &Layout) -> bool {
        packet::quoted_addresses(packet, layout)
            .is_some_and(|(from, to)| site.addresses.contains(&from) && self.belongs(site, to))
    }

    fn remove(&self, id: SiteId) {
        self.traffic.forget(id);
        if let Some(site) = self.take(id) {
            site.link.close();
        }
        self.reroute();
    }

    fn change_routes(&self, id: SiteId, routes: Vec<IpNet>, primary: bool) {
        {
            let sites = self.sites.borrow();
            let Some(site) = sites.iter().find(|site| site.id == id) else { return };
            site.routes.replace(routes);
            site.primary.set(primary);
        }
        self.reroute();
    }

    fn take(&self, id: SiteId) -> Option<Rc<Site>> {
        let mut sites = self.sites.borrow_mut();
        let at = sites.iter().position(|site| site.id == id)?;
        Some(sites.swap_remove(at))
    }

    /// Makes the route table anew.
    fn reroute(&self) {
        let mut routes = Vec::new();
        for site in self.sites.borrow().iter() {
            let route =
                |prefix: &IpNet| Route { prefix: *prefix, preference: site.preference(), target: Rc::clone(site) };
            routes.extend(site.routes.borrow().iter().map(route));
        }
        *self.routes.borrow_mut() = RouteTable::new(routes);
    }
}

impl PeerSide for ClientSide {
    type Peer = Site;
    type Order = Order;
    type Reason = DropReason;

    fn peer_to(&self, destination: IpAddr, _likely: Option<&Rc<Site>>) -> Option<Rc<Site>> {
        self.routes.borrow().find(destination).cloned()
    }

    fn unrouted(&self, _packet: &Unrouted<'_>) -> Result<(), DropReason> {
        Err(DropReason::NoRoute)
    }

    fn may_enter(&self, site: &Site, layout: &Layout) -> Result<(), DropReason> {
        if site.addresses.contains(&layout.source) { Ok(()) } else { Err(DropReason::ForeignSource) }
    }

    fn may_leave(&self, site: &Site, packet: &[u8], layout: &Layout) -> Result<(), DropReason> {
        if !site.addresses.contains(&layout.destination) {
            return Err(DropReason::ForeignDestination);
        }
        if !self.belongs(site, layout.source) && !self.is_error_about(site, packet, layout) {
            return Err(DropReason::OutsideSite);
        }
        Ok(())
    }

    fn traffic<'a>(&self, site: &'a Site) -> Option<&'a Traffic> {
        Some(&site.traffic)
    }

    fn attached(&self, site: &Site) {
        self.events.tunnel_event(TunnelEvent::SiteAttached { site: site.id });
    }

    fn lost(&self, site: &Site, reason: LossReason) {
        self.events.tunnel_event(TunnelEvent::SiteLost { site: site.id, reason });
    }

    fn obey(worker: &Rc<Worker<Self>>, order: Order) -> ControlFlow<()> {
        let side = worker.side();
        match order {
            Order::Add(tunnel) => add(worker, *tunnel),
            Order::Remove(site) => side.remove(site),
            Order::Reroute { site, routes, primary } => side.change_routes(site, routes, primary),
            Order::SetMtu { mtu, done } => {
                // Whoever asked may have gone; the MTU is set all the same.
                let _nobody_waits = done.send(worker.queue().set_mtu(mtu));
            }
            Order::Stop => {
                side.sites.borrow().iter().for_each(|site| site.link.close());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

fn add(worker: &Rc<Worker<ClientSide>>, tunnel: SiteTunnel) {
    let SiteTunnel { site: id, stream, connection, attach_token, addresses, routes, primary } = tunnel;
    let side = worker.side();
    if let Some(former) = side.take(id) {
        former.link.close();
    }
    let site = Rc::new(Site {
        id,
        addresses,
        routes: RefCell::new(routes),
        primary: Cell::new(primary),
        traffic: side.traffic.of(id),
        link: LinkSlot::default(),
    });
    side.sites.borrow_mut().push(Rc::clone(&site));
    side.reroute();
    match Link::attaching(stream, connection, &attach_token) {
        Ok(link) => {
            worker.carry(site, link);
        }
        Err(error) => side.lost(&site, LossReason::Broken(error.kind())),
    }
}
