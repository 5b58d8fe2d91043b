//! When this device says something of itself: a change within ten seconds, and in any case every five minutes (S37).
//! Pure: looks and moments come from outside.

use std::sync::Arc;
use std::time::Instant;

use ringwall_protocol::claims::UntrustedClaims;

use super::{COLLECT_INTERVAL, SEND_INTERVAL, differs};

/// What was said last, and when.
#[derive(Debug)]
pub(crate) struct Schedule {
    said: Arc<UntrustedClaims>,
    at: Instant,
}

impl Schedule {
    /// `said` was said at `at`.
    #[must_use]
    pub(crate) const fn new(said: Arc<UntrustedClaims>, at: Instant) -> Self {
        Self { said, at }
    }

    /// The device was looked at: what is to be said now, if anything. What would be late at the next look is said at this
    /// one.
    pub(crate) fn collected(&mut self, claims: UntrustedClaims, now: Instant) -> Option<Arc<UntrustedClaims>> {
        let silent = now.saturating_duration_since(self.at);
        if !differs(&self.said, &claims) && silent + COLLECT_INTERVAL < SEND_INTERVAL {
            return None;
        }
        self.said = Arc::new(claims);
        self.at = now;
        Some(Arc::clone(&self.said))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use ringwall_protocol::claims::ClaimMap;
    use serde_json::json;

    use super::*;

    /// From a change to the word of it (S37).
    const SOON: Duration = Duration::from_secs(10);
    /// Hashing files and reading disks takes no longer, or the next look is late anyway.
    const LONGEST_LOOK: Duration = Duration::from_secs(2);

    fn claims(firewall: u64, uptime: u64) -> UntrustedClaims {
        UntrustedClaims(ClaimMap(
            [("firewall".to_owned(), json!(firewall)), ("uptimeSeconds".to_owned(), json!(uptime))].into(),
        ))
    }

    proptest! {
        /// An hour of a device that changes at any moments, each look taking up to two seconds.
        #[test]
        fn changes_are_said_within_ten_seconds_and_silence_lasts_five_minutes_at_most(
            mut changes in prop::collection::vec(0_u64..3_600_000, 0..20),
            took in prop::collection::vec(0_u64..LONGEST_LOOK.as_millis() as u64, 1..20),
        ) {
            changes.sort_unstable();
            changes.dedup();
            let start = Instant::now();
            let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
            // How often it had changed by some moment: what a look at that moment sees.
            let seen = |moment: u64| changes.iter().filter(|change| **change <= moment).count() as u64;
            let mut schedule = Schedule::new(Arc::new(claims(0, 0)), start);
            let mut said: Vec<(u64, u64)> = vec![(0, 0)];
            for (nth, tick) in (0..3_700_000).step_by(COLLECT_INTERVAL.as_millis() as usize).enumerate() {
                let done = tick + took[nth % took.len()];
                if let Some(claims) = schedule.collected(claims(seen(tick), done), at(done)) {
                    said.push((done, claims.0.0["firewall"].as_u64().unwrap_or_default()));
                }
            }
            for change in &changes {
                let heard = said.iter().find(|(_, firewall)| *firewall >= seen(*change));
                let (heard, _) = heard.expect("every change is said");
                prop_assert!(Duration::from_millis(heard - change) <= SOON, "{change} was said at {heard}");
            }
            for pair in said.windows(2) {
                let silent = Duration::from_millis(pair[1].0 - pair[0].0);
                prop_assert!(silent <= SEND_INTERVAL + LONGEST_LOOK, "silent from {} to {}", pair[0].0, pair[1].0);
            }
            let needless = said.windows(2).filter(|pair| {
                let early = Duration::from_millis(pair[1].0 - pair[0].0) < SEND_INTERVAL - 2 * COLLECT_INTERVAL;
                early && pair[0].1 == pair[1].1
            });
            prop_assert_eq!(needless.count(), 0, "and nothing is said that is neither new nor due");
        }
    }
}
