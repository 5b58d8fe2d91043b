//! The drop guard of a session's rights: if its actor ends without the registry having said so (a panic), the rules are
//! withdrawn, the tunnel is cut and the registry hears of it.

use std::sync::Arc;

use ringwall_protocol::id::{LogIndex, SessionId};
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::mpsc::UnboundedSender;

use crate::ports::{RuleEnforcer, TunnelPlane};

/// What a session tells the registry outside of its mailbox. Bounded by the number of sessions: each says at most one
/// of either.
#[derive(Debug)]
pub(crate) enum FromSession {
    /// It wants to end.
    Ends {
        /// Id of the session.
        session: SessionId,
        /// Code of the reason.
        code: ErrorCode,
        /// For people.
        message: String,
    },
    /// Its actor is gone without having been ended.
    Died(SessionId),
}

/// A session's hold on its rules.
pub(crate) struct RuleLease {
    session: SessionId,
    enforcer: Arc<dyn RuleEnforcer>,
    tunnel: Arc<dyn TunnelPlane>,
    registry: UnboundedSender<FromSession>,
    released: bool,
}

impl RuleLease {
    /// A hold on the rules of `session`.
    #[must_use]
    pub(crate) fn new(
        session: SessionId,
        enforcer: Arc<dyn RuleEnforcer>,
        tunnel: Arc<dyn TunnelPlane>,
        registry: UnboundedSender<FromSession>,
    ) -> Self {
        Self { session, enforcer, tunnel, registry, released: false }
    }

    /// The registry has cut the session: nothing is left to withdraw.
    pub(crate) fn release(&mut self) {
        self.released = true;
    }

    /// Asks the registry to end the session.
    pub(crate) fn end(&self, code: ErrorCode, message: String) {
        // A registry that is gone has ended everything.
        let _ = self.registry.send(FromSession::Ends { session: self.session, code, message });
    }
}

impl Drop for RuleLease {
    fn drop(&mut self) {
        if !self.released {
            // Answers are not waited for: this may run while a panic unwinds.
            drop(self.tunnel.cut(self.session, ErrorCode::Internal));
            drop(self.enforcer.remove(self.session, LogIndex(0)));
            let _ = self.registry.send(FromSession::Died(self.session));
        }
    }
}
