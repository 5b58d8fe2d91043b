//! Where an element stands in the kernel: the set or map, and its key there.

use std::net::IpAddr;

use super::ruleset::address_bytes;
use super::skeleton::{SESSIONS4, SESSIONS6};

/// Set and key of one element.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) set: &'static str,
    pub(super) key: Vec<u8>,
}

impl Place {
    /// The map element that leads from a tunnel address to the mark of its session's rule set.
    pub(super) fn of_session(address: IpAddr) -> Self {
        let set = if address.is_ipv4() { SESSIONS4 } else { SESSIONS6 };
        Self { set, key: address_bytes(address) }
    }
}
