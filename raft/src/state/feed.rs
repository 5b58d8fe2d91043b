//! What a Gateway is to know, read from the state: the full view, from which on [`super::Change`]s lead.

use std::collections::BTreeMap;

use ringwall_protocol::feed::{FeedEvent, FeedPosition, FeedSite, FeedView};
use ringwall_protocol::id::{ApplianceId, SiteId};
use ringwall_protocol::object::Site;

use super::State;
use super::address::pool;
use super::step::Step;

impl State {
    /// Everything that a Gateway knows of the Collective at this index. `None` if it is no Gateway, or its Site is gone.
    ///
    /// `spa_keys` are sealed, as they stand in the state: whoever holds the key-encryption key opens them before the
    /// view is sent. The same holds for the keys of `SpaChanged`.
    #[must_use]
    pub fn feed_view(&self, gateway: ApplianceId) -> Option<FeedView> {
        let collective = self.collective()?;
        let site = self.gateways.find(&gateway)?.site;
        let (spa_mode, spa_keys, spa_window_seconds) = self.spa_of(gateway)?;
        let of_site = |one: &&ringwall_protocol::membership::GatewayRecord| one.site == site;
        Some(FeedView {
            collective: collective.id,
            root_certificate: collective.root_certificate.clone(),
            position: FeedPosition { incarnation: collective.incarnation, index: self.index },
            controllers: self.controllers().map(|one| (one.node, one.clone())).collect(),
            gateways: self.gateways().filter(of_site).map(|one| (one.appliance, one.clone())).collect(),
            keys: self.keys().map(|key| (key.kid.clone(), key.clone())).collect::<BTreeMap<_, _>>(),
            revocations: self
                .revocations
                .iter()
                .filter(|one| one.site.is_none_or(|only| only == site))
                .cloned()
                .collect(),
            forgotten_up_to: self.revocations.horizon(),
            site: self.feed_site(self.site(site)?),
            spa_mode,
            spa_keys,
            spa_window_seconds,
            peer_spa_key: None,
        })
    }

    fn feed_site(&self, site: &Site) -> FeedSite {
        FeedSite {
            id: site.base.id,
            name: site.base.name.clone(),
            pools: self.ip_pools().flat_map(pool::prefixes).collect(),
            networks: site.network_subnets.clone(),
            snat: site.vpn.snat,
            lease_seconds: site.lease_seconds,
            grace_seconds: site.grace_seconds,
            witnesses: site.witnesses,
            dtls: site.vpn.dtls.enabled,
            name_resolution: site.name_resolution.clone(),
        }
    }
}

impl Step<'_> {
    /// Tells a Site's Gateways what the Site is now.
    pub(crate) fn tell_feed_site(&mut self, site: SiteId) {
        if let Some(object) = self.state.site(site) {
            let site_now = self.state.feed_site(object);
            self.tell_site(site, FeedEvent::SiteChanged { site: site_now });
        }
    }
}
