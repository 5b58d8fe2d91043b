//! Messages to the [`Feed`](super::actor::Feed), and what it delivers to the registry.

use std::time::Instant;

use actix::Message;
use ringwall_protocol::feed::{FeedEvent, FeedView, FromController, FromGateway};
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::time::UnixMillis;
use tokio::sync::mpsc;

use super::ports::{Candidate, ConnectionId};

/// A connection stands; what is put into `outbox` is written in order. Dropping it closes the connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Connected {
    /// Id of the connection to a Controller.
    pub connection: ConnectionId,
    /// To the Controller.
    pub outbox: mpsc::Sender<FromGateway>,
}

/// A frame arrived.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Arrived {
    /// On which connection.
    pub connection: ConnectionId,
    /// The frame.
    pub frame: FromController,
}

/// A connection is gone, or could not be made.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Lost {
    /// Id of the connection to a Controller.
    pub connection: ConnectionId,
    /// Why, for the log.
    pub reason: String,
}

/// The Controllers that can be asked, as the members stand.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Candidates(pub Vec<Candidate>);

/// Begin anew: the machine was suspended, or the own certificate was replaced.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Resubscribe;

/// One thing that the registry must hear, in order.
#[derive(Debug)]
pub enum Delivery {
    /// A full state.
    Full(Box<FeedView>),
    /// A change.
    Change {
        /// Log index.
        index: LogIndex,
        /// What.
        event: FeedEvent,
    },
    /// Nothing is missing up to here.
    CaughtUp(LogIndex),
    /// A poll is confirmed.
    Confirmed {
        /// Everything up to here came before.
        read_index: LogIndex,
        /// When the poll was sent.
        sent_at: Instant,
    },
    /// Another Controller told what it knows.
    Witnessed {
        /// Its state.
        read_index: LogIndex,
        /// Digest of the members in it.
        members: String,
        /// When the poll was sent.
        sent_at: Instant,
    },
    /// No other Controller has answered for a minute.
    Unwitnessed,
    /// The Controllers' time, as it was when this arrived.
    Time(UnixMillis),
}

/// What follows from one frame. Awaited by the feed before it looks at the next.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Vec<Delivery>);
