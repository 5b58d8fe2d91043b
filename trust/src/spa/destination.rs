//! The place that was knocked on, as 8 bytes: a captured knock opens nothing elsewhere.

use std::net::{IpAddr, SocketAddr};

use crate::secret::sha256;

/// SHA-256 of (address ‖ port as dialled), cut to 8 bytes. IPv4 addresses mapped into IPv6 count as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(pub(super) [u8; 8]);

impl Destination {
    /// The destination of a knock on this address and port.
    #[must_use]
    pub fn of(dialled: SocketAddr) -> Self {
        let mut bytes = match dialled.ip().to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        bytes.extend(dialled.port().to_be_bytes());
        let [a, b, c, d, e, f, g, h, ..] = sha256(&bytes);
        Self([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_and_port_both_count_and_mapped_addresses_are_one() {
        let of = |text: &str| Destination::of(text.parse().expect("an address"));
        assert_eq!(of("192.0.2.1:443"), of("[::ffff:192.0.2.1]:443"));
        assert_ne!(of("192.0.2.1:443"), of("192.0.2.1:444"));
        assert_ne!(of("192.0.2.1:443"), of("192.0.2.2:443"));
        assert_ne!(of("[2001:db8::1]:443"), of("192.0.2.1:443"));
    }
}
