//! The plan of a lab: networks, hosts on them, routes. Only a value; `wiring` builds it.
//!
//! A network is a bridge in a namespace of its own; a host is a namespace with one interface per network it is on, named
//! like the network. Addresses are given by the host's number inside the network, the same for IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Interface names are limited by the kernel, and networks and hosts give theirs to interfaces.
const LONGEST_NAME: usize = 15;

/// A lab's plan. Built by chaining; a contradiction in a plan is a defect of the test and panics at once.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    networks: Vec<Network>,
    hosts: Vec<Host>,
}

/// A network that hosts can be on.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    name: String,
    v4: Ipv4Net,
    v6: Ipv6Net,
}

/// A machine of the lab.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    links: Vec<Link>,
    routes: Vec<Route>,
    forwards: bool,
}

/// A host's interface on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The network, and the interface's name.
    pub(crate) network: String,
    /// The host's number in the network.
    pub(crate) number: u16,
}

/// A static route of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// What it leads to.
    pub(crate) to: IpNet,
    /// The next hop, an address on one of the host's networks.
    pub(crate) via: IpAddr,
}

impl Topology {
    /// An empty plan.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a network with its two prefixes, such as `("wan", "10.77.1.0/24", "fd77:1::/64")`.
    #[must_use]
    pub fn network(mut self, name: &str, v4: &str, v6: &str) -> Self {
        assert!(self.network_named(name).is_none(), "network {name} is planned twice");
        self.networks.push(Network {
            name: checked(name),
            v4: v4.parse().expect("the plan names an IPv4 prefix"),
            v6: v6.parse().expect("the plan names an IPv6 prefix"),
        });
        self
    }

    /// Adds a host; the networks it is on must stand in the plan already.
    #[must_use]
    pub fn host(mut self, host: Host) -> Self {
        assert!(self.hosts.iter().all(|other| other.name != host.name), "host {} is planned twice", host.name);
        for link in &host.links {
            assert!(self.network_named(&link.network).is_some(), "network {} is not planned", link.network);
        }
        self.hosts.push(host);
        self
    }

    /// The planned networks.
    #[must_use]
    pub(crate) fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The planned hosts.
    #[must_use]
    pub(crate) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// A network of the plan.
    #[must_use]
    pub(crate) fn network_named(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// The IPv4 address of a host on a network.
    #[must_use]
    pub fn v4(&self, host: &str, network: &str) -> Ipv4Addr {
        let (network, number) = self.place(host, network);
        network.v4(number)
    }

    /// The IPv6 address of a host on a network.
    #[must_use]
    pub fn v6(&self, host: &str, network: &str) -> Ipv6Addr {
        let (network, number) = self.place(host, network);
        network.v6(number)
    }

    fn place(&self, host: &str, network: &str) -> (&Network, u16) {
        let planned = self.hosts.iter().find(|planned| planned.name == host);
        let link = planned.and_then(|host| host.links.iter().find(|link| link.network == network));
        let number = link.unwrap_or_else(|| panic!("host {host} is not on network {network}")).number;
        (self.network_named(network).expect("hosts are only on planned networks"), number)
    }
}

impl Network {
    /// The name; also that of the hosts' interfaces on it.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The IPv4 prefix.
    #[must_use]
    pub(crate) fn v4_prefix(&self) -> Ipv4Net {
        self.v4
    }

    /// The IPv6 prefix.
    #[must_use]
    pub(crate) fn v6_prefix(&self) -> Ipv6Net {
        self.v6
    }

    /// The IPv4 address with this number in the prefix.
    #[must_use]
    pub(crate) fn v4(&self, number: u16) -> Ipv4Addr {
        let address = Ipv4Addr::from_bits(self.v4.network().to_bits() + u32::from(number));
        assert!(self.v4.contains(&address), "{number} is outside {}", self.v4);
        address
    }

    /// The IPv6 address with this number in the prefix. The decimal digits are kept, so that host 11 is `…::11`.
    #[must_use]
    pub(crate) fn v6(&self, number: u16) -> Ipv6Addr {
        let digits = u128::from_str_radix(&number.to_string(), 16).expect("decimal digits are hexadecimal digits");
        Ipv6Addr::from_bits(self.v6.network().to_bits() + digits)
    }
}

impl Host {
    /// A host on no network yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: checked(name), links: Vec::new(), routes: Vec::new(), forwards: false }
    }

    /// Puts the host on a network under a number (from 1).
    #[must_use]
    pub fn on(mut self, network: &str, number: u16) -> Self {
        self.links.push(Link { network: network.to_owned(), number });
        self
    }

    /// Adds a static route.
    #[must_use]
    pub fn route(mut self, to: &str, via: &str) -> Self {
        let to = to.parse().expect("the plan names a prefix");
        let via = via.parse().expect("the plan names a next hop");
        self.routes.push(Route { to, via });
        self
    }

    /// Lets the host forward packets between its networks (a plain router; Gateways switch it on by themselves).
    #[must_use]
    pub fn forwarding(mut self) -> Self {
        self.forwards = true;
        self
    }

    /// The name.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its interfaces.
    #[must_use]
    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// Its static routes.
    #[must_use]
    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Whether it forwards.
    #[must_use]
    pub(crate) fn forwards(&self) -> bool {
        self.forwards
    }
}

fn checked(name: &str) -> String {
    let valid = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    assert!(valid, "'{name}' is no name for an interface: 1 to {LONGEST_NAME} of a-z, 0-9 and '-'");
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Topology {
        Topology::new().network("wan", "10.77.1.0/24", "fd77:1::/64").host(Host::new("alice").on("wan", 101))
    }

    #[test]
    fn addresses_follow_from_the_number() {
        assert_eq!(plan().v4("alice", "wan"), Ipv4Addr::new(10, 77, 1, 101));
        assert_eq!(plan().v6("alice", "wan").to_string(), "fd77:1::101");
    }

    #[test]
    #[should_panic(expected = "planned twice")]
    fn a_host_planned_twice_is_refused() {
        let _ = plan().host(Host::new("alice"));
    }

    #[test]
    #[should_panic(expected = "not planned")]
    fn a_host_on_an_unknown_network_is_refused() {
        let _ = plan().host(Host::new("bob").on("moon", 1));
    }
}
