//! What is written down of Clients' requests. Never tokens, cookies, keys, passwords or codes.

use std::net::IpAddr;

use ringwall_protocol::name::SessionDn;

use super::event::Event;
use crate::controller::Controller;

impl Controller {
    /// An event of this Controller about a session, or about nobody in particular.
    pub(crate) fn event(&self, kind: &'static str, who: Option<&SessionDn>, from: IpAddr) -> Event {
        Event::new(kind, Some(self.identity.collective_id), who, from).with("node_id", self.identity.node.0)
    }
}
