//! Puts back what another program removed: network managers that know no foreign rules, a resume from sleep, a link that was
//! taken down.

use std::fmt;

use netlink_packet_route::AddressFamily;

use super::kernel::Present;
use super::{RouteError, TunnelRoutes};

/// What was missing and is there again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Restored {
    link: bool,
    addresses: usize,
    rules: usize,
    routes: usize,
}

impl Restored {
    /// Nothing was missing.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, addresses, rules, routes } = self;
        if *link {
            f.write_str("the link (it was down), ")?;
        }
        write!(f, "addresses: {addresses}, rules: {rules}, routes: {routes}")
    }
}

impl TunnelRoutes {
    /// Compares what stands in the kernel with what was put there, and puts back what is missing. The guard needs no repair:
    /// nobody else can change it.
    ///
    /// # Errors
    /// [`RouteError`]; something may be missing still.
    pub(crate) async fn restore(&mut self) -> Result<Restored, RouteError> {
        let mut restored = Restored::default();
        let mut present = self.kernel.present(&self.usable).await?;
        if !present.up {
            self.kernel.set_up().await?;
            restored.link = true;
        }
        if self.restore_addresses(&present, &mut restored).await? {
            // IPv6 was switched off or on: other routes are wanted.
            self.apply(&self.sites.clone()).await?;
            present = self.kernel.present(&self.usable).await?;
        }
        for family in self.families.iter().filter(|family| !present.rules.contains(family)) {
            self.kernel.add_rule(*family).await?;
            restored.rules += 1;
        }
        for route in self.applied.difference(&present.routes) {
            if route.prefix.addr().is_ipv6() && !self.families.contains(&AddressFamily::Inet6) {
                continue;
            }
            self.kernel.add_route(route, &self.usable).await?;
            restored.routes += 1;
        }
        Ok(restored)
    }

    /// Returns whether other addresses are usable than before.
    async fn restore_addresses(&mut self, present: &Present, restored: &mut Restored) -> Result<bool, RouteError> {
        let mut usable = Vec::with_capacity(self.addresses.len());
        for address in &self.addresses {
            // One that is there is not touched: the kernel would tell of it as a change.
            if present.addresses.contains(address) || self.kernel.add_address(*address).await? {
                usable.push(*address);
            }
        }
        restored.addresses = self.usable.iter().filter(|address| !present.addresses.contains(*address)).count();
        let changed = usable != self.usable;
        self.usable = usable;
        Ok(changed)
    }
}
