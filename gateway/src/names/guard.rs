//! Which addresses a name may stand for (T79). Whoever writes a zone must not be able to lead sessions to a Controller or
//! Gateway, to other Clients, to addresses that mean something else on every host (DNS rebinding), or out of the Site.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use ringwall_protocol::feed::{FeedView, NameRefusal};

/// Addresses that names may stand for, and those among them that none may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AnswerGuard {
    pub(super) networks: Vec<IpNet>,
    pub(super) pools: Vec<IpNet>,
    /// Of Controllers and of the Site's Gateways, as the Collective lists them.
    pub(super) appliances: BTreeSet<IpAddr>,
    /// Of this host, and what the host names of appliances were found to be.
    pub(super) found: BTreeSet<IpAddr>,
}

impl AnswerGuard {
    /// Takes over the Site's networks, the pools of tunnel addresses, and where appliances are.
    pub(super) fn follow(&mut self, view: &FeedView) {
        self.networks.clone_from(&view.site.networks);
        self.pools.clone_from(&view.site.pools);
        let literal = places(view).filter_map(|place| place.parse::<SocketAddr>().ok()).map(|place| place.ip());
        let interfaces = view.gateways.values().flat_map(|gateway| &gateway.interface_addresses).copied();
        self.appliances = literal.chain(interfaces).map(|address| address.to_canonical()).collect();
    }

    /// Takes over the addresses of this host, and of appliances that the Collective lists by name.
    pub(super) fn found(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.found = addresses.into_iter().map(|address| address.to_canonical()).collect();
    }

    /// Whether a name may stand for this address.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn judge(&self, address: IpAddr) -> Result<(), NameRefusal> {
        let is_host = match address {
            IpAddr::V4(v4) => is_host4(v4),
            IpAddr::V6(v6) => is_host6(v6),
        };
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        if !is_host {
            Err(NameRefusal::SpecialPurpose)
        } else if self.appliances.contains(&address) || self.found.contains(&address) {
            Err(NameRefusal::Appliance)
        } else if within(&self.pools) {
            Err(NameRefusal::TunnelPool)
        } else if !within(&self.networks) {
            Err(NameRefusal::OutsideSite)
        } else {
            Ok(())
        }
    }
}

/// Where appliances are, `host:port`.
pub(crate) fn places(view: &FeedView) -> impl Iterator<Item = &str> {
    let controllers = view.controllers.values().flat_map(|controller| {
        [&controller.peer_addresses, &controller.client_addresses, &controller.admin_addresses].into_iter().flatten()
    });
    let gateways = view.gateways.values().flat_map(|gateway| &gateway.addresses);
    controllers.chain(gateways).map(String::as_str)
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

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().expect("a network")).collect()
    }

    fn guard(networks: &[&str]) -> AnswerGuard {
        AnswerGuard {
            networks: nets(networks),
            pools: nets(&["10.9.0.0/16", "fd09::/64"]),
            appliances: [ip("10.77.1.11"), ip("10.20.0.3")].into(),
            found: [ip("10.20.0.2"), ip("2001:db8::2")].into(),
        }
    }

    #[test]
    fn a_name_stands_for_no_address_of_an_appliance_a_client_or_a_special_range() {
        use NameRefusal::{Appliance, SpecialPurpose, TunnelPool};
        let guard = guard(&["0.0.0.0/0", "::/0"]);
        let special = [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.20.0.2",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "fd00:ec2::254",
        ];
        let appliances = ["10.20.0.2", "2001:db8::2", "10.77.1.11", "10.20.0.3"];
        let clients = ["10.9.0.1", "10.9.255.254", "fd09::5"];
        for (addresses, refusal) in [(&special[..], SpecialPurpose), (&appliances, Appliance), (&clients, TunnelPool)] {
            for address in addresses {
                assert_eq!(guard.judge(ip(address)), Err(refusal), "{address}");
            }
        }
        for address in ["10.20.0.4", "192.168.1.1", "8.8.8.8", "100.64.0.1", "fd20::5", "2001:db8::3"] {
            assert_eq!(guard.judge(ip(address)), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_name_stands_for_addresses_of_its_site_alone() {
        let guard = guard(&["10.20.0.0/24", "fd20::/64"]);
        for (address, expected) in [
            ("10.20.0.10", Ok(())),
            ("fd20::10", Ok(())),
            ("10.21.0.10", Err(NameRefusal::OutsideSite)),
            ("8.8.8.8", Err(NameRefusal::OutsideSite)),
            ("fd21::10", Err(NameRefusal::OutsideSite)),
        ] {
            assert_eq!(guard.judge(ip(address)), expected, "{address}");
        }
        assert_eq!(AnswerGuard::default().judge(ip("10.20.0.10")), Err(NameRefusal::OutsideSite));
    }
}
