//! What another Controller says it knows, held against what the feed has brought (T23).
//!
//! A feed that lags behind a witness for more than a second, or that knows other members twice in a row, is left. Where a
//! Site wants two witnesses, the lease counts from the older of both confirmations.

use std::time::{Duration, Instant};

use ringwall_protocol::feed::members_digest;
use ringwall_protocol::id::LogIndex;

use super::{Effect, RegistryCore};

/// Time for the feed to bring what a witness knows.
const CATCH_UP: Duration = Duration::from_secs(1);
/// Members that differ so often in a row are no change that was on its way.
const DISAGREEMENTS: u32 = 2;

/// What witnesses have said.
#[derive(Debug, Default)]
pub(super) struct Witnessed {
    /// What the feed has not reached yet.
    pending: Option<Testimony>,
    /// When the poll was sent whose answer agreed with the feed.
    agreed: Option<Instant>,
    disagreements: u32,
    /// The last confirmation by the feed: index, and when its poll was sent.
    confirmed: Option<(LogIndex, Instant)>,
}

#[derive(Debug)]
struct Testimony {
    read_index: LogIndex,
    members: String,
    sent_at: Instant,
    until: Instant,
}

impl RegistryCore {
    /// A witness answered a poll that was sent at `sent_at`.
    pub(crate) fn witnessed(
        &mut self,
        read_index: LogIndex,
        members: String,
        sent_at: Instant,
        now: Instant,
    ) -> Vec<Effect> {
        let mut effects = vec![];
        self.witnessed.pending = Some(Testimony { read_index, members, sent_at, until: now + CATCH_UP });
        self.settle_testimony(now, &mut effects);
        effects
    }

    /// Judges what a witness said, once the feed is as far, or its time is over.
    pub(super) fn settle_testimony(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Some(view) = &self.view else { return };
        let Some(testimony) = self.witnessed.pending.take_if(|one| one.read_index <= self.complete || now >= one.until)
        else {
            return;
        };
        if testimony.read_index > self.complete {
            return effects.push(Effect::SwitchFeed("another controller knows more than the feed has brought"));
        }
        if members_digest(view.controllers.values(), view.keys.values()) == testimony.members {
            self.witnessed.disagreements = 0;
            self.witnessed.agreed = self.witnessed.agreed.max(Some(testimony.sent_at));
            return self.renew_with_witness(effects);
        }
        // A change may have come between the two.
        self.witnessed.disagreements += 1;
        if self.witnessed.disagreements >= DISAGREEMENTS {
            self.witnessed.disagreements = 0;
            effects.push(Effect::SwitchFeed("another controller knows other members than the feed has brought"));
        }
    }

    /// When a testimony that waits is judged at the latest.
    pub(super) fn testimony_due(&self) -> Option<Instant> {
        self.witnessed.pending.as_ref().map(|testimony| testimony.until)
    }

    /// The feed confirmed a poll: renews the lease, with the witness's word where the Site wants it.
    pub(super) fn renew_lease(&mut self, read_index: LogIndex, sent_at: Instant, effects: &mut Vec<Effect>) {
        self.witnessed.confirmed = Some((read_index, sent_at));
        self.renew_with_witness(effects);
    }

    fn renew_with_witness(&self, effects: &mut Vec<Effect>) {
        let (Some(view), Some((read_index, confirmed))) = (&self.view, self.witnessed.confirmed) else { return };
        let sent_at = match (view.site.witnesses, self.witnessed.agreed) {
            (0 | 1, _) => confirmed,
            (_, Some(agreed)) => confirmed.min(agreed),
            (_, None) => return,
        };
        let lease = Duration::from_secs(u64::from(view.site.lease_seconds));
        let grace = view.site.grace_seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let held = grace.map_or(lease, |grace| grace.max(lease));
        effects.push(Effect::RenewLease { read_index, sent_at, lease, held });
    }
}
