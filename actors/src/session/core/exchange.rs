//! What a session is told, and what it wants done.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use ringwall_protocol::entitlement::Host;
use ringwall_protocol::feed::{RefusedName, SessionSummary};
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::name::UserDn;
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{ExpiryReason, FromClient, FromGateway};

use super::SocketId;
use crate::feed::audit::AuditRecord;
use crate::ports::{AttachToken, Install, InstallError};
use crate::registry::admission::Admission;

/// Newer tokens that the registry accepted.
#[derive(Debug)]
pub(crate) struct NewTokens {
    /// Claims.
    pub claims: Option<ClaimsToken>,
    /// Entitlements.
    pub entitlement: Option<EntitlementToken>,
    /// Feed index at which they were checked.
    pub checked_at: LogIndex,
}

/// What happens to the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelNews {
    /// A tunnel stands.
    Attached(SocketAddr),
    /// It is gone.
    Lost,
    /// The Client broke the tunnel's protocol.
    Violation(String),
}

/// What happens to a session.
#[derive(Debug)]
pub(crate) enum Input {
    /// It was registered.
    Started,
    /// A message on the websocket; tokens go to the registry instead.
    Client(SocketId, FromClient),
    /// The websocket is gone.
    SocketLost(SocketId),
    /// The Client is back on a new websocket.
    Resumed(SocketId, Box<Admission>, LogIndex),
    /// Newer tokens were accepted.
    Tokens(Box<NewTokens>),
    /// The enforcer answered.
    Installed(u64, Result<(), InstallError>),
    /// A packet was not let pass; names that its destination stands for.
    Blocked(Flow, ResolvedNames),
    /// An answer of a name server did not count.
    NameRefused(RefusedName),
    /// A flow passed that is to be told of.
    Alerted(Flow),
    /// The tunnel changed.
    Tunnel(TunnelNews),
    /// Tokens are to be renewed.
    Renew(Vec<TokenKind>, ExpiryReason),
    /// Everything is to be evaluated anew.
    Reevaluate,
    /// A deadline passed.
    Tick,
}

/// What a session wants done, in this order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Hand over the complete wanted rules.
    Install(Install),
    /// Say something on the websocket.
    Send(FromGateway),
    /// Let a tunnel attach with this token.
    Expect(AttachToken),
    /// Find out what these names stand for, and no others, for this user.
    Names(UserDn, BTreeSet<Host>),
    /// Tell the Controllers of a new session.
    Opened(SessionSummary),
    /// Tell them of a change.
    Updated(SessionSummary),
    /// For the audit.
    Audit(AuditRecord),
    /// Ask the registry to end the session.
    End(ErrorCode, String),
}
