//! Actions that packets cannot follow: the other direction behind SNAT, hosts that no Client routes to the Site, names
//! that nobody resolves.

use std::net::IpAddr;

use ringwall_protocol::entitlement::{ActionKind, Entitlement, Host, ParsedAction};
use ringwall_protocol::object::Site;
use ringwall_protocol::rules::Direction;
use ringwall_protocol::wire::what_if::Severity;

use super::{Found, View};

/// Entitlements in use, each with its Site and its readable actions.
fn actions<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a Entitlement, &'a Site, usize, ParsedAction)> {
    let entitlements = view.state.entitlements().filter(|one| !one.disabled);
    entitlements.filter_map(|one| Some((one, view.state.site(one.site)?))).flat_map(|(entitlement, site)| {
        let parsed = entitlement.actions.iter().enumerate();
        parsed.filter_map(move |(at, action)| Some((entitlement, site, at, action.parse().ok()?)))
    })
}

/// Hosts cannot begin a flow to an address that SNAT hides from them.
pub(super) fn down_behind_snat(view: &View<'_>, found: &mut Found) {
    for (entitlement, site, at, action) in actions(view) {
        let down = action.flow.is_some_and(|(_, direction)| direction == Direction::Down);
        if down && site.vpn.snat && action.kind != ActionKind::Block {
            let message = format!(
                "hosts behind the Site {:?} see its Gateways' address and cannot begin flows to Clients: switch snat off \
                 there and route the pool back, or use the _up subtype",
                site.base.name
            );
            found.add(Severity::Warning, "down-behind-snat", entitlement, format!("actions[{at}].subtype"), message);
        }
    }
}

/// Clients route a Site's networks to it; what lies outside goes another way.
pub(super) fn unrouted_hosts(view: &View<'_>, found: &mut Found) {
    for (entitlement, site, at, action) in actions(view) {
        if !matches!(action.kind, ActionKind::Allow | ActionKind::Alert) {
            continue;
        }
        let name = action.hosts.iter().find(|host| matches!(host, Host::Name(_) | Host::Domain(_)));
        if let Some(name) = name.filter(|_| site.network_subnets.is_empty()) {
            let message = format!(
                "{name} can stand for no address: names lead into networkSubnets of their Site alone, and the Site {:?} \
                 has none; add the networks of its hosts",
                site.base.name
            );
            found.add(Severity::Error, "unrouted-host", entitlement, format!("actions[{at}].hosts"), message);
        }
        if site.entitlement_based_routing {
            continue;
        }
        let routed = |address: &IpAddr| site.network_subnets.iter().any(|network| network.contains(address));
        let lost = action.hosts.iter().find_map(|host| match host {
            Host::Range(first, last) if !routed(first) && !routed(last) => Some(first),
            _ => None,
        });
        if let Some(host) = lost {
            let message = format!(
                "{host} is in none of the networks of the Site {:?}: Clients do not route it there; add it to \
                 networkSubnets or switch entitlementBasedRouting on",
                site.base.name
            );
            found.add(Severity::Error, "unrouted-host", entitlement, format!("actions[{at}].hosts"), message);
        }
    }
}

/// Names are resolved by the Site's Gateways: without a resolver there, by whatever their hosts use.
pub(super) fn names_without_resolver(view: &View<'_>, found: &mut Found) {
    for (entitlement, site, at, action) in actions(view) {
        let unserved = |name: &str| {
            let name = name.trim_end_matches('.');
            !site.name_resolution.dns_resolvers.iter().any(|resolver| {
                resolver.match_domains.is_empty()
                    || resolver.match_domains.iter().any(|domain| {
                        let domain = domain.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
                        name == domain || name.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
                    })
            })
        };
        let lost = action.hosts.iter().find_map(|host| match host {
            Host::Name(name) | Host::Domain(name) if unserved(name) => Some(name),
            _ => None,
        });
        if let Some(name) = lost {
            let message = format!(
                "no resolver of the Site {:?} serves {name}: its Gateways would ask whatever their hosts are set to; add \
                 one to nameResolution.dnsResolvers",
                site.base.name
            );
            found.add(Severity::Warning, "name-without-resolver", entitlement, format!("actions[{at}].hosts"), message);
        }
    }
}
