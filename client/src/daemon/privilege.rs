//! Whether this process may make a TUN device, addresses and routes.

use rustix::thread::CapabilitySet;

use crate::failure::{Exit, Failure};

/// Asks the kernel for `CAP_NET_ADMIN` before anything else is begun.
pub(super) fn check_network_admin() -> Result<(), Failure> {
    let held = rustix::thread::capabilities(None).map(|sets| sets.effective);
    if held.is_ok_and(|held| held.contains(CapabilitySet::NET_ADMIN)) {
        return Ok(());
    }
    Err(Failure::message(
        Exit::Privilege,
        "a tunnel needs the capability CAP_NET_ADMIN, which this process does not have",
        "run it as root, or: setcap cap_net_admin+ep $(command -v ringwall)",
    ))
}
