//! The flow that somebody asks about: `address:port`, `[v6]:port`, `name:port`, or an address to ping. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringwall_protocol::entitlement::Host;
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::rules::{Direction, Protocol};

use crate::administration::denial::Denial;

/// Stands for a host that was asked for by name: an address for documentation (RFC 5737), in no network.
const NAMED_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Echo request: type × 256 (RFC 792, RFC 4443).
const PING: (u16, u16) = (8 * 256, 128 * 256);

/// A flow that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub(super) flow: Flow,
    pub(super) names: ResolvedNames,
    /// The name that was asked for, in lower case.
    pub(super) name: Option<String>,
}

impl Question {
    /// Reads a destination for a protocol.
    ///
    /// # Errors
    /// [`Denial::Invalid`].
    pub(super) fn read(destination: &str, protocol: &str) -> Result<Self, Denial> {
        let destination = destination.trim();
        // What is a destination for another protocol contradicts this one.
        let some = Self::with_port(destination, Protocol::Tcp).is_some() || destination.parse::<IpAddr>().is_ok();
        let wrong = || {
            let message = "expected address:port, [v6]:port, name:port, or for icmp an address";
            if some { Denial::contradiction("destination", message) } else { Denial::field("destination", message) }
        };
        let ping = match protocol.to_ascii_lowercase().as_str() {
            "tcp" => return Self::with_port(destination, Protocol::Tcp).ok_or_else(wrong),
            "udp" => return Self::with_port(destination, Protocol::Udp).ok_or_else(wrong),
            "icmp" | "icmpv6" => destination.trim_matches(['[', ']']).parse::<IpAddr>().map_err(|_| wrong())?,
            _ => return Err(Denial::field("protocol", "expected tcp, udp or icmp")),
        };
        let (protocol, port) = if ping.is_ipv4() { (Protocol::Icmp, PING.0) } else { (Protocol::Icmpv6, PING.1) };
        let flow = Flow { direction: Direction::Up, protocol, remote: ping, port };
        Ok(Self::of(flow))
    }

    fn of(flow: Flow) -> Self {
        Self { flow, names: ResolvedNames::default(), name: None }
    }

    fn with_port(text: &str, protocol: Protocol) -> Option<Self> {
        let flow = |remote, port| Flow { direction: Direction::Up, protocol, remote, port };
        if let Ok(address) = text.parse::<SocketAddr>() {
            let flow = flow(address.ip().to_canonical(), address.port());
            return Some(Self::of(flow));
        }
        let (name, port) = text.rsplit_once(':')?;
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if name.is_empty() || name.contains([':', '[', ']', ' ', '/']) {
            return None;
        }
        let mut names: BTreeMap<Host, Vec<IpAddr>> = BTreeMap::new();
        let parents = name.match_indices('.').map(|(at, _)| Host::Domain(name[at + 1..].to_owned()));
        for host in parents.chain([Host::Name(name.clone())]) {
            names.insert(host, vec![NAMED_HOST]);
        }
        let flow = flow(NAMED_HOST, port.parse().ok()?);
        Some(Self { flow, names: ResolvedNames(names), name: Some(name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_addresses_with_ports_names_with_ports_or_hosts_to_ping() {
        let read = |destination, protocol| Question::read(destination, protocol).expect("a question");
        let web = read("10.20.0.10:443", "TCP").flow;
        assert_eq!((web.protocol, web.remote.to_string(), web.port), (Protocol::Tcp, "10.20.0.10".to_owned(), 443));
        assert_eq!(read("[fd20::10]:53", "udp").flow.remote.to_string(), "fd20::10");
        assert_eq!(read("10.20.0.10", "icmp").flow.port, 2048);
        assert_eq!(
            (read("fd20::10", "icmp").flow.protocol, read("fd20::10", "icmp").flow.port),
            (Protocol::Icmpv6, 32768)
        );
        let named = read("Web.Corp.example:443", "tcp");
        assert_eq!(named.names.0[&Host::Name("web.corp.example".to_owned())], [NAMED_HOST]);
        assert!(named.names.0.contains_key(&Host::Domain("corp.example".to_owned())));
        for (destination, protocol) in
            [("10.20.0.10", "tcp"), ("10.20.0.10:x", "udp"), ("web:1", "icmp"), ("h:1", "gre")]
        {
            assert!(Question::read(destination, protocol).is_err(), "{destination} {protocol}");
        }
    }
}
