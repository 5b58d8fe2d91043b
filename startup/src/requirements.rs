//! What a program that moves packets needs of the kernel, asked for before anything is begun.

use std::fs::OpenOptions;

use rustix::thread::CapabilitySet;

use crate::obstacle::{Obstacle, Refusal};

/// Where the kernel makes TUN devices.
const TUN: &str = "/dev/net/tun";

/// What is missing, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// `CAP_NET_ADMIN`.
    #[error("the capability CAP_NET_ADMIN is missing, which tunnels, routes and nftables need; {}", Obstacle::NoNetworkAdmin.advice())]
    NetworkAdmin,
    /// There is no `/dev/net/tun`, or it cannot be opened.
    #[error("cannot open {TUN}: {0}")]
    Tun(Refusal),
}

/// Asks the kernel whether this process may change the network.
///
/// # Errors
/// [`Missing::NetworkAdmin`].
pub fn network_admin() -> Result<(), Missing> {
    let held = rustix::thread::capabilities(None).map(|sets| sets.effective);
    if held.is_ok_and(|held| held.contains(CapabilitySet::NET_ADMIN)) { Ok(()) } else { Err(Missing::NetworkAdmin) }
}

/// Asks the kernel whether it has TUN devices.
///
/// # Errors
/// [`Missing::Tun`].
pub fn tun_device() -> Result<(), Missing> {
    let opened = OpenOptions::new().read(true).write(true).open(TUN);
    opened.map(drop).map_err(|error| Missing::Tun(Refusal::of_tun(error)))
}
