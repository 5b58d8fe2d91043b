//! What every connected Gateway is known to enforce: filled by links, asked by whoever waits for a revocation to be
//! enforced (`wait=enforced`) and by those who show lag.
//!
//! A Gateway's lease ends at most one lease after its last confirmed poll *arrived* here, whatever became of it since.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ringwall_protocol::id::{ApplianceId, LogIndex, SessionId};
use tokio::sync::watch;

/// What is known of one Gateway's enforcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// A feed to it stands at this Controller.
    pub connected: bool,
    /// Its kernel enforces everything up to here.
    pub enforced: LogIndex,
    /// When that was heard.
    pub(crate) heard_at: Instant,
    /// Arrival of its last poll that was confirmed.
    pub(crate) confirmed_poll: Option<Instant>,
    /// Sessions whose rules its kernel would not take out; their tunnels are cut.
    pub failed: Vec<SessionId>,
}

/// How far one Gateway is with an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// Its kernel enforces it since then.
    Enforced(Instant),
    /// Connected, not there yet.
    Pending,
    /// Not connected here; its lease ends at most one lease after this arrival of a poll (absent: never confirmed here).
    Unreachable(Option<Instant>),
}

/// All Gateways that have ever connected to this Controller.
#[derive(Debug)]
pub struct Board {
    standings: Mutex<BTreeMap<ApplianceId, Entry>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    /// Tells a new link from the one that it replaced.
    link: u64,
    /// When the last indexes were first enforced: the time of an index is that of the first acknowledgement above it.
    acknowledged: std::collections::VecDeque<(LogIndex, Instant)>,
}

/// Acknowledgements that are remembered with their times, per Gateway: some minutes of changes.
const REMEMBERED: usize = 1_024;

impl Default for Board {
    fn default() -> Self {
        Self { standings: Mutex::default(), changed: watch::channel(0).0 }
    }
}

impl Board {
    /// A link to the Gateway stands. Answers the link's number, which `disconnected` wants back.
    pub fn connected(&self, gateway: ApplianceId, now: Instant) -> u64 {
        let mut standings = self.lock();
        let entry = standings.entry(gateway).or_insert_with(|| Entry {
            standing: Standing {
                connected: true,
                enforced: LogIndex(0),
                heard_at: now,
                confirmed_poll: None,
                failed: vec![],
            },
            link: 0,
            acknowledged: std::collections::VecDeque::new(),
        });
        entry.link += 1;
        entry.standing.connected = true;
        let link = entry.link;
        drop(standings);
        self.announce();
        link
    }

    /// The link with this number is gone.
    pub(crate) fn disconnected(&self, gateway: ApplianceId, link: u64) {
        if let Some(entry) = self.lock().get_mut(&gateway).filter(|entry| entry.link == link) {
            entry.standing.connected = false;
        }
        self.announce();
    }

    /// The Gateway's kernel enforces everything up to `index`.
    pub fn enforced(&self, gateway: ApplianceId, index: LogIndex, failed: Vec<SessionId>, now: Instant) {
        if let Some(entry) = self.lock().get_mut(&gateway) {
            entry.standing.enforced = index;
            entry.standing.heard_at = now;
            entry.standing.failed = failed;
            if entry.acknowledged.back().is_none_or(|(last, _)| *last < index) {
                entry.acknowledged.push_back((index, now));
            }
            if entry.acknowledged.len() > REMEMBERED {
                entry.acknowledged.pop_front();
            }
        }
        self.announce();
    }

    /// A poll of the Gateway that arrived at `arrived` was confirmed.
    pub fn confirmed(&self, gateway: ApplianceId, arrived: Instant) {
        if let Some(entry) = self.lock().get_mut(&gateway) {
            entry.standing.confirmed_poll = entry.standing.confirmed_poll.max(Some(arrived));
        }
    }

    /// All standings now.
    #[must_use]
    pub fn standings(&self) -> BTreeMap<ApplianceId, Standing> {
        self.lock().iter().map(|(gateway, entry)| (*gateway, entry.standing.clone())).collect()
    }

    /// How far a Gateway is with an index.
    #[must_use]
    pub fn enforcement(&self, gateway: ApplianceId, index: LogIndex) -> Enforcement {
        let standings = self.lock();
        let Some(entry) = standings.get(&gateway) else { return Enforcement::Unreachable(None) };
        if entry.standing.enforced >= index {
            let first = entry.acknowledged.iter().find(|(acknowledged, _)| *acknowledged >= index);
            return Enforcement::Enforced(first.map_or(entry.standing.heard_at, |(_, at)| *at));
        }
        if entry.standing.connected {
            Enforcement::Pending
        } else {
            Enforcement::Unreachable(entry.standing.confirmed_poll)
        }
    }

    /// Waits until no connected one of these Gateways is pending at `index`, or until `deadline`.
    pub async fn wait_enforced(
        &self,
        gateways: &[ApplianceId],
        index: LogIndex,
        deadline: Instant,
    ) -> BTreeMap<ApplianceId, Enforcement> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let now: BTreeMap<_, _> =
                gateways.iter().map(|gateway| (*gateway, self.enforcement(*gateway, index))).collect();
            if !now.values().any(|enforcement| *enforcement == Enforcement::Pending) {
                return now;
            }
            if tokio::time::timeout_at(deadline.into(), changed.changed()).await.is_err() {
                return now;
            }
        }
    }

    fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ApplianceId, Entry>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn gateway(n: u8) -> ApplianceId {
        ApplianceId::from_random([n; 16])
    }

    #[tokio::test]
    async fn waiting_ends_when_the_last_connected_gateway_enforces() {
        let (board, now) = (Arc::new(Board::default()), Instant::now());
        board.connected(gateway(1), now);
        board.connected(gateway(2), now);
        board.enforced(gateway(1), LogIndex(7), vec![], now);
        let waiter = Arc::clone(&board);
        let deadline = now + Duration::from_secs(30);
        let gateways = [gateway(1), gateway(2), gateway(3)];
        let wait = tokio::spawn(async move { waiter.wait_enforced(&gateways, LogIndex(7), deadline).await });
        board.enforced(gateway(2), LogIndex(9), vec![], now);
        let outcome = wait.await.expect("joined");
        assert_eq!(outcome[&gateway(1)], Enforcement::Enforced(now));
        assert_eq!(outcome[&gateway(2)], Enforcement::Enforced(now));
        assert_eq!(outcome[&gateway(3)], Enforcement::Unreachable(None));
    }

    #[tokio::test]
    async fn unreachable_gateway_is_told_with_its_last_confirmed_poll() {
        let (board, now) = (Board::default(), Instant::now());
        let link = board.connected(gateway(1), now);
        board.confirmed(gateway(1), now);
        board.disconnected(gateway(1), link);
        let outcome = board.wait_enforced(&[gateway(1)], LogIndex(7), now + Duration::from_secs(30)).await;
        assert_eq!(outcome[&gateway(1)], Enforcement::Unreachable(Some(now)));
    }

    #[test]
    fn link_that_was_replaced_cannot_disconnect_its_successor() {
        let (board, now) = (Board::default(), Instant::now());
        let old = board.connected(gateway(1), now);
        board.connected(gateway(1), now);
        board.disconnected(gateway(1), old);
        assert!(board.standings()[&gateway(1)].connected);
    }
}
