//! What a link needs of the Controller: the replicated state as changes, and somebody who hears what Gateways say.
//!
//! None of the synchronous calls may wait: they read what is in memory, or put something into a queue.

use std::net::IpAddr;

use futures_util::future::BoxFuture;
use ringwall_protocol::feed::{FeedEvent, FeedView, SessionSummary};
use ringwall_protocol::id::{ApplianceId, CommandId, Incarnation, LogIndex, SessionId, Thumbprint};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::watch;

/// All changes for one Gateway after an index.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// In log order; several may have one index.
    pub events: Vec<(LogIndex, FeedEvent)>,
    /// Nothing is missing up to here.
    pub through: LogIndex,
}

/// Changes since an index are not available any more, or too many to be worth it: the full state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("changes after index {after} are not kept")]
pub struct Compacted {
    /// The index that was asked for.
    pub after: LogIndex,
}

/// No linearizable read is possible: this Controller has no quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no quorum")]
pub struct NoQuorum;

/// The replicated state, as far as Gateways are concerned.
pub trait ChangeSource: Send + Sync + 'static {
    /// The Collective's present incarnation.
    fn incarnation(&self) -> Incarnation;
    /// The present Raft term, for bookmarks.
    fn term(&self) -> u64;
    /// Everything that this Gateway must know, at the applied index; `None` if it is no member.
    fn view(&self, gateway: ApplianceId) -> Option<FeedView>;
    /// The applied index, and [`members_digest`](ringwall_protocol::feed::members_digest) of its state.
    fn members(&self) -> (LogIndex, String);
    /// Its changes with `index > after`, up to the applied index.
    ///
    /// # Errors
    /// [`Compacted`] if some of them are not kept any more.
    fn changes_after(&self, gateway: ApplianceId, after: LogIndex) -> Result<Changes, Compacted>;
    /// The applied index; changes whenever more was applied.
    fn applied(&self) -> watch::Receiver<LogIndex>;
    /// A linearizable read index that was taken after this call. One round may serve all who wait.
    fn read_index(&self) -> BoxFuture<'static, Result<LogIndex, NoQuorum>>;
    /// Whether this Controller is on its way out and others serve: Gateways are sent to them.
    fn retires(&self) -> bool;
    /// `host:port` of the peer listeners of other Controllers, for `useAnother`.
    fn others(&self) -> Vec<String>;
}

/// What a Gateway says of its sessions and of itself.
#[derive(Debug, Clone, PartialEq)]
pub enum GatewayReport {
    /// A session was admitted, or is told of again on a new connection.
    SessionOpened(SessionSummary),
    /// A session changed.
    SessionUpdated(SessionSummary),
    /// A session ended.
    SessionEnded {
        /// Id of the session.
        session: SessionId,
        /// DN of the session: provider, user and device.
        dn: SessionDn,
        /// Code of the reason.
        code: ErrorCode,
    },
    /// Addresses of its host.
    Interfaces(Vec<IpAddr>),
    /// SHA-256 of the key for knocking on Controllers that it keeps.
    PeerKey(Thumbprint),
    /// How much it carries.
    Load {
        /// Live sessions.
        sessions: u32,
        /// Rule sets in use.
        rule_sets: u32,
    },
    /// Its feed stands; sessions that are not told of again on this connection are not there any more.
    Connected,
    /// Its feed to this Controller is gone. Its sessions may live on.
    Disconnected,
}

/// Who hears what Gateways say.
pub trait GatewayReports: Send + Sync + 'static {
    /// Takes notice.
    fn report(&self, gateway: ApplianceId, report: GatewayReport);
    /// Makes audit records durable; `true` once they are, `false` if they are to be tried again later. Records of one
    /// Gateway may come twice (`seq` tells).
    fn store_audit(&self, gateway: ApplianceId, seq: u64, records: Vec<String>) -> BoxFuture<'static, bool>;
    /// Issues a further certificate for the Gateway's new key (DER of a PKCS#10 request, base64url); answers certificate,
    /// issuer and root, each DER, base64url.
    fn renew_certificate(
        &self,
        gateway: ApplianceId,
        command: CommandId,
        csr: String,
    ) -> BoxFuture<'static, Result<Vec<String>, ErrorCode>>;
}
