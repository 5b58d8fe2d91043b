//! From the Sites' routes to those of the kernel. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use ringwall_protocol::token::Routes;

/// Where packets to a prefix go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// Into the TUN device.
    Tunnel,
    /// Nowhere. Lies behind every route into the tunnel.
    Blackhole,
    /// Wherever the main table says.
    Beside,
}

/// One route of our table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlannedRoute {
    /// Destination.
    pub(crate) prefix: IpNet,
    /// Where to.
    pub(crate) target: Target,
}

/// One Site's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SiteRoutes {
    /// From the signed token.
    pub(crate) routes: Routes,
    /// False once the Site can no longer be reached for good: its prefixes are then blackholes only.
    pub(crate) open: bool,
}

/// The routes of all Sites. Prefixes of an address family without a tunnel address are blackholes only.
#[must_use]
pub(crate) fn plan(sites: &[SiteRoutes], addresses: &[IpAddr]) -> BTreeSet<PlannedRoute> {
    let mut planned = BTreeSet::new();
    for site in sites {
        for prefix in site.routes.include.iter().map(IpNet::trunc) {
            planned.insert(PlannedRoute { prefix, target: Target::Blackhole });
            if site.open && addresses.iter().any(|address| address.is_ipv4() == prefix.addr().is_ipv4()) {
                planned.insert(PlannedRoute { prefix, target: Target::Tunnel });
            }
        }
    }
    let included: BTreeSet<IpNet> = planned.iter().map(|route| route.prefix).collect();
    for prefix in sites.iter().flat_map(|site| &site.routes.exclude).map(IpNet::trunc) {
        // What one Site protects is not let out because another one does not want it.
        let needed = included.iter().any(|outer| outer.contains(&prefix)) && !included.contains(&prefix);
        if needed {
            planned.insert(PlannedRoute { prefix, target: Target::Beside });
        }
    }
    planned
}

/// Whether `offered` asks for nothing that `signed` does not allow.
#[must_use]
pub(crate) fn within(offered: &Routes, signed: &Routes) -> bool {
    offered.include.iter().all(|prefix| signed.include.iter().any(|outer| outer.contains(prefix)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|text| text.parse().expect("a prefix")).collect()
    }

    fn site(include: &[&str], exclude: &[&str], open: bool) -> SiteRoutes {
        SiteRoutes { routes: Routes { include: nets(include), exclude: nets(exclude) }, open }
    }

    fn has(planned: &BTreeSet<PlannedRoute>, prefix: &str, target: Target) -> bool {
        planned.contains(&PlannedRoute { prefix: prefix.parse().expect("a prefix"), target })
    }

    const BOTH: [IpAddr; 2] =
        [IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 2)), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];

    #[test]
    fn every_route_into_the_tunnel_has_a_blackhole_behind_it() {
        let planned = plan(&[site(&["10.1.0.0/16", "fd01::/64"], &[], true)], &BOTH);
        for prefix in ["10.1.0.0/16", "fd01::/64"] {
            assert!(has(&planned, prefix, Target::Tunnel) && has(&planned, prefix, Target::Blackhole));
        }
    }

    #[test]
    fn a_lost_site_keeps_its_blackholes() {
        let planned = plan(&[site(&["10.1.0.0/16"], &[], false)], &BOTH);
        assert!(has(&planned, "10.1.0.0/16", Target::Blackhole));
        assert!(!has(&planned, "10.1.0.0/16", Target::Tunnel));
    }

    #[test]
    fn without_an_ipv6_address_ipv6_prefixes_are_blackholes_only() {
        let planned = plan(&[site(&["10.1.0.0/16", "fd01::/64"], &[], true)], &BOTH[..1]);
        assert!(has(&planned, "10.1.0.0/16", Target::Tunnel));
        assert!(!has(&planned, "fd01::/64", Target::Tunnel) && has(&planned, "fd01::/64", Target::Blackhole));
    }

    #[test]
    fn exclusions_lead_beside_only_where_they_are_needed_and_not_protected() {
        let planned = plan(
            &[
                site(&["10.0.0.0/8"], &["10.5.0.0/16", "192.168.0.0/16"], true),
                site(&["10.6.0.0/16"], &["10.0.0.0/8"], true),
            ],
            &BOTH,
        );
        assert!(has(&planned, "10.5.0.0/16", Target::Beside));
        assert!(!has(&planned, "192.168.0.0/16", Target::Beside), "the main table has it anyway");
        assert!(!has(&planned, "10.0.0.0/8", Target::Beside), "another Site protects it");
    }

    #[test]
    fn a_gateway_cannot_ask_for_more_routes_than_were_signed() {
        let signed = Routes { include: nets(&["10.1.0.0/16"]), exclude: vec![] };
        let offers = |list: &[&str]| within(&Routes { include: nets(list), exclude: vec![] }, &signed);
        assert!(offers(&[]) && offers(&["10.1.0.0/16"]) && offers(&["10.1.2.0/24"]));
        assert!(!offers(&["0.0.0.0/0"]) && !offers(&["10.0.0.0/8"]) && !offers(&["10.1.0.0/16", "10.2.0.1/32"]));
        assert!(!offers(&["::/0"]));
    }

    proptest! {
        #[test]
        fn a_protected_prefix_is_never_led_beside(prefixes in prop::collection::vec((any::<u32>(), 0_u8..=32, any::<bool>()), 0..12)) {
            let net = |(bits, length, _): &(u32, u8, bool)| IpNet::new(std::net::Ipv4Addr::from(*bits).into(), *length).expect("a length").trunc();
            let include: Vec<_> = prefixes.iter().filter(|p| p.2).map(net).collect();
            let exclude: Vec<_> = prefixes.iter().filter(|p| !p.2).map(net).collect();
            let planned = plan(&[SiteRoutes { routes: Routes { include: include.clone(), exclude }, open: true }], &BOTH);
            for prefix in include {
                let beside = PlannedRoute { prefix, target: Target::Beside };
                let hole = PlannedRoute { prefix, target: Target::Blackhole };
                prop_assert!(planned.contains(&hole) && !planned.contains(&beside));
            }
        }
    }
}
