//! Which Site a packet goes to: longest prefix first, then the primary Site, then the smaller Site id.
//!
//! Prefixes are painted onto the number line, the general ones first, so that a look-up is one binary search. Pure;
//! made anew whenever a Site changes, read without a lock by the one thread that owns it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// A route, and what decides between equal prefixes: the highest preference wins.
#[derive(Debug, Clone)]
pub(super) struct Route<P, T> {
    pub(super) prefix: IpNet,
    pub(super) preference: P,
    pub(super) target: T,
}

/// The finished table.
#[derive(Debug)]
pub(super) struct RouteTable<T> {
    v4: Line<T>,
    v6: Line<T>,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self { v4: Line(Vec::new()), v6: Line(Vec::new()) }
    }
}

impl<T: Clone> RouteTable<T> {
    /// The table of these routes.
    pub(super) fn new<P: Ord>(mut routes: Vec<Route<P, T>>) -> Self {
        routes.sort_by(|a, b| (a.prefix.prefix_len(), &a.preference).cmp(&(b.prefix.prefix_len(), &b.preference)));
        let of = |v4: bool| {
            routes
                .iter()
                .filter(move |route| matches!(route.prefix, IpNet::V4(_)) == v4)
                .map(|route| (number(route.prefix.network()), number(route.prefix.broadcast()), route.target.clone()))
        };
        Self { v4: Line::paint(of(true), u32::MAX.into()), v6: Line::paint(of(false), u128::MAX) }
    }

    /// Where packets to this address go.
    pub(super) fn find(&self, address: IpAddr) -> Option<&T> {
        match address {
            IpAddr::V4(_) => self.v4.find(number(address)),
            IpAddr::V6(_) => self.v6.find(number(address)),
        }
    }
}

/// Where each stretch of the number line begins, in order, and whose it is.
#[derive(Debug)]
struct Line<T>(Vec<(u128, Option<T>)>);

impl<T: Clone> Line<T> {
    /// Later strokes cover earlier ones. Two prefixes either nest or are apart, so that a stroke never ends within
    /// another one's stretch.
    fn paint(strokes: impl Iterator<Item = (u128, u128, T)>, end: u128) -> Self {
        let mut line = BTreeMap::from([(0, None)]);
        for (first, last, target) in strokes {
            let behind = line.range(..=last).next_back().and_then(|(_, owner): (_, &Option<T>)| owner.clone());
            let covered: Vec<u128> = line.range(first..=last).map(|(start, _)| *start).collect();
            for start in covered {
                line.remove(&start);
            }
            line.insert(first, Some(target));
            if last < end {
                line.entry(last + 1).or_insert(behind);
            }
        }
        Self(line.into_iter().collect())
    }
}

impl<T> Line<T> {
    fn find(&self, at: u128) -> Option<&T> {
        let behind = self.0.partition_point(|(start, _)| *start <= at);
        self.0.get(behind.checked_sub(1)?)?.1.as_ref()
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(&str, u8, char)]) -> RouteTable<char> {
        let route = |(prefix, preference, target): &(&str, u8, char)| Route {
            prefix: prefix.parse().expect("a prefix"),
            preference: *preference,
            target: *target,
        };
        RouteTable::new(routes.iter().map(route).collect())
    }

    fn find(table: &RouteTable<char>, address: &str) -> Option<char> {
        table.find(address.parse().expect("an address")).copied()
    }

    #[test]
    fn longest_prefix_wins_in_any_order_of_routes() {
        let mut routes =
            [("10.0.0.0/8", 1, 'a'), ("10.1.0.0/16", 0, 'b'), ("10.1.2.0/24", 0, 'c'), ("fd00::/8", 0, 'd')];
        for _ in 0..routes.len() {
            routes.rotate_left(1);
            let table = table(&routes);
            assert_eq!(find(&table, "10.200.0.1"), Some('a'));
            assert_eq!(find(&table, "10.1.1.255"), Some('b'));
            assert_eq!(find(&table, "10.1.2.0"), Some('c'));
            assert_eq!(find(&table, "10.1.2.255"), Some('c'));
            assert_eq!(find(&table, "10.1.3.0"), Some('b'));
            assert_eq!(find(&table, "10.2.0.0"), Some('a'));
            assert_eq!(find(&table, "11.0.0.0"), None);
            assert_eq!(find(&table, "fd12::1"), Some('d'));
            assert_eq!(find(&table, "fe80::1"), None);
        }
    }

    #[test]
    fn equal_prefixes_go_to_the_preferred_site() {
        let both = table(&[("10.0.0.0/8", 2, 'a'), ("10.0.0.0/8", 1, 'b')]);
        assert_eq!(find(&both, "10.0.0.1"), Some('a'));
    }

    #[test]
    fn default_route_covers_everything_of_its_family_only() {
        let table = table(&[("0.0.0.0/0", 0, 'a'), ("255.255.255.255/32", 0, 'b')]);
        assert_eq!(find(&table, "0.0.0.0"), Some('a'));
        assert_eq!(find(&table, "255.255.255.254"), Some('a'));
        assert_eq!(find(&table, "255.255.255.255"), Some('b'));
        assert_eq!(find(&table, "::1"), None);
    }

    #[test]
    fn look_up_agrees_with_a_search_through_all_routes() {
        // A small number line, so that prefixes nest and touch in every way.
        let mut state = 1_u32;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for _ in 0..200 {
            let routes: Vec<_> = (0..next(12))
                .map(|target| {
                    let length = 24 + next(9);
                    let prefix = IpNet::new(IpAddr::from([10, 0, 0, next(256) as u8]), length as u8);
                    let prefix = prefix.expect("a length below 33").trunc();
                    Route { prefix, preference: target, target }
                })
                .collect();
            let table = RouteTable::new(routes.clone());
            for last in 0..=255 {
                let address = IpAddr::from([10, 0, 0, last]);
                let best = routes
                    .iter()
                    .filter(|route| route.prefix.contains(&address))
                    .max_by_key(|route| (route.prefix.prefix_len(), route.preference));
                assert_eq!(table.find(address), best.map(|route| &route.target), "{address} in {routes:?}");
            }
        }
    }
}
