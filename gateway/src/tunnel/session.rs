//! A session as its owner worker sees it: addresses, gate, and the tunnel if it has one at the moment.

use std::cell::RefCell;
use std::sync::Arc;

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::id::SessionId;
use ringwall_tunnel::link::LinkSlot;
use ringwall_tunnel::side::Peer;

use super::fragments::FragmentBudget;
use super::grants::Gate;

/// What one worker knows of one session.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) addresses: SessionAddresses,
    pub(super) gate: Arc<Gate>,
    pub(super) fragments: RefCell<FragmentBudget>,
    pub(super) link: LinkSlot,
}

impl Session {
    pub(super) fn new(id: SessionId, addresses: SessionAddresses, gate: Arc<Gate>) -> Self {
        Self { id, addresses, gate, fragments: RefCell::default(), link: LinkSlot::default() }
    }
}

impl Peer for Session {
    fn link(&self) -> &LinkSlot {
        &self.link
    }
}
