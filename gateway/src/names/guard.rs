//! Which addresses a name may stand for. Whoever writes a zone must not be able to lead sessions to the Gateway itself, to
//! other Clients, or to addresses that mean something else on every host (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Addresses that no name may stand for, beside those that no protected host has anyway.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnswerGuard {
    own: Vec<IpAddr>,
    pools: Vec<IpNet>,
}

impl AnswerGuard {
    /// The Gateway's own addresses, and the pools of tunnel addresses.
    #[must_use]
    pub(crate) fn new(own: Vec<IpAddr>, pools: Vec<IpNet>) -> Self {
        Self { own: own.into_iter().map(|address| address.to_canonical()).collect(), pools }
    }

    /// Whether a protected host may have this address.
    #[must_use]
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let hosts = match address {
            IpAddr::V4(v4) => is_host4(v4),
            IpAddr::V6(v6) => is_host6(v6),
        };
        hosts && !self.own.contains(&address) && !self.pools.iter().any(|pool| pool.contains(&address))
    }
}

/// Not this host, not this link (where cloud metadata lives, 169.254.169.254), not a group of hosts (RFC 6890).
const fn is_host4(address: Ipv4Addr) -> bool {
    !(address.octets()[0] == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.octets()[0] >= 240)
}

/// The same; and no IPv4 address in disguise (mapped, compatible, NAT64, 6to4), which would be judged by other rules.
fn is_host6(address: Ipv6Addr) -> bool {
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    let nat64 = address.segments()[..2] == [0x64, 0xff9b];
    let sixtofour = address.segments()[0] == 0x2002;
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || address.to_ipv4().is_some()
        || nat64
        || sixtofour
        || address == METADATA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_no_address_of_this_host_its_links_or_its_clients() {
        let guard = AnswerGuard::new(
            vec!["10.20.0.2".parse().expect("ip"), "2001:db8::2".parse().expect("ip")],
            vec!["10.9.0.0/16".parse().expect("net"), "fd09::/64".parse().expect("net")],
        );
        let forbidden = [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "10.20.0.2",
            "10.9.0.1",
            "10.9.255.254",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.20.0.2",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "fd09::5",
            "2001:db8::2",
            "fd00:ec2::254",
        ];
        for address in forbidden {
            assert!(!guard.allows(address.parse().expect("ip")), "{address}");
        }
        for address in ["10.20.0.3", "192.168.1.1", "8.8.8.8", "100.64.0.1", "fd20::5", "2001:db8::3"] {
            assert!(guard.allows(address.parse().expect("ip")), "{address}");
        }
    }
}
