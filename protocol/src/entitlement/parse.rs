//! The text of an action's hosts, ports and types, read into ranges. What cannot be enforced is refused by name.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Action, ActionKind, MAX_ENTRIES, Subtype};
use crate::form::network;
use crate::rules::{Direction, Protocol};

/// An action as the compiler of rule sets takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedAction {
    /// What it does.
    pub kind: ActionKind,
    /// Protocol and direction; absent for `exclude`.
    pub flow: Option<(Protocol, Direction)>,
    /// Hosts.
    pub hosts: Vec<Host>,
    /// Inclusive ranges of ports, or of `type × 256 + code`; whole for protocols without ports.
    pub ports: Vec<(u16, u16)>,
}

/// A host of an action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Host {
    /// Addresses from first to last, of one family.
    Range(IpAddr, IpAddr),
    /// A DNS name, to be resolved at the Gateway; lower case.
    Name(String),
    /// Every name below a domain, at any depth, not the domain itself; filled from the answers that the Client gets.
    Domain(String),
}

impl Host {
    /// Whether `name` (lower case, no dot at its end) is this host or lies below this domain.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::Range(..) => false,
            Self::Name(own) => own == name,
            Self::Domain(domain) => name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.')),
        }
    }

    /// Whether it stands for addresses that a name server knows.
    #[must_use]
    pub const fn is_named(&self) -> bool {
        !matches!(self, Self::Range(..))
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Range(first, last) if first == last => write!(f, "{first}"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
            Self::Name(name) => write!(f, "dns://{name}"),
            Self::Domain(domain) => write!(f, "domain://{domain}"),
        }
    }
}

/// Why an action is refused, with the field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ActionError {
    /// `subtype`, `hosts`, `ports` or `types`.
    pub field: &'static str,
    /// What was wrong and what is expected.
    pub message: String,
    /// The action is well formed, but cannot be enforced yet.
    pub(crate) unsupported: bool,
    /// Each part is well formed, but they do not go together.
    pub contradiction: bool,
}

impl Action {
    /// Reads the action.
    ///
    /// # Errors
    /// The first field that is wrong or cannot be enforced.
    pub fn parse(&self) -> Result<ParsedAction, ActionError> {
        let flow = self.flow()?;
        if self.hosts.is_empty() || self.hosts.len() > MAX_ENTRIES {
            return Err(wrong("hosts", format!("1 to {MAX_ENTRIES} hosts are expected, got {}", self.hosts.len())));
        }
        let hosts = self.hosts.iter().map(|text| parse_host(text)).collect::<Result<Vec<_>, _>>()?;
        let v6_wanted = match flow {
            Some((Protocol::Icmp, _)) => Some(false),
            Some((Protocol::Icmpv6, _)) => Some(true),
            _ => None,
        };
        if let Some(v6) = v6_wanted
            && hosts.iter().any(|host| matches!(host, Host::Range(first, _) if first.is_ipv6() != v6))
        {
            return Err(contradiction("hosts", "icmp takes IPv4 addresses, icmpv6 takes IPv6 addresses".to_owned()));
        }
        Ok(ParsedAction {
            kind: self.action,
            flow,
            hosts,
            ports: self.port_ranges(flow.map(|(protocol, _)| protocol))?,
        })
    }

    fn flow(&self) -> Result<Option<(Protocol, Direction)>, ActionError> {
        let Some(subtype) = self.subtype else {
            if self.action == ActionKind::Exclude {
                return Ok(None);
            }
            return Err(contradiction("subtype", "a subtype is wanted unless the action is exclude".to_owned()));
        };
        subtype.flow().map(Some).ok_or_else(|| ActionError {
            field: "subtype",
            message: "http_up cannot be enforced yet; use tcp_up with the server's address and port".to_owned(),
            unsupported: true,
            contradiction: false,
        })
    }

