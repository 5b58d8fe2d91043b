//! Messages to a [`Link`](super::actor::Link).

use actix::Message;
use ringwall_protocol::feed::FromGateway;

/// A frame arrived from the Gateway. The adapter sends it with `send().await`, then reads the next: no frame overtakes
/// another, and a busy link slows its Gateway down.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Arrived(pub FromGateway);

/// The connection is gone; the link ends.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct HungUp;
