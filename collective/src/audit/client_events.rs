//! What is written down of Clients' requests and of appliances that join. Never tokens, cookies, keys, passwords or codes.

use std::net::IpAddr;

use ringwall_protocol::id::{CollectiveId, NodeId};
use ringwall_protocol::name::SessionDn;

use super::event::Event;

/// In whose name a Controller's events are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audit {
    collective: CollectiveId,
    node: NodeId,
}

impl Audit {
    /// Events of a node of a Collective.
    pub(crate) const fn new(collective: CollectiveId, node: NodeId) -> Self {
        Self { collective, node }
    }

    /// An event of this Controller about a session, or about nobody in particular.
    pub(crate) fn event(&self, kind: &'static str, who: Option<&SessionDn>, from: IpAddr) -> Event {
        Event::new(kind, Some(self.collective), who, from).with("node_id", self.node.0)
    }
}
