//! The plan that the tests of the lab share: two machines on one network, and one behind a router.

use ringwall_chaos_tests::lab::topology::{Host, Topology};

/// `alice` and `router` on `wan`; `web` behind the router on `office`, with a way back.
pub(crate) fn two_networks() -> Topology {
    Topology::new()
        .network("wan", "10.77.1.0/24", "fd77:1::/64")
        .network("office", "10.20.0.0/24", "fd20::/64")
        .host(Host::new("alice").on("wan", 101).route("10.20.0.0/24", "10.77.1.21").route("fd20::/64", "fd77:1::21"))
        .host(Host::new("router").on("wan", 21).on("office", 2).forwarding())
        .host(Host::new("web").on("office", 10).route("10.77.1.0/24", "10.20.0.2").route("fd77:1::/64", "fd20::2"))
}

/// The smallest lab.
pub(crate) fn one_host() -> Topology {
    Topology::new().network("wan", "10.77.1.0/24", "fd77:1::/64").host(Host::new("alone").on("wan", 1))
}
