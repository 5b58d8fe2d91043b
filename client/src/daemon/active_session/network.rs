//! The TUN device, its addresses and routes, and the resolvers of its domains.

use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::object::settings::SpaMode;
use ringwall_trust::tls::Tls;

use super::engine::Engine;
use crate::controller::chain;
use crate::dns::{Plan, SplitDns};
use crate::failure::{Exit, Failure};
use crate::routes::TunnelRoutes;
use crate::routes::plan::SiteRoutes;
use crate::site_link::{ConnectSequence, Surroundings};
use crate::tunnel::{ClientTunnel, TunnelConfig, TunnelEvent};

/// What the kernel has of us.
pub(super) struct Network {
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) mtu: u16,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) dns_applied: bool,
    routes: TunnelRoutes,
    dns: SplitDns,
}

impl Network {
    pub(super) const fn guarded(&self) -> bool {
        self.routes.guarded()
    }
}

impl Engine {
    /// Makes the device, or gives it other addresses.
    pub(super) async fn prepare_network(&mut self, addresses: Vec<IpAddr>) -> Result<(), Failure> {
        if let Some(network) = &mut self.network {
            network.routes.readdress(addresses.clone()).await.map_err(|error| refused(&error))?;
            network.addresses = addresses;
            return Ok(());
        }
        let config = TunnelConfig { device: self.options.device.clone(), ..TunnelConfig::default() };
        let events = self.tunnel_events.clone();
        // An engine that is gone needs no events.
        let tell = move |event: TunnelEvent| {
            let _gone = events.send(event);
        };
        let tunnel = ClientTunnel::start(&config, Arc::new(tell)).map_err(|error| {
            let cause = anyhow::Error::new(error).context(format!("cannot make the device {}", config.device));
            Failure::new(Exit::Privilege, cause, "load the kernel module tun, or choose another name: --device")
        })?;
        let index = tunnel.device_index();
        let routes = TunnelRoutes::install(index, addresses.clone()).await.map_err(|error| refused(&error))?;
        let surroundings = Surroundings {
            tls: Tls::new(),
            device: self.holder.device,
            spa_mode: self.options.stored.profile.spa.as_ref().map_or(SpaMode::UdpTcp, |spa| spa.mode),
            tunnel: Arc::new(tunnel),
            sequence: ConnectSequence::new(self.store.clone()),
        };
        let (mtu, dns) = (config.mtu, SplitDns::new(config.device, self.options.resolv_conf.clone()));
        let surroundings = Arc::new(surroundings);
        self.network = Some(Network { surroundings, mtu, addresses, dns_applied: true, routes, dns });
        Ok(())
    }

    /// Brings routes, MTU and resolvers to what the Sites want now.
    pub(super) async fn settle_network(&mut self) {
        let must_sign_in = self.sign_in_wanted.is_some();
        let routes: Vec<SiteRoutes> = self.sites.values().map(|site| site.kernel_routes(must_sign_in)).collect();
        let mtu = self.sites.values().filter_map(super::sites::Site::mtu).min();
        let plan =
            Plan::of(self.options.stored.profile.host.name(), self.sites.iter().map(|(id, site)| (*id, site.token())));
        let askers = self.sites.iter().map(|(id, site)| (*id, site.asker())).collect();
        let Some(network) = &mut self.network else { return };
        let mut troubles = Vec::new();
        if let Err(error) = network.routes.apply(&routes).await {
            troubles.push(("routes", chain(&error), "look at: ip route show table 5257; ip rule"));
        }
        if let Some(mtu) = mtu.filter(|mtu| *mtu != network.mtu) {
            match network.surroundings.tunnel.set_mtu(mtu).await {
                Ok(()) => network.mtu = mtu,
                Err(error) => troubles.push(("device", format!("cannot set MTU {mtu}: {error}"), "restart the Client")),
            }
        }
        let applied = network.dns.apply(plan, askers).await;
        network.dns_applied = applied.is_ok();
        if let Err(error) = applied {
            troubles.push(("dns", error.to_string(), "reach hosts by their addresses, or look at the cause"));
        }
        for subject in ["routes", "device", "dns"] {
            if !troubles.iter().any(|(at, ..)| *at == subject) {
                self.troubles.mended(subject);
            }
        }
        for (subject, cause, next_step) in troubles {
            self.note(subject, cause, next_step);
        }
    }

    /// Takes everything out of the kernel.
    pub(super) async fn dismantle_network(&mut self) {
        let Some(mut network) = self.network.take() else { return };
        network.dns.revert().await;
        if let Err(error) = network.routes.remove().await {
            tracing::warn!(cause = %chain(&error), "routes are left behind");
        }
        // Joins the pump's thread, which ends at once.
        drop(network.surroundings);
    }
}

fn refused(error: &crate::routes::RouteError) -> Failure {
    Failure::told(Exit::Privilege, chain(error), "check the kernel's log, and that policy routing is built in")
}