    fn port_ranges(&self, protocol: Option<Protocol>) -> Result<Vec<(u16, u16)>, ActionError> {
        let whole = vec![(0, u16::MAX)];
        let none = |field, list: &[String]| {
            if list.is_empty() { Ok(()) } else { Err(contradiction(field, "not valid for this subtype".to_owned())) }
        };
        match protocol {
            Some(Protocol::Tcp | Protocol::Udp) => {
                none("types", &self.types)?;
                if self.ports.is_empty() { Ok(whole) } else { parse_ranges("ports", &self.ports, u16::MAX) }
            }
            Some(Protocol::Icmp | Protocol::Icmpv6) => {
                none("ports", &self.ports)?;
                if self.types.is_empty() {
                    return Ok(whole);
                }
                let types = parse_ranges("types", &self.types, 255)?;
                Ok(types.into_iter().map(|(first, last)| (first * 256, last * 256 + 255)).collect())
            }
            Some(Protocol::Ah | Protocol::Esp | Protocol::Gre) | None => {
                none("types", &self.types)?;
                none("ports", &self.ports)?;
                Ok(whole)
            }
        }
    }
}

impl Subtype {
    /// Protocol and direction; `None` for `http_up`.
    #[must_use]
    pub const fn flow(self) -> Option<(Protocol, Direction)> {
        Some(match self {
            Self::TcpUp => (Protocol::Tcp, Direction::Up),
            Self::TcpDown => (Protocol::Tcp, Direction::Down),
            Self::UdpUp => (Protocol::Udp, Direction::Up),
            Self::UdpDown => (Protocol::Udp, Direction::Down),
            Self::IcmpUp => (Protocol::Icmp, Direction::Up),
            Self::IcmpDown => (Protocol::Icmp, Direction::Down),
            Self::Icmpv6Up => (Protocol::Icmpv6, Direction::Up),
            Self::Icmpv6Down => (Protocol::Icmpv6, Direction::Down),
            Self::AhUp => (Protocol::Ah, Direction::Up),
            Self::AhDown => (Protocol::Ah, Direction::Down),
            Self::EspUp => (Protocol::Esp, Direction::Up),
            Self::EspDown => (Protocol::Esp, Direction::Down),
            Self::GreUp => (Protocol::Gre, Direction::Up),
            Self::GreDown => (Protocol::Gre, Direction::Down),
            Self::HttpUp => return None,
        })
    }
}

fn wrong(field: &'static str, message: String) -> ActionError {
    ActionError { field, message, unsupported: false, contradiction: false }
}

fn contradiction(field: &'static str, message: String) -> ActionError {
    ActionError { contradiction: true, ..wrong(field, message) }
}

fn parse_host(text: &str) -> Result<Host, ActionError> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Host::Range(address, address));
    }
    if let Some(net) = network(text) {
        return Ok(Host::Range(net.network(), net.broadcast()));
    }
    if let Some((first, last)) = text.split_once('-')
        && let (Ok(first), Ok(last)) = (first.trim().parse::<IpAddr>(), last.trim().parse::<IpAddr>())
    {
        if first.is_ipv4() == last.is_ipv4() && first <= last {
            return Ok(Host::Range(first, last));
        }
        return Err(wrong("hosts", format!("{text:?} is not a range from a lower to a higher address")));
    }
    for scheme in ["aws://", "azure://", "gcp://", "esx://", "illumio://"] {
        if text.starts_with(scheme) {
            let message = format!("{scheme} names cannot be resolved yet; use addresses or dns:// names");
            return Err(ActionError { field: "hosts", message, unsupported: true, contradiction: false });
        }
    }
    if let Some(domain) = text.strip_prefix("domain://").or_else(|| text.strip_prefix("*.")) {
        return Ok(Host::Domain(parse_name(domain)?));
    }
    Ok(Host::Name(parse_name(text.strip_prefix("dns://").unwrap_or(text))?))
}

