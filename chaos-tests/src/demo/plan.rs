//! The demonstration's plan: who stands where, and which page waits behind which condition.
//!
//! `state.yaml` says the same to the product; a test holds the two together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::lab::{
    servers::{iperf, slapd},
    topology::{Host, Topology},
};

/// The hosts that run Controllers, and the appliances' names; the first one's is given by the product.
pub(crate) const CONTROLLERS: [&str; 3] = ["controller-1", "controller-2", "controller-3"];

/// A Gateway of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlannedGateway {
    /// Host and appliance name.
    pub(crate) host: &'static str,
    /// The Site; also the name of the protected network.
    pub(crate) site: &'static str,
}

/// The Gateways: two before the office, one before the lab.
pub(crate) const GATEWAYS: [PlannedGateway; 3] = [
    PlannedGateway { host: "office-gw1", site: "office" },
    PlannedGateway { host: "office-gw2", site: "office" },
    PlannedGateway { host: "lab-gw1", site: "lab" },
];

/// A user of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedUser {
    /// User name, and the host of the user's device.
    pub(crate) name: &'static str,
    /// The password in `state.yaml`.
    pub(crate) password: &'static str,
}

/// May use both Sites.
pub const ALICE: PlannedUser = PlannedUser { name: "alice", password: "a wall with 1 door" };
/// May use the office only.
pub const BOB: PlannedUser = PlannedUser { name: "bob", password: "2 doors, no window" };

/// One of a partner's people, whom the partner's directory knows.
pub(crate) const LENA: PlannedUser = PlannedUser { name: slapd::USERS[0].0, password: slapd::PASSWORD };
/// A second device of hers.
pub(crate) const LENAS_OTHER_DEVICE: &str = "lenas-tablet";
/// The host with the partner's directory.
pub(crate) const DIRECTORY: &str = "directory";
/// The provider and the profile of the partner's people.
pub(crate) const PARTNER_PROVIDER: &str = "partner";

/// A host on the wide network that belongs to nobody of the Collective.
pub(crate) const STRANGER: &str = "stranger";
/// An address of the wide network at which nobody is.
pub(crate) const UNUSED: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 250);

/// A page everybody of the office may load.
pub(crate) const PORT_OPEN: u16 = 80;
/// A page behind a one-time password.
pub(crate) const PORT_OTP: u16 = 81;
/// A page behind the user's password, asked again.
pub(crate) const PORT_PASSWORD: u16 = 82;
/// A page for which a reason must be given.
pub(crate) const PORT_REASON: u16 = 83;
/// A page that is open only to devices in order; a message says what is missing.
pub(crate) const PORT_MESSAGE: u16 = 84;
/// A page to which alice is entitled by the name of its host, not by an address.
pub(crate) const PORT_NAMED: u16 = 85;
/// A page that nobody is entitled to.
pub(crate) const PORT_FORBIDDEN: u16 = 8080;
/// The UDP echo service.
pub(crate) const PORT_ECHO: u16 = 7;

/// All pages of a web host.
pub(crate) const PORTS: [u16; 7] =
    [PORT_OPEN, PORT_OTP, PORT_PASSWORD, PORT_REASON, PORT_MESSAGE, PORT_NAMED, PORT_FORBIDDEN];

/// The web host in the office that the steps use.
pub(crate) const OFFICE_WEB: &str = "office-web1";
/// The name server of the office.
pub(crate) const OFFICE_NAMES: &str = "office-names";
/// What it calls the web host.
pub(crate) const OFFICE_WEB_NAME: &str = "web.office.example";
/// The web host in the lab.
pub(crate) const LAB_WEB: &str = "lab-web1";

/// The file whose presence shows that a device is in order, as `state.yaml` names it; labs put their own in its place.
pub(crate) const ORDER_FILE: &str = "/run/ringwall-lab/demo-device-in-order";

/// In place of it `state.yaml` gets the certificate of the lab's own directory.
pub(crate) const DIRECTORY_AUTHORITY: &str = "PUT THE CERTIFICATE OF THE DIRECTORY'S AUTHORITY HERE";

