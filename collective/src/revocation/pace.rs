//! How fast a revocation takes hold: which mode, and in how many slices (T28, T29). Pure.

use std::collections::BTreeSet;

use ringwall_protocol::revocation::{MAX_SLICES, RevocationMode, RevocationScope};
use ringwall_raft::State;
use ringwall_raft::state::revocation::SLICE_STEP;

/// How fast a revocation is to take hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
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

impl Pace {
    /// The mode for `matching` live sessions.
    #[must_use]
    pub(crate) fn mode(self, matching: usize) -> RevocationMode {
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
