//! Which addresses are reached through the tunnel or not at all, as ranges for the kernel's guard. Pure.
//!
//! It says the same as the routes of our table: a more specific exclusion takes its addresses out, a still more specific
//! network of a Site takes them in again. What never leaves its link is not in it, or a Site with a default route would cut
//! the machine off from its own network: limited broadcast (RFC 919), the local network control block of IPv4 multicast
//! (RFC 5771 §4), link-local unicast and multicast of IPv6 (RFC 4291 §2.5.6, §2.7).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::plan::{PlannedRoute, Target};

/// What never leaves its link.
const LINK_SCOPE4: [Ipv4Net; 2] = [
    Ipv4Net::new_assert(std::net::Ipv4Addr::BROADCAST, 32),
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 24),
];
/// The same of IPv6.
const LINK_SCOPE6: [Ipv6Net; 2] = [
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// Addresses from `first` to `last`, both included, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AddressRange {
    pub(super) first: u128,
    pub(super) last: u128,
}

/// Ranges of both families, ascending; no two of a family touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TunnelOnly {
    pub(super) v4: Vec<AddressRange>,
    pub(super) v6: Vec<AddressRange>,
}

impl TunnelOnly {
    /// What these routes lead into the tunnel or nowhere.
    pub(super) fn of<'a>(routes: impl IntoIterator<Item = &'a PlannedRoute>) -> Self {
        let mut routes: Vec<&PlannedRoute> = routes.into_iter().collect();
        // The longest prefix decides, so it comes last.
        routes.sort_by_key(|route| route.prefix.prefix_len());
        let mut this = Self::default();
        for PlannedRoute { prefix, target } in routes {
            match target {
                Target::Tunnel | Target::Blackhole => add(this.family(*prefix), AddressRange::of(*prefix)),
                Target::Beside => subtract(this.family(*prefix), AddressRange::of(*prefix)),
            }
        }
        LINK_SCOPE4.iter().for_each(|net| subtract(&mut this.v4, AddressRange::of(IpNet::V4(*net))));
        LINK_SCOPE6.iter().for_each(|net| subtract(&mut this.v6, AddressRange::of(IpNet::V6(*net))));
        this
    }

    /// What one of the two says.
    pub(super) fn union(mut self, other: &Self) -> Self {
        other.v4.iter().for_each(|range| add(&mut self.v4, *range));
        other.v6.iter().for_each(|range| add(&mut self.v6, *range));
        self
    }

    const fn family(&mut self, prefix: IpNet) -> &mut Vec<AddressRange> {
        match prefix {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        }
    }
}

impl AddressRange {
    fn of(prefix: IpNet) -> Self {
        Self { first: number(prefix.network()), last: number(prefix.broadcast()) }
    }

    /// They overlap, or one begins right behind the other.
    const fn touches(self, other: Self) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }

    fn hull(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// What is left of it beside the hole.
    fn without(self, hole: Self) -> impl Iterator<Item = Self> {
        let below = hole.first.checked_sub(1).map(|last| Self { first: self.first, last: last.min(self.last) });
        let above = hole.last.checked_add(1).map(|first| Self { first: first.max(self.first), last: self.last });
        below.into_iter().chain(above).filter(|part| part.first <= part.last)
    }
}

fn add(ranges: &mut Vec<AddressRange>, range: AddressRange) {
    let (joined, mut all): (Vec<_>, Vec<_>) = ranges.drain(..).partition(|old| old.touches(range));
    all.push(joined.into_iter().fold(range, AddressRange::hull));
    all.sort_unstable();
    *ranges = all;
}

fn subtract(ranges: &mut Vec<AddressRange>, hole: AddressRange) {
    *ranges = ranges.iter().flat_map(|range| range.without(hole)).collect();
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(prefix: &str, target: Target) -> PlannedRoute {
        PlannedRoute { prefix: prefix.parse().expect("a prefix"), target }
    }

    fn holds(ranges: &TunnelOnly, address: &str) -> bool {
        let address: IpAddr = address.parse().expect("an address");
        let family = if address.is_ipv4() { &ranges.v4 } else { &ranges.v6 };
        family.iter().any(|range| (range.first..=range.last).contains(&number(address)))
    }

    #[test]
    fn the_longest_prefix_decides_whatever_the_order_of_routes() {
        let mut routes = [
            route("10.0.0.0/8", Target::Blackhole),
            route("10.5.0.0/16", Target::Beside),
            route("10.5.1.0/24", Target::Tunnel),
            route("fd01::/64", Target::Blackhole),
        ];
        for _ in 0..routes.len() {
            routes.rotate_left(1);
            let ranges = TunnelOnly::of(&routes);
            for inside in
                ["10.0.0.0", "10.4.255.255", "10.5.1.0", "10.5.1.255", "10.6.0.0", "10.255.255.255", "fd01::1"]
            {
                assert!(holds(&ranges, inside), "{inside} of {ranges:?}");
            }
            for outside in ["9.255.255.255", "10.5.0.0", "10.5.2.0", "10.5.255.255", "11.0.0.0", "fd01:0:0:1::"] {
                assert!(!holds(&ranges, outside), "{outside} of {ranges:?}");
            }
        }
    }

    #[test]
    fn neighbouring_prefixes_are_one_range() {
        let ranges = TunnelOnly::of(&[route("10.1.0.0/16", Target::Tunnel), route("10.0.0.0/16", Target::Blackhole)]);
        assert_eq!(ranges.v4.len(), 1, "{ranges:?}");
    }

    #[test]
    fn a_default_route_leaves_the_link_itself_alone() {
        let ranges = TunnelOnly::of(&[route("0.0.0.0/0", Target::Blackhole), route("::/0", Target::Tunnel)]);
        for inside in ["0.0.0.0", "192.168.1.1", "224.0.1.1", "239.1.1.1", "255.255.255.254", "2001:db8::1", "ff05::1"]
        {
            assert!(holds(&ranges, inside), "{inside}");
        }
        for outside in ["255.255.255.255", "224.0.0.251", "fe80::1", "ff02::1:2", "ff02::1:ff00:1"] {
            assert!(!holds(&ranges, outside), "{outside}");
        }
    }

    #[test]
    fn a_union_holds_what_either_holds() {
        let (one, other) = (
            TunnelOnly::of(&[route("10.1.0.0/16", Target::Tunnel)]),
            TunnelOnly::of(&[route("10.1.128.0/17", Target::Blackhole), route("fd01::/64", Target::Tunnel)]),
        );
        let both = one.clone().union(&other);
        assert_eq!(both.v4, one.v4);
        assert_eq!(both.v6, other.v6);
    }
}
