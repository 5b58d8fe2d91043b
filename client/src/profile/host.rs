//! The host of a profile: a DNS name or address, and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Where Controllers answer unless a profile says otherwise.
pub(crate) const DEFAULT_PORT: u16 = 443;
/// Longest DNS name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// A host with its port. DNS names are kept in lower case, since they make profiles equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProfileHost {
    name: String,
    port: u16,
}

/// A text was no `host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a host like controller.example.com, 192.0.2.1:443 or [2001:db8::1]:443, got {0:?}")]
pub(crate) struct InvalidHost(String);

impl ProfileHost {
    /// The name or address, without brackets.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `host:port`, always with the port.
    #[must_use]
    pub(crate) fn authority(&self) -> String {
        match self.name.parse::<IpAddr>() {
            Ok(IpAddr::V6(v6)) => format!("[{v6}]:{}", self.port),
            _ => format!("{}:{}", self.name, self.port),
        }
    }
}

impl FromStr for ProfileHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        split(text).ok_or_else(|| InvalidHost(text.chars().take(64).collect()))
    }
}

impl fmt::Display for ProfileHost {
    /// Without the port where it is [`DEFAULT_PORT`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.authority();
        let short = authority.strip_suffix(":443").filter(|_| self.port == DEFAULT_PORT);
        f.write_str(short.unwrap_or(&authority))
    }
}

fn split(text: &str) -> Option<ProfileHost> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = if after.is_empty() { DEFAULT_PORT } else { port(after.strip_prefix(':')?)? };
        return Some(ProfileHost { name: address.to_string(), port });
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, digits)) => (name, port(digits)?),
        None => (text, DEFAULT_PORT),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let good = name.len() <= MAX_NAME && name.trim_end_matches('.').split('.').all(label);
    good.then(|| ProfileHost { name: name.to_ascii_lowercase(), port })
}

fn port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|port| *port != 0)
}
