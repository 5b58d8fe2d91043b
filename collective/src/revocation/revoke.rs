//! Revocation orders: which mode, into how many slices, one log entry (T28, T29).

use std::collections::BTreeSet;

use ringwall_protocol::id::{LogIndex, SiteId};
use ringwall_protocol::name::{DnScope, UserDn};
use ringwall_protocol::revocation::{MAX_SLICES, RevocationMode, RevocationScope, TokenKind};
use ringwall_raft::State;
use ringwall_raft::state::blocklist::{BlockUser, UnblockUser};
use ringwall_raft::state::device::RemoveDevice;
use ringwall_raft::state::revocation::{Reevaluate, Revoke, SLICE_STEP};

use super::Revocation;
use crate::refusal::Refusal;

/// How fast a revocation is to take hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// At once.
    Cut,
    /// Clients renew unnoticed; with no delay all at once, otherwise `devices_per_second`, each effective `delay_seconds`
    /// after it was told.
    Renew {
        /// Seconds from telling to effect.
        delay_seconds: u32,
        /// How many are told in a second; below 0.01 counts as 0.01.
        devices_per_second: f64,
    },
}

/// An order to revoke.
#[derive(Debug, Clone, PartialEq)]
pub struct RevocationOrder {
    /// Whose tokens.
    pub scope: RevocationScope,
    /// Which kinds; empty: all.
    pub kinds: BTreeSet<TokenKind>,
    /// Only entitlement tokens of this Site.
    pub site: Option<SiteId>,
    /// How fast.
    pub pace: Pace,
    /// For audit and user.
    pub reason: String,
}

impl Pace {
    /// The mode for `matching` live sessions.
    #[must_use]
    pub fn mode(self, matching: usize) -> RevocationMode {
        match self {
            Self::Cut => RevocationMode::Cut,
            Self::Renew { delay_seconds: 0, .. } => RevocationMode::RenewNow,
            Self::Renew { delay_seconds, devices_per_second } => {
                let per_slice = devices_per_second.max(0.01) * SLICE_STEP.as_secs_f64();
                let slices = (matching as f64 / per_slice).ceil().clamp(1.0, f64::from(MAX_SLICES));
                RevocationMode::RenewWindow { delay_seconds, slices: slices as u16 }
            }
        }
    }
}

impl Revocation {
    /// Revokes tokens. Answers the index of the entry: its id and its cut-off.
    ///
    /// # Errors
    /// `noQuorum`, `notFound` for an unknown Site, `unknownOutcome`.
    pub async fn revoke(&self, order: RevocationOrder) -> Result<LogIndex, Refusal> {
        let state = self.replica.current().await?;
        let mode = order.pace.mode(live_sessions(&state, &order.scope));
        let kinds = if order.kinds.is_empty() { TokenKind::ALL.into() } else { order.kinds };
        let revoke = Revoke { scope: order.scope, kinds, site: order.site, mode, reason: order.reason };
        self.replica.change(revoke).await?.revocation().ok_or_else(Refusal::internal)
    }

    /// Blocks a user, everywhere and at once (S18).
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`.
    pub async fn block(&self, user: UserDn, reason: String) -> Result<LogIndex, Refusal> {
        self.replica.change(BlockUser { user, reason }).await?.revocation().ok_or_else(Refusal::internal)
    }

    /// Lets a user sign in again; former tokens stay void.
    ///
    /// # Errors
    /// `notFound`, `noQuorum`, `unknownOutcome`.
    pub async fn unblock(&self, user: UserDn) -> Result<(), Refusal> {
        self.replica.change(UnblockUser { user }).await.map(|_| ())
    }

    /// Removes a device's registration and cuts it (S22).
    ///
    /// # Errors
    /// `notFound`, `noQuorum`, `unknownOutcome`.
    pub async fn remove_device(&self, device: RemoveDevice) -> Result<LogIndex, Refusal> {
        self.replica.change(device).await?.revocation().ok_or_else(Refusal::internal)
    }

    /// Has sessions evaluated anew without renewing anything (S34).
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`.
    pub async fn reevaluate(&self, scope: DnScope) -> Result<(), Refusal> {
        self.replica.change(Reevaluate { scope }).await.map(|_| ())
    }
}

/// Live sessions that a scope concerns, as Gateways reported them to any Controller.
pub(crate) fn live_sessions(state: &State, scope: &RevocationScope) -> usize {
    match scope {
        RevocationScope::Dn(scope) => {
            let dns: BTreeSet<_> = state.bindings().map(|one| &one.dn).filter(|dn| scope.matches(dn)).collect();
            dns.len()
        }
        RevocationScope::Token(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_and_rate_decide_how_many_slices_there_are() {
        let renew = |delay_seconds, devices_per_second| Pace::Renew { delay_seconds, devices_per_second };
        assert_eq!(Pace::Cut.mode(1_000), RevocationMode::Cut);
        assert_eq!(renew(0, 2.0).mode(1_000), RevocationMode::RenewNow);
        let slices = |pace: Pace, matching| pace.mode(matching).slices();
        assert_eq!(slices(renew(300, 2.0), 1_000), 100);
        assert_eq!(slices(renew(300, 2.0), 1_001), 101);
        assert_eq!(slices(renew(300, 2.0), 0), 1);
        assert_eq!(slices(renew(300, 0.0), 10_000_000), MAX_SLICES);
        assert_eq!(slices(renew(300, f64::NAN), 10), slices(renew(300, 0.01), 10));
    }
}
