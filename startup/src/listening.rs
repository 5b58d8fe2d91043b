//! What is said of a port that cannot be had.

use std::io;
use std::net::SocketAddr;

use crate::obstacle::Refusal;

/// A port of the configuration cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({what}): {why}")]
pub struct CannotListen {
    address: SocketAddr,
    what: String,
    why: Refusal,
}

impl CannotListen {
    /// A refusal of `address`; `what` says what the port is for, or which key of the configuration names it.
    #[must_use]
    pub fn new(address: SocketAddr, what: &str, error: io::Error) -> Self {
        Self { address, what: what.to_owned(), why: Refusal::of_port(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_cannot_be_had_is_named_with_what_it_is_for_and_what_to_do() {
        let address = SocketAddr::from(([192, 0, 2, 1], 443));
        let said = CannotListen::new(address, "client API", io::ErrorKind::AddrInUse.into()).to_string();
        assert!(said.starts_with("cannot listen on 192.0.2.1:443 (client API): "), "{said}");
        assert!(said.contains("`ss -lntup` shows which"), "{said}");
    }
}
