//! What the kernel sends into the tunnel.
//!
//! Promises: protected networks are routed by a table of their own, asked before the main one, so that no route that
//! somebody else makes (DHCP, a LAN with the same prefix) draws their packets away; beside each of these
//! routes lies a blackhole with a worse metric, so that nothing leaks when the device is gone; only sockets with the
//! Client's own mark pass beside it; what comes for a tunnel address by another interface is dropped. Everything is removed at the end, and what a killed Client left behind at the next
//! start. Which routes there are is decided in `plan`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

mod guard;
mod kernel;
pub(crate) mod plan;

use guard::Guard;
use kernel::Kernel;
pub(crate) use kernel::RouteError;
use plan::{PlannedRoute, SiteRoutes, plan};

/// The routing table. Above 255, where nothing is reserved.
pub(crate) const TABLE: u32 = 5_257;
/// Priority of the rule that leads there; main has 32,766.
pub(crate) const RULE_PRIORITY: u32 = 5_257;

/// Addresses, rule and routes of a running tunnel.
pub(crate) struct TunnelRoutes {
    kernel: Kernel,
    addresses: Vec<IpAddr>,
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
        kernel.remove_leftovers().await?;
        for address in &addresses {
            kernel.add_address(*address).await?;
        }
        kernel.add_rules().await?;
        let guard = install_guard(device_index, &addresses);
        Ok(Self { kernel, addresses, applied: BTreeSet::new(), guard })
    }

    /// Makes the kernel's routes those of these Sites. New routes come before old ones go.
    ///
    /// # Errors
    /// [`RouteError`]; what was applied until then is known, and the next call goes on from there.
    pub(crate) async fn apply(&mut self, sites: &[SiteRoutes]) -> Result<(), RouteError> {
        let wanted = plan(sites, &self.addresses);
        for route in wanted.difference(&self.applied.clone()) {
            self.kernel.add_route(route, &self.addresses).await?;
            self.applied.insert(*route);
        }
        for route in self.applied.clone().difference(&wanted) {
            self.kernel.remove_route(route).await?;
            self.applied.remove(route);
        }
        Ok(())
    }

    /// The tunnel addresses changed (a new sign-in): the device gets the new ones.
    ///
    /// # Errors
    /// [`RouteError`].
    pub(crate) async fn set_addresses(&mut self, addresses: Vec<IpAddr>) -> Result<(), RouteError> {
        if addresses == self.addresses {
            return Ok(());
        }
        for address in &addresses {
            self.kernel.add_address(*address).await?;
        }
        for gone in self.addresses.iter().filter(|address| !addresses.contains(address)) {
            self.kernel.remove_address(*gone).await?;
        }
        // The old one's table has to go first: both have the same name.
        self.guard = None;
        self.guard = install_guard(self.kernel.device_index(), &addresses);
        self.addresses = addresses;
        // Routes name their source address.
        self.applied.retain(|route| route.target != plan::Target::Tunnel);
        Ok(())
    }

    /// Whether other interfaces are kept from the tunnel addresses.
    #[must_use]
    pub(crate) const fn guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Takes rule, routes and blackholes out.
    ///
    /// # Errors
    /// [`RouteError`].
    pub(crate) async fn remove(self) -> Result<(), RouteError> {
        self.kernel.remove_leftovers().await
    }
}

/// A kernel without nf_tables gives a tunnel all the same.
fn install_guard(device_index: u32, addresses: &[IpAddr]) -> Option<Guard> {
    Guard::install(device_index, addresses)
        .inspect_err(|error| tracing::warn!(cause = %error, "cannot install the guard: tunnel addresses are reachable through other interfaces"))
        .ok()
}

/// The prefix of one address.
pub(crate) fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}
