//! What the firewall must know before it can be built: interface, pools, ports, how guarded, whom to log to.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};

/// A network interface's name: 1 to 15 bytes without `/`, white space or NUL (`dev_valid_name` in the kernel).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

/// A text is no interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an interface name of 1 to 15 bytes without '/' or white space, got {0:?}")]
pub struct InvalidInterfaceName(String);

impl InterfaceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InvalidInterfaceName;

    fn from_str(text: &str) -> Result<Self, InvalidInterfaceName> {
        let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
        let clean = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':');
        if fits && clean {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidInterfaceName(text.chars().take(64).collect()))
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may reach the Gateway's own ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Everybody: the time before SPA is switched on. Junk still leaves no connection-tracking entry.
    Open,
    /// SPA mode TCP: the TCP port takes every SYN (the knock is in the TLS hello), the UDP port only knocks and peers.
    Tcp,
    /// SPA mode UDP-TCP: a SYN passes only from a source that knocked.
    UdpTcp,
}

/// Source address translation toward the protected side (T34).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snat {
    /// The interface to the protected hosts.
    pub out: InterfaceName,
    /// Address that IPv4 flows get; none: untouched. Never a listener's address.
    pub v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub v6: Option<Ipv6Addr>,
    /// First and last port that a translated flow gets; none of this host's listeners is among them (T50).
    pub ports: (u16, u16),
}

impl Snat {
    /// Ports of translated flows: the usual range of ports that nobody listens on (`ip_local_port_range`).
    const PORTS: RangeInclusive<u16> = 32_768..=60_999;

    /// The widest part of the range 32768 to 60999 without any of these listeners' ports. An answer to a translated flow
    /// and a Client's packet to a listener must never look alike: else a session could take the Client's connection over
    /// (port shadowing, as in CVE-2021-3773).
    #[must_use]
    pub fn ports_beside(listeners: &[u16]) -> (u16, u16) {
        let (first, last) = (*Self::PORTS.start(), *Self::PORTS.end());
        let mut taken: Vec<u16> = listeners.iter().copied().filter(|port| Self::PORTS.contains(port)).collect();
        taken.sort_unstable();
        let begins = std::iter::once(first).chain(taken.iter().map(|port| port + 1));
        let ends = taken.iter().map(|port| port - 1).chain([last]);
        let parts = begins.zip(ends).filter(|(first, last)| first <= last);
        parts.max_by_key(|(first, last)| last - first).expect("a Gateway has fewer listeners than the range has ports")
    }
}

/// Everything that shapes the firewall's table.
#[derive(Debug, Clone)]
pub struct FirewallConfig {
    /// Name of the nftables table in family `inet`; lower-case letters, digits and `_`.
    pub table: String,
    /// The Gateway's one TUN interface.
    pub tun: InterfaceName,
    /// Tunnel addresses that may exist, IPv4.
    pub pools4: Vec<Ipv4Net>,
    /// Tunnel addresses that may exist, IPv6.
    pub pools6: Vec<Ipv6Net>,
    /// TCP port of the tunnel and websocket listeners.
    pub tcp_port: u16,
    /// UDP port of knocks and of DTLS.
    pub udp_port: u16,
    /// Who may reach these ports.
    pub guard: Guard,
    /// Source address translation, if the Site wants it.
    pub snat: Option<Snat>,
    /// NFLOG group of denied packets.
    pub denial_group: u16,
    /// NFLOG group of flows that `alert` rules let pass.
    pub alert_group: u16,
    /// Rule-set slots made ahead of need (256 by default; the kernel takes some 10 KB for each).
    pub slots_ahead: usize,
    /// Entries that connection tracking has room for: the sessions of one user may have a sixteenth.
    pub conntrack_entries: u32,
    /// Longest lease of the Site: tombstones outlive it by 60 s, and no mark gets another meaning within it.
    pub longest_lease: Duration,
}

impl FirewallConfig {
    /// The usual values for a TUN interface and pools: table `ringwall`, ports 443, mode UDP-TCP, no translation.
    #[must_use]
    pub fn new(tun: InterfaceName, pools4: Vec<Ipv4Net>, pools6: Vec<Ipv6Net>) -> Self {
        Self {
            table: "ringwall".to_owned(),
            tun,
            pools4,
            pools6,
            tcp_port: 443,
            udp_port: 443,
            guard: Guard::UdpTcp,
            snat: None,
            denial_group: 5,
            alert_group: 6,
            slots_ahead: 256,
            conntrack_entries: 1 << 20,
            longest_lease: Duration::from_secs(15),
        }
    }

    /// Everything that is wrong, all at once; empty: nothing.
    #[must_use]
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = vec![];
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.table.is_empty() || self.table.len() > 64 || !self.table.bytes().all(named) {
            problems.push(format!("table name {:?} is not made of lower-case letters, digits and _", self.table));
        }
        if self.tcp_port == 0 || self.udp_port == 0 {
            problems.push("a listener's port is 0".to_owned());
        }
        if self.denial_group == self.alert_group {
            problems.push(format!("denials and alerts share the NFLOG group {}", self.denial_group));
        }
        if self.pools4.is_empty() && self.pools6.is_empty() {
            problems.push("no pool of tunnel addresses".to_owned());
        }
        if self.snat.as_ref().is_some_and(|snat| snat.out == self.tun) {
            problems.push("translation toward the tunnel itself".to_owned());
        }
        let shares = |snat: &Snat| {
            let ports = snat.ports.0..=snat.ports.1;
            ports.is_empty() || ports.contains(&self.tcp_port) || ports.contains(&self.udp_port)
        };
        if self.snat.as_ref().is_some_and(shares) {
            problems.push("translated flows share ports with the Gateway's own listener".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_follow_the_kernels_rules() {
        for good in ["rw0", "a", "ringwall-tun-15"] {
            assert_eq!(good.parse::<InterfaceName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "sixteen-bytes-xx", "a b", "a/b", ".", "..", "a\0", "eth0:1"] {
            assert!(bad.parse::<InterfaceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_problem_of_a_configuration_is_named() {
        let tun: InterfaceName = "rw0".parse().expect("a name");
        let mut config = FirewallConfig::new(tun.clone(), vec![], vec![]);
        config.table = "Bad-Name".to_owned();
        config.udp_port = 0;
        config.alert_group = config.denial_group;
        config.snat = Some(Snat { out: tun, v4: None, v6: None, ports: (1, 443) });
        assert_eq!(config.problems().len(), 6);
    }

    #[test]
    fn translated_flows_get_the_widest_range_without_a_listener() {
        assert_eq!(Snat::ports_beside(&[443, 9_100]), (32_768, 60_999));
        assert_eq!(Snat::ports_beside(&[40_000]), (40_001, 60_999));
        assert_eq!(Snat::ports_beside(&[60_999, 50_000, 32_768]), (32_769, 49_999));
    }
}