/// Three Controllers, three Gateways, users, a directory and an unauthenticated host on one wide network; two protected
/// networks.
///
/// Protected hosts know their own network only: what comes back to a Client must come through the Gateway's translation.
#[must_use]
pub fn topology() -> Topology {
    let mut topology = Topology::new()
        .network("wan", "10.77.1.0/24", "fd77:1::/64")
        .network("office", "10.20.0.0/24", "fd20::/64")
        .network("lab", "10.30.0.0/24", "fd30::/64");
    for (host, number) in CONTROLLERS.iter().zip([11, 12, 13]) {
        topology = topology.host(Host::new(host).on("wan", number));
    }
    topology
        .host(Host::new("office-gw1").on("wan", 21).on("office", 2))
        .host(Host::new("office-gw2").on("wan", 22).on("office", 3))
        .host(Host::new("lab-gw1").on("wan", 31).on("lab", 2))
        .host(Host::new(OFFICE_WEB).on("office", 10))
        .host(Host::new("office-web2").on("office", 11))
        .host(Host::new(OFFICE_NAMES).on("office", 53))
        .host(Host::new(LAB_WEB).on("lab", 10))
        .host(Host::new(ALICE.name).on("wan", 101))
        .host(Host::new(BOB.name).on("wan", 102))
        .host(Host::new(LENA.name).on("wan", 103))
        .host(Host::new(LENAS_OTHER_DEVICE).on("wan", 104))
        .host(Host::new(DIRECTORY).on("wan", 50))
        .host(Host::new(STRANGER).on("wan", 200))
}

/// The plan for measuring what the kernel alone forwards: the same hops without a wall.
#[must_use]
pub(crate) fn bare_topology() -> Topology {
    Topology::new()
        .network("wan", "10.77.1.0/24", "fd77:1::/64")
        .network("office", "10.20.0.0/24", "fd20::/64")
        .host(Host::new(ALICE.name).on("wan", 101).route("10.20.0.0/24", "10.77.1.21"))
        .host(Host::new("router").on("wan", 21).on("office", 2).forwarding())
        .host(Host::new(OFFICE_WEB).on("office", 10).route("10.77.1.0/24", "10.20.0.2"))
}

/// A service on a protected host.
#[must_use]
pub(crate) fn service(topology: &Topology, host: &str, port: u16) -> SocketAddr {
    (address(topology, host), port).into()
}

/// The same over IPv6.
#[must_use]
pub(crate) fn service_v6(topology: &Topology, host: &str, port: u16) -> SocketAddr {
    (topology.v6(host, network_of(host)), port).into()
}

/// The IPv4 address of a protected host.
#[must_use]
pub(crate) fn address(topology: &Topology, host: &str) -> IpAddr {
    topology.v4(host, network_of(host)).into()
}

/// Where iperf3 listens.
#[must_use]
pub(crate) fn iperf_port() -> u16 {
    iperf::PORT
}

fn network_of(host: &str) -> &str {
    host.split('-').next().unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The group of the directory that `state.yaml` speaks of; lena's own group is in it.
    const PARTNER_GROUP: &str = "staff";

    #[test]
    fn the_state_speaks_of_the_plan() {
        let state = include_str!("state.yaml");
        for user in [ALICE, BOB] {
            assert!(state.contains(&format!("name: {}", user.name)), "{}", user.name);
            assert!(state.contains(&format!("password: {}", user.password)), "{}'s password", user.name);
        }
        for port in [PORT_OPEN, PORT_OTP, PORT_PASSWORD, PORT_REASON, PORT_MESSAGE, PORT_NAMED, PORT_ECHO, iperf_port()]
        {
            assert!(state.contains(&format!("\"{port}\"")), "port {port}");
        }
        assert!(!state.contains(&PORT_FORBIDDEN.to_string()), "nobody is entitled to it");
        assert!(state.contains(ORDER_FILE) && state.contains(DIRECTORY_AUTHORITY));
        assert!(
            state.contains(&format!("\"{PARTNER_GROUP}\"")) && state.contains(&format!("name: {PARTNER_PROVIDER}"))
        );
        assert!(state.contains(slapd::READER_PASSWORD));
        assert!(state.contains(&topology().v4(DIRECTORY, "wan").to_string()));
        let topology = topology();
        assert!(state.contains(&format!("dns://{OFFICE_WEB_NAME}")));
        for host in [OFFICE_WEB, OFFICE_NAMES, LAB_WEB] {
            assert!(state.contains(&address(&topology, host).to_string()), "{host}");
        }
    }

    #[test]
    fn the_expressions_of_the_state_need_no_interpreter() {
        let state = include_str!("state.yaml");
        let sources: Vec<&str> = state.lines().filter_map(|line| line.strip_prefix("expression: ")).collect();
        assert!(sources.len() >= 5, "{sources:?}");
        for source in sources {
            let expression = ringwall_protocol::expression::Expression::compile(source).expect(source);
            assert!(expression.is_direct(), "{source}");
        }
    }
}
