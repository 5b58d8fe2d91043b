//! The TUN device, its addresses and routes, and the resolvers of its domains.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ringwall_protocol::id::SiteId;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_startup::Refusal;
use ringwall_trust::tls::Tls;
use ringwall_tunnel::counters::{Counters, Traffic};

use super::super::shared::Shared;
use super::super::watchers::TroubleLog;
use super::sites::Site;
use crate::controller::chain;
use crate::core::repair::{Compared, RepairSchedule};
use crate::dns::{DnsError, Plan, SplitDns};
use crate::failure::{Exit, Failure};
use crate::profile::Profile;
use crate::routes::plan::SiteRoutes;
use crate::routes::{Monitor, RouteError, TunnelRoutes};
use crate::site_link::{ConnectSequence, LinkContext};
use crate::tunnel::{ClientTunnel, DropReason, TunnelConfig, TunnelEvent};

const LOOK: &str = "look at: ip route show table 5257; ip rule";

/// What the status calls rules, routes, link and addresses that others removed.
const REPAIR: &str = "tunnel routes";
/// Nobody but the user can end a fight.
const CONTESTED: &str = "another program keeps removing the rules or routes that lead into the tunnel; they are put back \
                         at growing distances, and no packet for a Site leaves in clear meanwhile";
const FIND_OUT: &str = "find out who does it (ip monitor rule route link), and exempt the tunnel there: of systemd-networkd \
                        ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no, of NetworkManager an \
                        unmanaged-devices entry";
/// What is told of a machine without IPv6.
const IPV6: &str = "ipv6";
const WITHOUT_IPV6: &str = "IPv6 is switched off on this machine: networks of Sites are reached by IPv4 only, those of IPv6 \
                            stay shut";
const SWITCH_ON: &str =
    "if they are needed: sysctl -w net.ipv6.conf.all.disable_ipv6=0; the Client notices within 30 s";

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
    repairs: RepairSchedule,
    /// What the status says of names.
    dns_trouble: Option<String>,
    /// The status says that IPv6 is missing.
    told_of_ipv6: bool,
    _monitor: Monitor,
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
        // It hears of what happens from now on.
        let monitor = Monitor::start(index, shared.senders.kernel.clone());
        let monitor = monitor.map_err(|error| refused(&RouteError::Socket(error)))?;
        let routes = TunnelRoutes::install(index, addresses.clone()).await.map_err(|error| refused(&error))?;
        let context = LinkContext {
            tls: Tls::new(),
            device: shared.account.holder.device,
            spa_mode: shared.account.profile.spa.as_ref().map_or(SpaMode::UdpTcp, |spa| spa.mode),
            tunnel: Arc::new(tunnel),
            sequence: ConnectSequence::new(shared.account.store.clone()),
            key: Arc::clone(&shared.account.key),
        };
        let resolv_conf = shared.options.resolv_conf.clone();
        let (mtu, dns) = (config.mtu, SplitDns::new(config.device, resolv_conf, Instant::now()));
        Ok(Self {
            context: Arc::new(context),
            mtu,
            addresses,
            dns_applied: true,
            routes,
            dns,
            repairs: RepairSchedule::new(Instant::now()),
            dns_trouble: None,
            told_of_ipv6: false,
            _monitor: monitor,
        })
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
            Err(error) => troubles.note("routes", chain(&error), LOOK),
        }
        self.tell_of_ipv6(troubles);
        let mtu = sites.values().filter_map(Site::mtu).min().unwrap_or(self.mtu);
        match self.set_mtu(mtu).await {
            Ok(()) => troubles.resolve("device"),
            Err(error) => troubles.note("device", format!("cannot set MTU {mtu}: {error}"), "restart the Client"),
        }
        let plan = Plan::of(profile.host.name(), sites.iter().map(|(id, site)| (*id, site.token())));
        let queriers = sites.iter().map(|(id, site)| (*id, site.querier())).collect();
        let applied = self.dns.apply(plan, queriers).await;
        self.tell_of_dns(applied, troubles);
    }

    /// Once, not at every look.
    fn tell_of_dns(&mut self, result: Result<(), DnsError>, troubles: &mut TroubleLog) {
        self.dns_applied = result.as_ref().err().is_none_or(DnsError::is_divided);
        let cause = result.as_ref().err().map(ToString::to_string);
        if cause == self.dns_trouble {
            return;
        }
        troubles.resolve("dns");
        if let Err(error) = result {
            troubles.note("dns", error.to_string(), error.next_step());
        }
        self.dns_trouble = cause;
    }

    /// When the kernel is to be compared with what the tunnel needs, or the system's resolver file to be looked at.
    pub(super) fn next_comparison(&self) -> Instant {
        let due = self.repairs.due();
        self.dns.next_look().map_or(due, |look| look.min(due))
    }

    /// The kernel told of a change.
    pub(super) fn kernel_changed(&mut self, now: Instant) {
        self.repairs.changed(now);
    }

    /// Puts back what another program removed from the kernel, and takes the system's resolver file over again, as far as
    /// either is due.
    pub(super) async fn compare(&mut self, now: Instant, troubles: &mut TroubleLog) {
        if self.repairs.due() <= now {
            self.compare_kernel(troubles).await;
        }
        if self.dns.next_look().is_some_and(|look| look <= now) {
            let looked = self.dns.look(now).await;
            self.tell_of_dns(looked, troubles);
        }
    }

    async fn compare_kernel(&mut self, troubles: &mut TroubleLog) {
        let result = self.routes.restore().await;
        let compared = match &result {
            Ok(restored) if restored.is_empty() => Compared::Intact,
            Ok(restored) => {
                tracing::warn!(%restored, "put back what another program had removed");
                Compared::Repaired
            }
            Err(_) => Compared::Failed,
        };
        self.repairs.compared(Instant::now(), compared);
        match result {
            Err(error) => troubles.note(REPAIR, format!("cannot put back what was removed: {}", chain(&error)), LOOK),
            Ok(_) if !self.repairs.contested() => troubles.resolve(REPAIR),
            Ok(_) if compared == Compared::Repaired => troubles.note(REPAIR, CONTESTED.to_owned(), FIND_OUT),
            Ok(_) => {}
        }
        self.tell_of_ipv6(troubles);
    }

    /// Once, not at every comparison.
    fn tell_of_ipv6(&mut self, troubles: &mut TroubleLog) {
        let without = self.routes.without_ipv6();
        if without != self.told_of_ipv6 {
            self.told_of_ipv6 = without;
            match without {
                true => troubles.note(IPV6, WITHOUT_IPV6.to_owned(), SWITCH_ON),
                false => troubles.resolve(IPV6),
            }
        }
    }

    async fn set_mtu(&mut self, mtu: u16) -> std::io::Result<()> {
        if mtu != self.mtu {
            self.context.tunnel.set_mtu(mtu).await?;
            self.mtu = mtu;
        }
        Ok(())
    }

    /// True if other interfaces are kept from using the tunnel's addresses, and from carrying packets for the Sites.
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

fn refused(error: &RouteError) -> Failure {
    Failure::message(Exit::Privilege, chain(error), "check the kernel's log, and that policy routing is built in")
}
