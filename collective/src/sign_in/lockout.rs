//! Lock-outs: asked before a credential is checked, proposed when failures were counted often enough (T39).
//!
//! Names that nobody has are counted on this Controller only, apart from users, so that inventing them fills nothing (T70).

pub(super) mod sources;

use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::name::{SessionDn, UserDn};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;
use ringwall_raft::state::lockout::{LockOut, LockoutSubject};

use super::attempter::Attempter;
use super::failures::Failures;
use crate::audit::client_events::Audit;
use crate::replica::Replica;

/// Who is counted: a device that brought its cookie and key by itself, all others of the user together.
fn subject(user: &UserDn, device: Option<ringwall_protocol::id::DeviceId>) -> LockoutSubject {
    LockoutSubject { user: user.clone(), device }
}

/// Who may try, and who failed.
pub(crate) struct Lockout {
    replica: Replica,
    audit: Audit,
    /// Counters of this Controller.
    pub(crate) failures: Arc<Failures>,
}

impl Lockout {
    /// With counters that are shared with whoever else counts.
    pub(crate) const fn new(replica: Replica, audit: Audit, failures: Arc<Failures>) -> Self {
        Self { replica, audit, failures }
    }

    /// Blocked or locked out.
    pub(crate) fn may_not_try(&self, state: &State, dn: &SessionDn, known_device: bool, now: UnixMillis) -> bool {
        if state.blocked(&dn.user).is_some() || is_locked(state, dn, known_device, now) {
            return true;
        }
        let provider = state.identity_provider_named(dn.user.provider.as_str());
        let threshold = provider.map_or(1, |provider| provider.user_lockout_threshold);
        let subject = subject(&dn.user, known_device.then_some(dn.device));
        !state.knows_user(&dn.user) && !self.failures.unknown_may_try(&subject, threshold, now)
    }

    /// Counts a failure; proposes a lock-out when the provider's threshold is reached.
    pub(crate) async fn failed(
        &self,
        (attempter, from): (Attempter, IpAddr),
        dn: &SessionDn,
        known_device: bool,
        provider: &IdentityProvider,
        now: UnixMillis,
    ) {
        metrics::counter!("ringwall_sign_ins_refused_total").increment(1);
        self.audit.event("authentication_failed", Some(dn), from).with("known_device", known_device).emit();
        self.failures.count(attempter, now);
        let subject = subject(&dn.user, known_device.then_some(dn.device));
        if !self.replica.state().knows_user(&dn.user) {
            return self.failures.count_unknown(&subject, provider.user_lockout_threshold, now);
        }
        if !self.failures.count_subject(&subject, provider.user_lockout_threshold, now) {
            return;
        }
        tracing::warn!(user = %dn.user, known_device, "locked out after failed sign-ins");
        let lock_out = LockOut { subject, base_minutes: provider.user_lockout_duration_minutes };
        if let Err(error) = self.replica.propose(lock_out.into()).await {
            tracing::warn!(%error, "lock-out was not recorded");
        }
    }
}

/// Whether a sign-in is locked out.
fn is_locked(state: &State, dn: &SessionDn, known_device: bool, now: UnixMillis) -> bool {
    state.locked_out(&subject(&dn.user, known_device.then_some(dn.device)), now).is_some()
}
