//! The places at which a process can have been dialled: its knocks are bound to one of them (T22).

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use crate::spa::Destination;

/// The destinations of a listener on `listen`: every address of this machine if it listens on all, its own otherwise,
/// with the addresses in `told` that others are given (`address:port`; names are left out, they lead to one of ours).
#[must_use]
pub fn places<'a>(listen: SocketAddr, told: impl IntoIterator<Item = &'a String>) -> HashSet<Destination> {
    let told = told.into_iter().filter_map(|text| text.parse().ok());
    let here = if listen.ip().is_unspecified() { own_addresses() } else { vec![listen.ip()] };
    let here = here.into_iter().map(|address| SocketAddr::new(address, listen.port()));
    here.chain(told).map(Destination::of).collect()
}

/// The addresses of the interfaces in the network namespace of the calling thread; none if the kernel does not say.
fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return vec![] };
    let address = |storage: nix::sys::socket::SockaddrStorage| {
        let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
    };
    interfaces.filter_map(|interface| address(interface.address?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_listener_on_all_addresses_is_at_each_of_them_and_where_others_are_told() {
        let told = ["198.51.100.1:8443".to_owned(), "gateway.example:443".to_owned()];
        let places = places(at("0.0.0.0:443"), &told);
        assert!(places.contains(&Destination::of(at("127.0.0.1:443"))), "the loopback is an interface");
        assert!(places.contains(&Destination::of(at("198.51.100.1:8443"))));
        assert!(!places.contains(&Destination::of(at("127.0.0.1:444"))));
        assert!(!places.contains(&Destination::of(at("198.51.100.1:443"))));
    }

    #[test]
    fn a_listener_on_one_address_is_there_only() {
        let places = places(at("192.0.2.1:443"), &[]);
        assert_eq!(places, HashSet::from([Destination::of(at("192.0.2.1:443"))]));
    }
}
