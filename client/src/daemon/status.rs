//! The daemon's state as a [`Status`].

use ringwall_protocol::id::SiteId;
use ringwall_protocol::time::UnixMillis;
use ringwall_tunnel::counters::Counters;

use super::active_session::{ActiveSession, Network, Site};
use super::phase::Phase;
use super::shared::Shared;
use crate::status::{DeviceStatus, Expiries, SiteStatus, SiteTraffic, Status, Traffic};
use crate::tunnel::DropReason;

/// The daemon's status as it is now.
pub(super) fn status(shared: &Shared, phase: &Phase) -> Status {
    let active = phase.active();
    let session = active.map(ActiveSession::session);
    let network = active.map(ActiveSession::network);
    let profile = &shared.account.profile;
    Status {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        profile: profile.name.clone(),
        host: profile.host.to_string(),
        state: phase.client_state(),
        dn: session.map(|session| session.claims.head.sub.to_string()),
        expiries: session.map(|session| Expiries {
            claims: session.claims.validity().until,
            certificate: session.certificate.until,
            sign_in: UnixMillis::from_seconds(session.claims.sign_in_until),
        }),
        device: network.map(|network| DeviceStatus {
            name: shared.options.device.clone(),
            addresses: network.addresses.clone(),
            mtu: network.mtu,
            guarded: network.guarded(),
        }),
        no_entitlements: session.and_then(|session| session.stored.no_entitlements.clone()),
        sites: active.map(site_statuses).unwrap_or_default(),
        prompts: shared.prompts.list(),
        troubles: shared.troubles.list(),
        traffic: network.map(|network| traffic(network.counters())),
    }
}

/// The status of every Site, by name.
fn site_statuses(active: &ActiveSession) -> Vec<SiteStatus> {
    let network = active.network();
    let status = |(id, site): (&SiteId, &Site)| SiteStatus {
        traffic: site_traffic(network, *id),
        ..site.status(*id, network.dns_applied)
    };
    let mut sites: Vec<_> = active.sites().iter().map(status).collect();
    sites.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
    sites
}

fn site_traffic(network: &Network, site: SiteId) -> SiteTraffic {
    let moved = network.site_traffic(site);
    let ((packets_up, bytes_up), (packets_down, bytes_down)) = (moved.from_tun(), moved.to_tun());
    SiteTraffic { packets_up, bytes_up, packets_down, bytes_down }
}

fn traffic(counters: &Counters<DropReason>) -> Traffic {
    let moved = counters.traffic();
    let ((packets_up, bytes_up), (packets_down, bytes_down)) = (moved.from_tun(), moved.to_tun());
    let dropped = DropReason::ALL.iter().map(|reason| (reason.label().to_owned(), counters.dropped(*reason)));
    let dropped = dropped.filter(|(_, count)| *count != 0).collect();
    Traffic { packets_up, bytes_up, packets_down, bytes_down, dropped }
}
