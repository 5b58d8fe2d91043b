//! Where a Controller may be made to connect to by what administrators write into providers. A host name in an object
//! is a request to speak to it from inside: without a bound it would reach this machine's own services and the metadata
//! service of a cloud (server-side request forgery).
//!
//! A name is resolved once, every address is judged, and exactly a judged address is dialled: a name that changes its
//! mind in between gains nothing.

pub(crate) mod tls;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

/// How long a name may take to resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one address may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;

/// What the Controller's configuration file permits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbound {
    /// This machine itself, and link-local addresses, too.
    pub allow_local: bool,
    /// Only these networks; empty: all others.
    pub networks: Vec<IpNet>,
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The configuration does not permit it.
    #[error("{host} is {address}, to which this controller's configuration does not permit connections")]
    Forbidden {
        /// As it was written.
        host: String,
        /// What it came to.
        address: IpAddr,
    },
    /// No such name.
    #[error("{host} cannot be resolved: {cause}")]
    Unresolved {
        /// As it was written.
        host: String,
        /// What the resolver says.
        cause: String,
    },
    /// Nobody listens, or not in time.
    #[error("{host} ({address}) cannot be reached: {cause}")]
    Unreachable {
        /// As it was written.
        host: String,
        /// The last address that was tried.
        address: SocketAddr,
        /// What the system says.
        cause: String,
    },
}

impl Outbound {
    /// Whether an address may be dialled, as far as the address tells.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = embedded(address);
        (self.allow_local || !is_local(address))
            && !is_never(address)
            && (self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address)))
    }

    /// What is wrong with a host as it is written; names are judged when they are resolved.
    #[must_use]
    pub fn fault(&self, host: &str) -> Option<String> {
        if let Some(address) = literal(host) {
            let message = "is an address to which this controller's configuration ([providers]) permits no connections";
            return (!self.permits(address)).then(|| message.to_owned());
        }
        if !is_host_name(host) {
            return Some("is a host name or an address, without port".to_owned());
        }
        let local = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
        (local && !self.allow_local).then(|| "is this controller itself; its configuration permits no such".to_owned())
    }

    /// The addresses of a host that may be dialled.
    ///
    /// # Errors
    /// [`OutboundError`], also if every address is forbidden.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutboundError> {
        let unresolved = |cause: String| OutboundError::Unresolved { host: host.to_owned(), cause };
        let found: Vec<SocketAddr> = match literal(host) {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => timeout(RESOLVE_TIMEOUT, lookup_host((host, port)))
                .await
                .map_err(|_| unresolved("no answer in time".to_owned()))?
                .map_err(|error| unresolved(error.to_string()))?
                .take(MAX_ADDRESSES)
                .collect(),
        };
        let first = found.first().copied().ok_or_else(|| unresolved("no addresses".to_owned()))?;
        let mut permitted = Vec::new();
        for address in found {
            if self.permits(address.ip()) && (self.allow_local || !is_own(address).await) {
                permitted.push(address);
            }
        }
        if permitted.is_empty() {
            return Err(OutboundError::Forbidden { host: host.to_owned(), address: first.ip() });
        }
        Ok(permitted)
    }

    /// A connection to the first address of a host that answers.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, OutboundError> {
        let addresses = self.resolve(host, port).await?;
        let mut last = OutboundError::Unresolved { host: host.to_owned(), cause: "no addresses".to_owned() };
        for address in addresses {
            let cause = match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            last = OutboundError::Unreachable { host: host.to_owned(), address, cause };
        }
        Err(last)
    }
}

/// An address as text, in brackets or not.
fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// The IPv4 address inside an IPv6 one that leads to it: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address.to_canonical() else { return address.to_canonical() };
    let parts = six.segments();
    let four = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match parts {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        [0x2002, high, low, ..] => four(high, low),
        _ => IpAddr::V6(six),
    }
}

/// This machine, its links, and the metadata services of clouds, which answer whoever can reach them.
fn is_local(address: IpAddr) -> bool {
    const METADATA: [IpAddr; 3] = [
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    ];
    let local = match address {
        IpAddr::V4(four) => four.is_loopback() || four.is_link_local(),
        IpAddr::V6(six) => six.is_loopback() || six.is_unicast_link_local(),
    };
    local || METADATA.contains(&address)
}

/// What is nobody's address.
fn is_never(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.octets()[0] == 0 || four.is_multicast() || four.is_broadcast(),
        IpAddr::V6(six) => six.is_unspecified() || six.is_multicast(),
    }
}

/// Whether an address is one of this machine's own: the kernel would speak to it from itself. Nothing is sent.
async fn is_own(address: SocketAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let Ok(socket) = UdpSocket::bind((any, 0)).await else { return false };
    socket.connect(address).await.is_ok() && socket.local_addr().is_ok_and(|local| local.ip() == address.ip())
}

/// A name as RFC 1123 §2.1 has it.
fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    // What ends in a number is read as an address in forms that nobody expects (`0x7f.1`, `2130706433`).
    let numeric = name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    (1..=253).contains(&name.len()) && name.split('.').all(label) && !numeric
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAREFUL: Outbound = Outbound { allow_local: false, networks: Vec::new() };

    #[test]
    fn providers_are_never_this_machine_or_a_metadata_service() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "::",
            "169.254.169.254",
            "fe80::1",
            "100.100.100.200",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
            "168.63.129.16",
        ] {
            assert!(!CAREFUL.permits(address.parse().expect("an address")), "{address}");
            assert!(CAREFUL.fault(address).is_some(), "{address}");
        }
        for address in ["10.0.0.5", "192.0.2.1", "2001:db8::1", "fd12::1"] {
            assert!(CAREFUL.permits(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn hosts_that_hide_an_address_are_no_names() {
        for host in [
            "localhost",
            "LOCALHOST",
            "x.localhost",
            "2130706433",
            "0x7f.1",
            "127.1",
            "a b",
            "",
            "-a",
            "a:1",
            "[::1]",
            "a/b",
            "h.0x7f000001",
        ] {
            assert!(CAREFUL.fault(host).is_some(), "{host}");
        }
        for host in ["ldap.corp.example", "dc-1", "ldap.corp.example.", "10.1.2.3", "2001:db8::1"] {
            assert_eq!(CAREFUL.fault(host), None, "{host}");
        }
    }

    #[test]
    fn a_list_of_networks_permits_nothing_else() {
        let outbound = Outbound { allow_local: false, networks: vec!["10.1.0.0/16".parse().expect("a prefix")] };
        assert!(outbound.permits("10.1.2.3".parse().expect("an address")));
        assert!(!outbound.permits("10.2.2.3".parse().expect("an address")));
        let local = Outbound { allow_local: false, networks: vec!["127.0.0.0/8".parse().expect("a prefix")] };
        assert!(!local.permits("127.0.0.1".parse().expect("an address")), "a list does not make it harmless");
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_is_not_dialled() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let refused = CAREFUL.connect("localhost", port).await;
        assert!(matches!(refused, Err(OutboundError::Forbidden { .. })), "{refused:?}");
        let open = Outbound { allow_local: true, networks: Vec::new() };
        assert!(open.connect("127.0.0.1", port).await.is_ok());
    }

    #[tokio::test]
    async fn own_addresses_are_known_without_a_list() {
        assert!(is_own("127.0.0.1:9".parse().expect("an address")).await);
        assert!(!is_own("192.0.2.1:9".parse().expect("an address")).await);
    }
}
