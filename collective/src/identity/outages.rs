//! Providers that do not answer: how long renewals may go on with what was known before. Pure but for the
//! lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringwall_protocol::id::ProviderId;
use ringwall_protocol::time::UnixMillis;

/// From the first failure on.
pub(crate) const GRACE: Duration = Duration::from_secs(15 * 60);

/// Since when providers do not answer this Controller.
#[derive(Debug, Default)]
pub(crate) struct Outages(Mutex<BTreeMap<ProviderId, UnixMillis>>);

impl Outages {
    /// A provider answered.
    pub(crate) fn answered(&self, provider: ProviderId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&provider);
    }

    /// A provider did not answer. How much of the grace is left; nothing when it is used up.
    pub(crate) fn failed(&self, provider: ProviderId, now: UnixMillis) -> Option<Duration> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = since.entry(provider).or_insert(now).plus(GRACE);
        Some(now.until(end)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_counts_from_the_first_failure_and_begins_anew_after_an_answer() {
        let (outages, provider) = (Outages::default(), ProviderId::from_random([1; 16]));
        let start = UnixMillis(1_000_000);
        assert_eq!(outages.failed(provider, start), Some(GRACE));
        assert_eq!(outages.failed(provider, start.plus(Duration::from_secs(600))), Some(Duration::from_secs(300)));
        assert_eq!(outages.failed(provider, start.plus(GRACE)), None);
        assert!(outages.failed(ProviderId::from_random([2; 16]), start.plus(GRACE)).is_some());
        outages.answered(provider);
        assert_eq!(outages.failed(provider, start.plus(GRACE)), Some(GRACE));
    }
}
