//! What a Client routes to a Site: its networks, or what its entitlements name.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use ringwall_protocol::entitlement::{Action, ActionKind, Host};
use ringwall_protocol::object::Site;
use ringwall_protocol::token::Routes;

/// Most routes of one kind: a Client's routing table is not ours to fill.
const MAX_ROUTES: usize = 4_096;

/// Routes for `actions` at `site`. Names are resolved behind the Site, so its networks are routed for them.
pub(crate) fn routes<'a>(site: &Site, actions: impl Iterator<Item = &'a Action>) -> Routes {
    let mut named = Vec::new();
    let mut exclude = Vec::new();
    let mut has_names = false;
    for parsed in actions.filter_map(|action| action.parse().ok()) {
        for host in &parsed.hosts {
            let Host::Range(first, last) = host else {
                has_names = true;
                continue;
            };
            let list = if parsed.kind == ActionKind::Exclude { &mut exclude } else { &mut named };
            list.extend(prefixes(*first, *last));
        }
    }
    let mut include = if site.entitlement_based_routing { named } else { site.network_subnets.clone() };
    if site.entitlement_based_routing && has_names {
        include.extend(site.network_subnets.iter().copied());
    }
    Routes { include: tidy(include), exclude: tidy(exclude) }
}

fn prefixes(first: IpAddr, last: IpAddr) -> Vec<IpNet> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect(),
        _ => Vec::new(),
    }
}

fn tidy(networks: Vec<IpNet>) -> Vec<IpNet> {
    let mut networks = IpNet::aggregate(&networks);
    networks.sort();
    networks.truncate(MAX_ROUTES);
    networks
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::id::SiteId;

    use super::*;

    fn site(entitlement_based: bool) -> Site {
        serde_json::from_value(serde_json::json!({
            "id": SiteId::from_random([1; 16]), "name": "office",
            "networkSubnets": ["10.0.0.0/8"], "entitlementBasedRouting": entitlement_based,
        }))
        .expect("a site")
    }

    fn action(kind: &str, host: &str) -> Action {
        let subtype = if kind == "exclude" { serde_json::Value::Null } else { "tcp_up".into() };
        serde_json::from_value(serde_json::json!({"action": kind, "subtype": subtype, "hosts": [host], "ports": []}))
            .expect("an action")
    }

    fn texts(networks: &[IpNet]) -> Vec<String> {
        networks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_site_routes_its_networks_and_leaves_out_what_is_excluded() {
        let actions = [action("allow", "192.0.2.1"), action("exclude", "10.1.0.0/16")];
        let routes = routes(&site(false), actions.iter());
        assert_eq!(texts(&routes.include), ["10.0.0.0/8"]);
        assert_eq!(texts(&routes.exclude), ["10.1.0.0/16"]);
    }

    #[test]
    fn routing_by_entitlement_takes_what_they_name_and_networks_only_for_names() {
        let ranges = [action("allow", "192.0.2.0-192.0.2.5")];
        assert_eq!(texts(&routes(&site(true), ranges.iter()).include), ["192.0.2.0/30", "192.0.2.4/31"]);
        let names = [action("allow", "192.0.2.1"), action("allow", "dns://intranet.example")];
        assert_eq!(texts(&routes(&site(true), names.iter()).include), ["10.0.0.0/8", "192.0.2.1/32"]);
    }
}
