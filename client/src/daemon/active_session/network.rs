//! The TUN device, its addresses and routes, and the resolvers of its domains.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::id::SiteId;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_startup::Refusal;
use ringwall_trust::tls::Tls;
use ringwall_tunnel::counters::{Counters, Traffic};

use super::super::shared::Shared;
use super::super::watchers::TroubleLog;
use super::sites::Site;
use crate::controller::chain;
use crate::dns::{Plan, SplitDns};
use crate::failure::{Exit, Failure};
use crate::profile::Profile;
use crate::routes::TunnelRoutes;
use crate::routes::plan::SiteRoutes;
use crate::site_link::{ConnectSequence, LinkContext};
use crate::tunnel::{ClientTunnel, DropReason, TunnelConfig, TunnelEvent};

const DNS_ADVICE: &str = "reach hosts by their addresses, or look at the cause";

/// The device and what goes with it in the kernel.
///
/// Without [`Network::remove`] the rule and the blackholes stay until the next start, so that nothing leaks in between.
pub(in super::super) struct Network {
    pub(super) context: Arc<LinkContext>,
    /// MTU of the device, in bytes.
    pub(in super::super) mtu: u16,
    /// Addresses of this device inside the tunnels.
    pub(in super::super) addresses: Vec<IpAddr>,
    /// Whether the resolvers of the Sites' domains are in force.
    pub(in super::super) dns_applied: bool,
    routes: TunnelRoutes,
    dns: SplitDns,
}

impl Network {
    /// Makes the device with its addresses and its routing rule.
    pub(super) async fn start(shared: &Shared, addresses: Vec<IpAddr>) -> Result<Self, Failure> {
        let config = TunnelConfig { device: shared.options.device.clone(), ..TunnelConfig::default() };
        let events = shared.senders.tunnel.clone();
        // Fails only if the engine has ended.
        let send = move |event: TunnelEvent| {
            let _ended = events.send(event);
        };
        let tunnel = ClientTunnel::start(&config, Arc::new(send)).map_err(|error| {
            let refusal = Refusal::of_tun(error);
            let cause = anyhow::anyhow!("cannot make the TUN device {}: {refusal}", config.device);
            Failure::new(Exit::Privilege, cause, "do as the message says, or choose another name: --device")
        })?;
        let index = tunnel.device_index();
        let routes = TunnelRoutes::install(index, addresses.clone()).await.map_err(|error| refused(&error))?;
        let context = LinkContext {
            tls: Tls::new(),
            device: shared.account.holder.device,
            spa_mode: shared.account.profile.spa.as_ref().map_or(SpaMode::UdpTcp, |spa| spa.mode),
            tunnel: Arc::new(tunnel),
            sequence: ConnectSequence::new(shared.account.store.clone()),
            key: Arc::clone(&shared.account.key),
        };
        let (mtu, dns) = (config.mtu, SplitDns::new(config.device, shared.options.resolv_conf.clone()));
        Ok(Self { context: Arc::new(context), mtu, addresses, dns_applied: true, routes, dns })
    }

    /// Gives the device other addresses.
    pub(super) async fn set_addresses(&mut self, addresses: Vec<IpAddr>) -> Result<(), Failure> {
        self.routes.set_addresses(addresses.clone()).await.map_err(|error| refused(&error))?;
        self.addresses = addresses;
        Ok(())
    }

    /// Brings routes, MTU and resolvers to what the Sites need now. With `sign_in_required`, Sites that carry no
    /// packets lose their routes.
    pub(super) async fn apply(
        &mut self,
        profile: &Profile,
        sites: &BTreeMap<SiteId, Site>,
        sign_in_required: bool,
        troubles: &mut TroubleLog,
    ) {
        let routes: Vec<SiteRoutes> = sites.values().map(|site| site.kernel_routes(sign_in_required)).collect();
        match self.routes.apply(&routes).await {
            Ok(()) => troubles.resolve("routes"),
            Err(error) => troubles.note("routes", chain(&error), "look at: ip route show table 5257; ip rule"),
        }
        let mtu = sites.values().filter_map(Site::mtu).min().unwrap_or(self.mtu);
        match self.set_mtu(mtu).await {
            Ok(()) => troubles.resolve("device"),
            Err(error) => troubles.note("device", format!("cannot set MTU {mtu}: {error}"), "restart the Client"),
        }
        let plan = Plan::of(profile.host.name(), sites.iter().map(|(id, site)| (*id, site.token())));
        let queriers = sites.iter().map(|(id, site)| (*id, site.querier())).collect();
        let applied = self.dns.apply(plan, queriers).await;
        self.dns_applied = applied.is_ok();
        match applied {
            Ok(()) => troubles.resolve("dns"),
            Err(error) => troubles.note("dns", error.to_string(), DNS_ADVICE),
        }
    }

    async fn set_mtu(&mut self, mtu: u16) -> std::io::Result<()> {
        if mtu != self.mtu {
            self.context.tunnel.set_mtu(mtu).await?;
            self.mtu = mtu;
        }
        Ok(())
    }

    /// True if other interfaces are kept from using the tunnel's addresses.
    pub(in super::super) const fn guarded(&self) -> bool {
        self.routes.guarded()
    }

    /// Packets moved and dropped.
    pub(in super::super) fn counters(&self) -> &Counters<DropReason> {
        self.context.tunnel.counters()
    }

    /// What one Site's tunnels moved.
    pub(in super::super) fn site_traffic(&self, site: SiteId) -> Arc<Traffic> {
        self.context.tunnel.site_traffic(site)
    }

    /// Removes everything from the kernel.
    pub(super) async fn remove(mut self) {
        self.dns.revert().await;
        if let Err(error) = self.routes.remove().await {
            tracing::warn!(cause = %chain(&error), "cannot remove routes");
        }
        // Joins the tunnel worker's thread, which ends at once.
        drop(self.context);
    }
}

fn refused(error: &crate::routes::RouteError) -> Failure {
    Failure::message(Exit::Privilege, chain(error), "check the kernel's log, and that policy routing is built in")
}
