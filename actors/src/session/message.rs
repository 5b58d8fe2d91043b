//! Messages to a [`ClientSession`](super::actor::ClientSession).

use actix::Message;
use ringwall_protocol::feed::RefusedName;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::wire::session::{ExpiryReason, FromClient, FromGateway};
use tokio::sync::mpsc;

use super::core::{NewTokens, SocketId, TunnelNews};
use crate::registry::admission::Admission;

/// The session's end of a websocket: what is put in is written in order; dropping it closes the websocket.
#[derive(Debug, Clone)]
pub struct Socket {
    /// Tells this websocket from the session's others.
    pub id: SocketId,
    /// To the Client.
    pub outbox: mpsc::Sender<FromGateway>,
}

/// A message of the Client, other than tokens.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FromSocket(pub SocketId, pub FromClient);

/// A websocket is gone.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct SocketLost(pub SocketId);

/// The Client is back; the registry has checked it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Resumed {
    /// Its new websocket.
    pub socket: Socket,
    /// The verified tokens and the peer's data.
    pub admission: Box<Admission>,
    /// Feed index of the check.
    pub checked_at: LogIndex,
}

/// Newer tokens that the registry accepted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Tokens(pub Box<NewTokens>);

/// A packet was not let pass; the names that its destination stands for. Lost if the session is busy: the kernel logs
/// the next one.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Blocked(pub Flow, pub ResolvedNames);

/// An answer of a name server did not count. Lost if the session is busy.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct NameRefused(pub RefusedName);

/// An `alert` rule let a flow pass. Lost if the session is busy, and counted.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Alerted(pub Flow);

/// The tunnel changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tunnel(pub TunnelNews);

/// Tokens are to be renewed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Renew(pub Vec<TokenKind>, pub ExpiryReason);

/// Everything is to be evaluated anew.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct Reevaluate;

/// The registry has cut the session; nothing is left to do.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct Ended;
