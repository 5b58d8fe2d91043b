//! A Site as the worker sees it: routes and addresses, and the tunnel if there is one at the moment.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ringwall_protocol::id::SiteId;
use ringwall_tunnel::counters::Traffic;
use ringwall_tunnel::link::LinkSlot;
use ringwall_tunnel::side::Peer;

/// What the worker knows of one Site. Without a tunnel it still holds its routes, as a hole that swallows packets.
pub(super) struct Site {
    pub(super) id: SiteId,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) routes: RefCell<Vec<IpNet>>,
    pub(super) primary: Cell<bool>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) link: LinkSlot,
}

impl Site {
    /// What decides between equal prefixes of two Sites.
    pub(super) const fn preference(&self) -> (bool, Reverse<SiteId>) {
        (self.primary.get(), Reverse(self.id))
    }
}

impl Peer for Site {
    fn link(&self) -> &LinkSlot {
        &self.link
    }
}
