//! Sites that claim the same addresses or names, and pools whose addresses a Site claims: where packets and questions of
//! somebody who has both go is decided by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use ringwall_protocol::entitlement::{ActionKind, Entitlement, Host};
use ringwall_protocol::id::SiteId;
use ringwall_protocol::object::Site;
use ringwall_protocol::wire::what_if::Severity;

use super::{Found, View};

/// A network that two Sites have: a Client that has both routes it to one of them.
pub(super) fn equal_subnets(view: &View<'_>, found: &mut Found) {
    let mut known: BTreeMap<IpNet, &Site> = BTreeMap::new();
    for site in by_name(view).into_iter().filter(|site| !site.entitlement_based_routing) {
        for (at, network) in site.network_subnets.iter().enumerate() {
            let Some(other) = known.get(&network.trunc()).copied().filter(|other| other.base.id != site.base.id) else {
                known.entry(network.trunc()).or_insert(site);
                continue;
            };
            let message = format!(
                "{network} is a network of the Site {:?}, too: whoever has both reaches one of them there; give it to one \
                 Site, or switch entitlementBasedRouting on",
                other.base.name
            );
            found.add(Severity::Warning, "equal-subnets", site, format!("networkSubnets[{at}]"), message);
        }
    }
}

/// A name or domain that entitlements of two Sites name: a Client that has both asks at one of them.
pub(super) fn equal_domains(view: &View<'_>, found: &mut Found) {
    let mut known: BTreeMap<Host, (SiteId, &Entitlement)> = BTreeMap::new();
    let mut entitlements: Vec<&Entitlement> = view.state.entitlements().filter(|one| !one.disabled).collect();
    entitlements.sort_by(|one, two| one.base.name.cmp(&two.base.name));
    for entitlement in entitlements {
        for (at, host) in named_hosts(entitlement) {
            let (site, other) = known.entry(host.clone()).or_insert((entitlement.site, entitlement));
            if *site == entitlement.site {
                continue;
            }
            let message = format!(
                "{host} is named by {:?} of the Site {:?}, too: whoever has both asks for it at one of the Sites only; name \
                 it at one",
                other.base.name,
                view.state.site(*site).map_or("", |site| &site.base.name)
            );
            found.add(Severity::Warning, "equal-domains", entitlement, format!("actions[{at}].hosts"), message);
        }
    }
}

/// Addresses of a pool in a network of a Site: packets for devices would be routed to the Site.
pub(super) fn pools_in_sites(view: &View<'_>, found: &mut Found) {
    for pool in view.state.ip_pools() {
        let ranges = pool.ranges.iter().enumerate().filter_map(|(at, range)| Some((at, range.bounds()?)));
        for (at, bounds) in ranges {
            for site in by_name(view) {
                let Some(network) = site.network_subnets.iter().find(|network| overlaps(network, bounds)) else {
                    continue;
                };
                let message = format!(
                    "has addresses of {network}, a network of the Site {:?}: packets of its hosts for a device would not \
                     come back; choose other addresses for one of them",
                    site.base.name
                );
                found.add(Severity::Warning, "pool-in-site", pool, format!("ranges[{at}]"), message);
            }
        }
    }
}

fn by_name<'a>(view: &View<'a>) -> Vec<&'a Site> {
    let mut sites: Vec<&Site> = view.state.sites().collect();
    sites.sort_by(|one, two| one.base.name.cmp(&two.base.name));
    sites
}

/// Names and domains that an entitlement opens, each once, with the action that names it first.
fn named_hosts(entitlement: &Entitlement) -> Vec<(usize, Host)> {
    let mut seen = BTreeSet::new();
    let actions = entitlement.actions.iter().enumerate();
    let opening = actions.filter(|(_, action)| matches!(action.action, ActionKind::Allow | ActionKind::Alert));
    let parsed = opening.filter_map(|(at, action)| Some((at, action.parse().ok()?)));
    let hosts = parsed.flat_map(|(at, action)| action.hosts.into_iter().map(move |host| (at, host)));
    hosts.filter(|(_, host)| host.is_named() && seen.insert(host.clone())).collect()
}

fn overlaps(network: &IpNet, (first, last): (IpAddr, IpAddr)) -> bool {
    network.network().is_ipv4() == first.is_ipv4() && first <= network.broadcast() && network.network() <= last
}
