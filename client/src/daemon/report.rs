//! The engine's knowledge as a [`Status`], and its troubles.

use ringwall_protocol::id::SiteId;
use ringwall_protocol::time::UnixMillis;

use super::engine::Engine;
use super::network::Network;
use crate::clock;
use crate::failure::Failure;
use crate::local::Event;
use crate::status::{DeviceStatus, Expiries, SiteTraffic, Status, Traffic};
use crate::tunnel::{Counters, DropReason};

impl Engine {
    pub(super) fn status(&self) -> Status {
        let session = self.session.as_ref();
        let network = self.network.as_ref();
        let applied = network.is_some_and(|network| network.dns_applied);
        let mut sites: Vec<_> = self.sites.iter().map(|(id, site)| site.status(*id, applied)).collect();
        for site in &mut sites {
            site.traffic = network.map(|network| site_traffic(network, site.id)).unwrap_or_default();
        }
        sites.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            profile: self.options.stored.profile.name.clone(),
            host: self.options.stored.profile.host.to_string(),
            state: self.state(),
            dn: session.map(|session| session.claims.head.sub.to_string()),
            expiries: session.map(|session| Expiries {
                claims: session.claims.life().until,
                certificate: session.certificate.until,
                sign_in: UnixMillis::from_seconds(session.claims.sign_in_until),
            }),
            device: network.map(|network| DeviceStatus {
                name: self.options.device.clone(),
                addresses: network.addresses.clone(),
                mtu: network.mtu,
                guarded: network.guarded(),
            }),
            no_entitlements: session.and_then(|session| session.stored.no_entitlements.clone()),
            sites,
            prompts: self.prompts.list(),
            troubles: self.troubles.list(),
            traffic: network.map(|network| traffic(network.surroundings.tunnel.counters())),
        }
    }

    /// Tells watchers, if there are any and anything but traffic has changed.
    pub(super) fn tell_status(&mut self) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let mut steady = self.status();
        let traffic = steady.traffic.take();
        let of_sites: Vec<_> = steady.sites.iter_mut().map(|site| std::mem::take(&mut site.traffic)).collect();
        if self.last_told.as_ref() == Some(&steady) {
            return;
        }
        self.last_told = Some(steady.clone());
        steady.traffic = traffic;
        steady.sites.iter_mut().zip(of_sites).for_each(|(site, traffic)| site.traffic = traffic);
        self.tell(Event::Status { status: Box::new(steady) });
    }

    /// Tells watchers.
    pub(super) fn tell(&self, event: Event) {
        // Nobody watches.
        drop(self.events.send(event));
    }

    /// Remembers a trouble, and logs it once.
    pub(super) fn note(&mut self, subject: &str, cause: String, next_step: &str) {
        if self.troubles.note(clock::now(), subject, cause.clone(), next_step) {
            tracing::warn!(subject, cause, next_step, "trouble");
        }
    }

    pub(super) fn note_failure(&mut self, subject: &str, failure: &Failure) {
        self.note(subject, format!("{:#}", failure.cause), &failure.next_step);
    }
}

fn site_traffic(network: &Network, site: SiteId) -> SiteTraffic {
    let moved = network.surroundings.tunnel.counters().of_site(site);
    let ((packets_up, bytes_up), (packets_down, bytes_down)) = (moved.sent(), moved.received());
    SiteTraffic { packets_up, bytes_up, packets_down, bytes_down }
}

fn traffic(counters: &Counters) -> Traffic {
    let ((packets_up, bytes_up), (packets_down, bytes_down)) = (counters.sent(), counters.received());
    let dropped = DropReason::ALL.iter().map(|reason| (reason.label().to_owned(), counters.dropped(*reason)));
    let dropped = dropped.filter(|(_, count)| *count != 0).collect();
    Traffic { packets_up, bytes_up, packets_down, bytes_down, dropped }
}
