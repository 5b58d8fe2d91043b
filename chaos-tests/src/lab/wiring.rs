//! From a plan to namespaces, bridges, veth pairs, addresses and routes.
//!
//! Nothing is ever made in the namespace of the machine itself: both ends of each pair are born inside the lab. The
//! `ip` commands are composed by pure functions, one batch per namespace.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::{
    namespace::Namespace,
    topology::{Host, Topology},
    wait,
};

/// The interface of a network's bridge in its namespace.
const BRIDGE: &str = "bridge";

/// Builds everything that the plan says. `create` makes (and records) the namespace of a host or network by short name.
pub(super) fn build(
    topology: &Topology,
    mut create: impl FnMut(&str) -> Result<Namespace>,
) -> Result<BTreeMap<String, Namespace>> {
    let mut namespaces = BTreeMap::new();
    for network in topology.networks() {
        let short = bridge_namespace(network.name());
        let namespace = create(&short)?;
        namespace.ip_batch(BRIDGE_COMMANDS)?;
        namespaces.insert(short, namespace);
    }
    for host in topology.hosts() {
        let namespace = create(host.name())?;
        quiet_ipv6(&namespace)?;
        same_congestion_control(&namespace)?;
        if host.forwards() {
            namespace.sysctl("net.ipv4.ip_forward", "1")?;
            namespace.sysctl("net.ipv6.conf.all.forwarding", "1")?;
        }
        for link in host.links() {
            let bridge = &namespaces[&bridge_namespace(&link.network)];
            bridge.ip_batch(&port_commands(host.name(), &link.network, namespace.name()))?;
        }
        namespace.ip_batch(&host_commands(topology, host))?;
        namespaces.insert(host.name().to_owned(), namespace);
    }
    for namespace in namespaces.values() {
        wait::until_ok(&format!("links of {} to come up", namespace.name()), READY, || all_links_carry(namespace))?;
    }
    Ok(namespaces)
}

/// The short name of the namespace that holds a network's bridge.
fn bridge_namespace(network: &str) -> String {
    format!("net-{network}")
}

/// The kernel switches links on in the background; a packet sent before that, the question for a neighbour's address say,
/// is lost and repeated only after a second.
const READY: Duration = Duration::from_secs(10);

/// Fails with the name of the first link that does not carry packets yet.
fn all_links_carry(namespace: &Namespace) -> Result<()> {
    let links: Value = serde_json::from_str(&namespace.output("ip", &["-json", "-details", "link", "show"])?)?;
    for link in links.as_array().into_iter().flatten() {
        // A bridge's own state follows late and does not matter to its ports.
        let exempt = link["link_type"] == "loopback" || link["linkinfo"]["info_kind"] == "bridge";
        let port = &link["linkinfo"]["info_slave_data"]["state"];
        let carries = link["operstate"] == "UP" && (port.is_null() || port == "forwarding");
        ensure!(exempt || carries, "link {} is {}, port {port}", link["ifname"], link["operstate"]);
    }
    Ok(())
}

/// A bridge that forwards from the first packet on: no spanning tree, no learning of multicast groups.
const BRIDGE_COMMANDS: &str = "\
link add name bridge type bridge stp_state 0 forward_delay 0 mcast_snooping 0
link set dev bridge up
";

/// The lab's addresses are planned: no router advertisements, no waiting for duplicate address detection.
fn quiet_ipv6(namespace: &Namespace) -> Result<()> {
    for scope in ["all", "default"] {
        namespace.sysctl(&format!("net.ipv6.conf.{scope}.accept_ra"), "0")?;
        namespace.sysctl(&format!("net.ipv6.conf.{scope}.accept_dad"), "0")?;
    }
    Ok(())
}

/// A namespace takes the machine's congestion control over; figures are compared between machines, so it is the kernel's usual
/// one, or the one that every kernel has. What the kernel has and what a namespace may choose are two lists: one that is not in
/// the second is refused there, also to root (`EPERM`).
fn same_congestion_control(namespace: &Namespace) -> Result<()> {
    const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
    let allowed = namespace.enter(|| std::fs::read_to_string(ALLOWED))?.context("read what the kernel allows")?;
    let chosen = if allowed.split_whitespace().any(|name| name == "cubic") { "cubic" } else { "reno" };
    namespace.sysctl("net.ipv4.tcp_congestion_control", chosen)
}

/// Commands in the bridge's namespace: a pair whose other end is born in the host's namespace.
fn port_commands(host: &str, network: &str, host_namespace: &str) -> String {
    format!(
        "link add name {host} type veth peer name {network} netns {host_namespace}\n\
         link set dev {host} master {BRIDGE} up\n"
    )
}

/// Commands in the host's namespace.
fn host_commands(topology: &Topology, host: &Host) -> String {
    let mut commands = String::new();
    for link in host.links() {
        let network = topology.network_named(&link.network).expect("hosts are only on planned networks");
        let name = network.name();
        let v4 = format!("{}/{}", network.v4(link.number), network.v4_prefix().prefix_len());
        let v6 = format!("{}/{}", network.v6(link.number), network.v6_prefix().prefix_len());
        let _ = write!(
            commands,
            "address add {v4} brd + dev {name}\naddress add {v6} dev {name} nodad\nlink set dev {name} up\n"
        );
    }
    for route in host.routes() {
        let _ = writeln!(commands, "route add {} via {}", route.to, route.via);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_both_addresses_and_its_routes() {
        let host = Host::new("web1").on("office", 10).route("100.64.0.0/10", "10.20.0.2");
        let topology = Topology::new().network("office", "10.20.0.0/24", "fd20::/64").host(host.clone());
        assert_eq!(
            host_commands(&topology, &host),
            "address add 10.20.0.10/24 brd + dev office\n\
             address add fd20::10/64 dev office nodad\n\
             link set dev office up\n\
             route add 100.64.0.0/10 via 10.20.0.2\n"
        );
    }
}