/// A DNS name in lower case (RFC 1123 §2.1: labels of 1–63 letters, digits and hyphens; at most 253 bytes).
fn parse_name(text: &str) -> Result<String, ActionError> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Err(wrong("hosts", format!("{text:?} is no address, prefix, range or DNS name")));
    }
    Ok(name)
}

fn parse_ranges(field: &'static str, entries: &[String], highest: u16) -> Result<Vec<(u16, u16)>, ActionError> {
    let mut ranges = Vec::new();
    for entry in entries.iter().flat_map(|entry| entry.split(',')).map(str::trim).filter(|entry| !entry.is_empty()) {
        let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) if first <= last && last <= highest => ranges.push((first, last)),
            _ => return Err(wrong(field, format!("{entry:?} is no number or range within 0-{highest}"))),
        }
    }
    if ranges.is_empty() || ranges.len() > MAX_ENTRIES {
        return Err(wrong(field, format!("1 to {MAX_ENTRIES} entries are expected, got {}", ranges.len())));
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(subtype: Option<Subtype>, hosts: &[&str], ports: &[&str], types: &[&str]) -> Action {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Action { subtype, action: ActionKind::Allow, hosts: own(hosts), ports: own(ports), types: own(types) }
    }

    #[test]
    fn hosts_ports_and_types_become_ranges() {
        let parsed = action(
            Some(Subtype::TcpUp),
            &["10.0.0.0/24", "10.0.1.5-10.0.1.9", "Web.Example.com", "*.corp.example"],
            &["80,443", "8000-8080"],
            &[],
        )
        .parse()
        .expect("valid");
        assert_eq!(parsed.ports, [(80, 80), (443, 443), (8000, 8080)]);
        assert_eq!(parsed.hosts[0], Host::Range("10.0.0.0".parse().expect("ip"), "10.0.0.255".parse().expect("ip")));
        assert_eq!(parsed.hosts[2], Host::Name("web.example.com".to_owned()));
        assert_eq!(parsed.hosts[3], Host::Domain("corp.example".to_owned()));
        let ping = action(Some(Subtype::IcmpUp), &["10.0.0.1"], &[], &["8"]).parse().expect("valid");
        assert_eq!(ping.ports, [(2048, 2303)]);
    }

    #[test]
    fn a_domain_covers_what_lies_below_it_and_not_itself_or_its_namesakes() {
        let domain = Host::Domain("corp.example".to_owned());
        assert!(domain.covers("www.corp.example") && domain.covers("a.b.corp.example"));
        for other in ["corp.example", "xcorp.example", ".corp.example.evil", "www.corp.example.evil", ""] {
            assert!(!domain.covers(other), "{other}");
        }
        assert!(Host::Name("a.example".to_owned()).covers("a.example"));
        assert!(!Host::Name("a.example".to_owned()).covers("b.a.example"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        let field = |action: Action| action.parse().expect_err("refused").field;
        assert_eq!(field(action(None, &["10.0.0.1"], &[], &[])), "subtype");
        assert_eq!(field(action(Some(Subtype::TcpUp), &["10.0.0.999"], &[], &[])), "hosts");
        assert_eq!(field(action(Some(Subtype::TcpUp), &["10.0.0.9-10.0.0.1"], &[], &[])), "hosts");
        assert_eq!(field(action(Some(Subtype::TcpUp), &["10.0.0.1"], &["0-70000"], &[])), "ports");
        assert_eq!(field(action(Some(Subtype::TcpUp), &["10.0.0.1"], &[], &["8"])), "types");
        assert_eq!(field(action(Some(Subtype::Icmpv6Up), &["10.0.0.1"], &[], &[])), "hosts");
        assert!(action(Some(Subtype::HttpUp), &["10.0.0.1"], &[], &[]).parse().expect_err("refused").unsupported);
        assert!(action(Some(Subtype::TcpUp), &["aws://tag:web"], &[], &[]).parse().expect_err("refused").unsupported);
    }
}
