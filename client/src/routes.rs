//! What the kernel sends into the tunnel.
//!
//! Promises: protected networks are routed by a table of their own, asked before the main one, so that no route that
//! somebody else makes (DHCP, a LAN with the same prefix) draws their packets away; beside each of these
//! routes lies a blackhole with a worse metric, so that nothing leaks when the device is gone; only sockets with the
//! Client's own mark pass beside it; what comes for a tunnel address by another interface is dropped. What another program
//! removes is put back as soon as the kernel tells of it ([`Monitor`]), and until then the [`Guard`] keeps packets of the
//! Sites' networks from other interfaces. Everything is removed at the end, and what a killed Client left behind at the
//! next start. Which routes there are is decided in `plan`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;

mod guard;
mod kernel;
mod monitor;
pub(crate) mod plan;
mod restore;
mod tunnel_only;

use guard::{Guard, Guarded};
pub(crate) use kernel::RouteError;
use kernel::{FAMILIES, Kernel};
pub(crate) use monitor::Monitor;
use plan::{PlannedRoute, SiteRoutes, plan};
use tunnel_only::TunnelOnly;

/// The routing table. Above 255, where nothing is reserved.
pub(crate) const TABLE: u32 = 5_257;
/// Priority of the rule that leads there; main has 32,766.
pub(crate) const RULE_PRIORITY: u32 = 5_257;

/// Addresses, rule and routes of a running tunnel.
pub(crate) struct TunnelRoutes {
    kernel: Kernel,
    /// The session's.
    addresses: Vec<IpAddr>,
    /// Those of them that the device has: not those of IPv6 where this machine does without it.
    usable: Vec<IpAddr>,
    /// Families that the kernel has rules of.
    families: Vec<AddressFamily>,
    sites: Vec<SiteRoutes>,
    applied: BTreeSet<PlannedRoute>,
    guard: Option<Guard>,
}

impl TunnelRoutes {
    /// Gives the device its addresses, and leads packets to the (empty) table.
    ///
    /// # Errors
    /// [`RouteError`].
    pub(crate) async fn install(device_index: u32, addresses: Vec<IpAddr>) -> Result<Self, RouteError> {
        let kernel = Kernel::open(device_index)?;
        let mut guard = install_guard(device_index);
        if let Some(guard) = &mut guard {
            // What a killed Client's blackholes keep shut stays so until it is known what this session needs.
            let networks = TunnelOnly::of(&kernel.present(&[]).await?.routes);
            guard.follow(Guarded { addresses: addresses.clone(), networks }).map_err(RouteError::Guard)?;
        }
        kernel.remove_leftovers().await?;
        let usable = add_addresses(&kernel, &addresses).await?;
        let mut families = Vec::new();
        for family in FAMILIES {
            if kernel.add_rule(family).await? {
                families.push(family);
            }
        }
        let (sites, applied) = (Vec::new(), BTreeSet::new());
        Ok(Self { kernel, addresses, usable, families, sites, applied, guard })
    }

    /// Makes the kernel's routes those of these Sites. New routes come before old ones go; the guard refuses the packets of
    /// new ones before, and of old ones until they are gone.
    ///
    /// # Errors
    /// [`RouteError`]; what was applied until then is known, and the next call goes on from there.
    pub(crate) async fn apply(&mut self, sites: &[SiteRoutes]) -> Result<(), RouteError> {
        self.sites = sites.to_vec();
        let wanted = plan(sites, &self.usable);
        let networks = TunnelOnly::of(&wanted);
        self.guard_networks(networks.clone().union(&TunnelOnly::of(&self.applied)))?;
        for route in wanted.difference(&self.applied.clone()) {
            self.kernel.add_route(route, &self.usable).await?;
            self.applied.insert(*route);
        }
        for route in self.applied.clone().difference(&wanted) {
            self.kernel.remove_route(route).await?;
            self.applied.remove(route);
        }
        self.guard_networks(networks)
    }

    /// The tunnel addresses changed (a new sign-in): the device gets the new ones.
    ///
    /// # Errors
    /// [`RouteError`].
    pub(crate) async fn set_addresses(&mut self, addresses: Vec<IpAddr>) -> Result<(), RouteError> {
        if addresses == self.addresses {
            return Ok(());
        }
        let usable = add_addresses(&self.kernel, &addresses).await?;
        for gone in self.usable.iter().filter(|address| !addresses.contains(address)) {
            self.kernel.remove_address(*gone).await?;
        }
        self.usable = usable;
        self.addresses = addresses;
        if let Some(guard) = &mut self.guard {
            let guarded = Guarded { addresses: self.addresses.clone(), ..guard.guarded().clone() };
            guard.follow(guarded).map_err(RouteError::Guard)?;
        }
        // Routes name their source address.
        self.applied.retain(|route| route.target != plan::Target::Tunnel);
        Ok(())
    }

    fn guard_networks(&mut self, networks: TunnelOnly) -> Result<(), RouteError> {
        let Some(guard) = &mut self.guard else { return Ok(()) };
        guard.follow(Guarded { networks, ..guard.guarded().clone() }).map_err(RouteError::Guard)
    }

    /// Whether other interfaces are kept from the tunnel addresses, and packets for the Sites from other interfaces.
    #[must_use]
    pub(crate) const fn guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Whether the session has an address that this machine cannot use: it does without IPv6.
    #[must_use]
    pub(crate) fn without_ipv6(&self) -> bool {
        self.addresses.iter().any(|address| !self.usable.contains(address))
    }

    /// Takes rule, routes and blackholes out.
    ///
    /// # Errors
    /// [`RouteError`].
    pub(crate) async fn remove(self) -> Result<(), RouteError> {
        self.kernel.remove_leftovers().await
    }
}

/// Gives the device these addresses. Returns those that it has now.
async fn add_addresses(kernel: &Kernel, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, RouteError> {
    let mut usable = Vec::with_capacity(addresses.len());
    for address in addresses {
        if kernel.add_address(*address).await? {
            usable.push(*address);
        }
    }
    Ok(usable)
}

/// A kernel without nf_tables gives a tunnel all the same.
fn install_guard(device_index: u32) -> Option<Guard> {
    Guard::install(device_index)
        .inspect_err(|error| {
            tracing::warn!(cause = %error, "cannot install the guard: tunnel addresses are reachable through other \
                interfaces, and packets leak when another program removes rules and routes");
        })
        .ok()
}

/// The prefix of one address.
pub(crate) fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}
