//! Messages to the [`Registry`](super::actor::Registry), beside the feed's [`Deliver`](crate::feed::message::Deliver).

use actix::{Addr, Message};
use ringwall_protocol::id::SessionId;

use super::admission::{Admission, Presentation, Refusal};
use crate::session::actor::ClientSession;
use crate::session::message::Socket;

/// A Client wants in, or back.
#[derive(Debug, Message)]
#[rtype(result = "Result<Admitted, Refusal>")]
pub struct Admit {
    /// With what; signatures are proved.
    pub admission: Box<Admission>,
    /// Its websocket.
    pub socket: Socket,
}

/// The session that the websocket belongs to from now on. `welcome` follows on the socket when its rules are in force.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Its id.
    pub session: SessionId,
    /// Where its messages go.
    pub actor: Addr<ClientSession>,
}

/// A session presents newer tokens.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Present(pub Box<Presentation>);

/// The Gateway goes down: every session ends, nobody is admitted. Answers when the kernel has let go of all.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// How the registry stands, for health and metrics.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "RegistryHealth")]
pub struct AskHealth;

/// See [`AskHealth`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, actix::MessageResponse)]
pub struct RegistryHealth {
    /// Live sessions.
    pub sessions: usize,
    /// Every change up to here is applied.
    pub complete: ringwall_protocol::id::LogIndex,
    /// New sessions may be admitted, as far as the lease is concerned.
    pub lease_held: bool,
}
