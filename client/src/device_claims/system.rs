//! Facts about the operating system, from its own files. What cannot be read is empty.

use std::fs;
use std::net::IpAddr;

/// The interesting part of `/etc/os-release` (freedesktop.org os-release(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OsRelease {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
}

pub(super) fn os_release() -> OsRelease {
    let text = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    parse_os_release(&text.unwrap_or_default())
}

pub(super) fn parse_os_release(text: &str) -> OsRelease {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).chars().take(128).collect()
    };
    OsRelease { id: value("ID"), name: value("NAME"), version: value("VERSION_ID") }
}

pub(super) fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Seconds since the machine was started.
pub(super) fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}

/// Addresses of the machine's interfaces without loopback, link-local ones and our own, in order.
pub(super) fn addresses(own: &[IpAddr]) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = v4_addresses().into_iter().chain(v6_addresses()).collect();
    found.retain(|address| {
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        !(address.is_loopback() || link_local || own.contains(address))
    });
    found.sort_unstable();
    found.dedup();
    found
}

/// The kernel lists local addresses in its routing trie: `|-- <address>` followed by `/32 host LOCAL`.
fn v4_addresses() -> Vec<IpAddr> {
    let text = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut last = None;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<IpAddr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    found
}

fn v6_addresses() -> Vec<IpAddr> {
    let text = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let address = |line: &str| u128::from_str_radix(line.split_whitespace().next()?, 16).ok();
    text.lines().filter_map(address).map(|bits| std::net::Ipv6Addr::from(bits).into()).collect()
}
