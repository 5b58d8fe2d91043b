//! The sets that open the Gateway's own ports: a change is one element. Pure.

use std::net::SocketAddr;
use std::time::Duration;

use ringwall_kernel::guard;

use ringwall_kernel::nft::{Element, Message, Table};

use super::request::KnockChange;
use crate::firewall::skeleton::{PEERS4, PEERS6};

/// The messages of a change.
pub(super) fn messages(table: &Table, change: KnockChange) -> Vec<Message> {
    let expiring = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let ((set, key), element) = match change {
        KnockChange::Open { source, port, time } => {
            let (set, key) = guard::place(source, port);
            ((set, key.clone()), Some(Element::key(key).expiring(expiring(time))))
        }
        KnockChange::Close { source, port } => (guard::place(source, port), None),
        KnockChange::AddPeer { peer, time } => {
            let (set, key) = peer_place(peer);
            ((set, key.clone()), Some(Element::key(key).expiring(expiring(time))))
        }
        KnockChange::RemovePeer { peer } => (peer_place(peer), None),
    };
    // A plain add would not extend an element that is there already.
    let mut messages = vec![table.destroy_elements(set, vec![Element::key(key)])];
    messages.extend(element.map(|element| table.add(set, vec![element])));
    messages
}

fn peer_place(peer: SocketAddr) -> (&'static str, Vec<u8>) {
    let (_, key) = guard::place(peer.ip(), peer.port());
    (if peer.ip().to_canonical().is_ipv4() { PEERS4 } else { PEERS6 }, key)
}
