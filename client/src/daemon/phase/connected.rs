//! Connected: tokens are valid; a renewal starts when one is due.

use std::sync::Arc;

use ringwall_protocol::time::UnixMillis;

use super::Phase;
use super::renewing::{RenewalTask, Renewing};
use crate::daemon::active_session::ActiveSession;
use crate::daemon::shared::Shared;
use crate::daemon::tasks::TaskResult;

/// A sign-in is in use.
pub(in crate::daemon) struct Connected {
    pub(super) active: ActiveSession,
}

impl Connected {
    /// Starts a renewal if one is due.
    pub(super) fn renew_if_due(mut self, shared: &mut Shared, now: UnixMillis) -> Phase {
        let due = self.active.due(now);
        if due.is_empty() {
            return Phase::Connected(self);
        }
        tracing::info!(claims = due.claims, certificate = due.certificate, entitlements = due.entitlements, "renewing");
        let session = self.active.session();
        let task = RenewalTask {
            controllers: session.controllers.clone(),
            claims_token: session.claims.expose().to_owned(),
            device_claims: shared.device.claims(),
            key: Arc::clone(&shared.account.key),
            due,
        };
        self.active.renewal_began(now);
        shared.tasks.spawn(async move { TaskResult::Renewed(task.run().await) });
        Phase::Renewing(Renewing { active: self.active })
    }
}
