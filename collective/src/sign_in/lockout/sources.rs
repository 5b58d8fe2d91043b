//! Failed sign-ins by where they come from. An IPv6 subscriber may have a /64, a /56 or a /48: each width has a budget, so
//! that 65,536 networks of one subscriber are not 65,536 sources (T70).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ringwall_protocol::time::UnixMillis;

use crate::identity::throttle::Throttle;

/// Lengths of IPv6 prefixes, and how many times the budget of an address each has.
const WIDTHS: [(u32, u32); 3] = [(64, 1), (56, 3), (48, 10)];

/// What has counted against sources; bounded.
#[derive(Debug)]
pub(in crate::sign_in) struct SourceCounts([Throttle<IpAddr>; 3]);

impl SourceCounts {
    /// `capacity` at once for an IPv4 address or an IPv6 /64, and as many again in each `period`.
    pub(in crate::sign_in) fn new(capacity: u32, period: Duration) -> Self {
        Self(WIDTHS.map(|(_, share)| Throttle::new(capacity.saturating_mul(share), period)))
    }

    /// Whether a source may fail once more.
    pub(in crate::sign_in) fn has_one(&self, from: IpAddr, now: UnixMillis) -> bool {
        self.0.iter().zip(networks(from)).all(|(counts, network)| counts.has_one(&network, now))
    }

    /// Counts a failure.
    pub(in crate::sign_in) fn take(&mut self, from: IpAddr, now: UnixMillis) {
        for (counts, network) in self.0.iter_mut().zip(networks(from)) {
            counts.take(&network, now);
        }
    }
}

/// The networks of an address that are counted; an IPv4 address, in whichever form, is one source at every width.
fn networks(from: IpAddr) -> [IpAddr; 3] {
    let from = from.to_canonical();
    WIDTHS.map(|(length, _)| match from {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << (128 - length)))),
        v4 @ IpAddr::V4(_) => v4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    /// Failures that are let through from so many networks of one prefix, one address each.
    fn let_through(networks: u32, address: impl Fn(u32) -> Ipv6Addr) -> usize {
        let mut counts = SourceCounts::new(10, Duration::from_secs(60));
        let mut tried = 0;
        for nth in 0..networks {
            for _ in 0..20 {
                if counts.has_one(address(nth).into(), NOW) {
                    counts.take(address(nth).into(), NOW);
                    tried += 1;
                }
            }
        }
        tried
    }

    #[test]
    fn a_subscriber_with_many_networks_is_counted_as_one() {
        let of_64 = |nth: u32| Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(nth));
        let of_56 = |nth: u32| Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(nth) << 64));
        let of_48 = |nth: u32| Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(nth) << 72));
        assert_eq!(let_through(1_000, of_64), 10, "addresses of one /64");
        assert_eq!(let_through(256, of_56), 30, "/64s of one /56");
        assert_eq!(let_through(256, of_48), 100, "/56s of one /48");
    }

    #[test]
    fn others_are_not_concerned_and_ipv4_is_counted_by_address() {
        let mut counts = SourceCounts::new(10, Duration::from_secs(60));
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for _ in 0..200 {
            counts.take(address("2001:db8::1"), NOW);
            counts.take(address("192.0.2.1"), NOW);
        }
        assert!(!counts.has_one(address("2001:db8::2"), NOW) && counts.has_one(address("2001:db8:1::1"), NOW));
        assert!(!counts.has_one(address("::ffff:192.0.2.1"), NOW), "the same in another writing");
        assert!(counts.has_one(address("192.0.2.2"), NOW));
    }
}
