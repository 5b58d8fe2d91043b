//! `wait=enforced`: how long each Gateway took to enforce an index, and for the unreachable ones when their lease ends.
//! That list is the proof of a revocation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ringwall_actors::link::Enforcement;
use ringwall_protocol::id::{ApplianceId, LogIndex, NodeId, SiteId};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;
use tokio::sync::Notify;

use super::Revocation;
use crate::peers::enforcement::{Told, ask, wait_for_one};
use crate::peers::{Conversation, other_controllers};

/// What became of one Gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayEnforcement {
    /// Which.
    pub gateway: ApplianceId,
    /// For people.
    pub name: String,
    /// Its Site.
    pub site: SiteId,
    /// Whether it enforces the index.
    pub outcome: EnforcementOutcome,
}

/// Whether a Gateway enforces an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnforcementOutcome {
    /// Its kernel does, after this time.
    Enforced(Duration),
    /// It is connected and did not acknowledge within the time that the caller waited.
    Pending,
    /// No Controller reaches it: nothing passes it after its lease has ended, here at the latest.
    Unreachable {
        /// When its lease ends; `None` if no Controller has confirmed it a lease since it was started.
        lease_ends: Option<UnixMillis>,
    },
}

impl Revocation {
    /// Waits until every Gateway (of a Site) that some Controller reaches enforces `index`, at most until `deadline`.
    /// `since` is when the clock of the promise began to run.
    pub async fn wait_enforced(
        &self,
        index: LogIndex,
        site: Option<SiteId>,
        since: Instant,
        deadline: Instant,
    ) -> Vec<GatewayEnforcement> {
        let state = self.replica.state();
        let gateways = gateways(&state, site);
        let ids: Vec<ApplianceId> = gateways.iter().map(|(id, _, _)| *id).collect();
        let hearing = Hearing::default();
        let here = self.watch_own(&ids, index, since, deadline, &hearing);
        let others = other_controllers(&state, self.replica.me());
        let there =
            join_all(others.into_iter().map(|node| self.ask_other(node, &ids, index, since, deadline, &hearing)));
        tokio::select! {
            _ = futures_util::future::join(here, there) => {}
            // Whoever still waits for a Gateway that another Controller has heard need not be waited for.
            () = hearing.until_all(&ids) => {}
        }
        let now = self.replica.now();
        let known = hearing.known.lock().unwrap_or_else(PoisonError::into_inner);
        let lease = |site: SiteId| {
            let seconds = state.site(site).map_or(0, |site| site.lease_seconds.max(site.grace_seconds.unwrap_or(0)));
            Duration::from_secs(u64::from(seconds))
        };
        gateways
            .into_iter()
            .map(|(gateway, name, site)| {
                let connected = matches!(self.board.enforcement(gateway, index), Enforcement::Pending);
                let outcome = known.outcome(gateway, lease(site), connected, now);
                GatewayEnforcement { gateway, name, site, outcome }
            })
            .collect()
    }

    /// Gateways whose feed ends here.
    async fn watch_own(
        &self,
        gateways: &[ApplianceId],
        index: LogIndex,
        since: Instant,
        deadline: Instant,
        hearing: &Hearing,
    ) {
        loop {
            let mut pending = Vec::new();
            for gateway in gateways {
                match self.board.enforcement(*gateway, index) {
                    Enforcement::Enforced(at) => {
                        hearing.note(|known| known.enforced(*gateway, at.saturating_duration_since(since)))
                    }
                    Enforcement::Pending => pending.push(*gateway),
                    Enforcement::Unreachable(poll) => {
                        hearing.note(|known| known.polled(*gateway, poll.map(|poll| poll.elapsed())));
                    }
                }
            }
            if pending.is_empty() || Instant::now() >= deadline || hearing.note(|known| known.has_all(gateways)) {
                return;
            }
            wait_for_one(&self.board, &pending, index, deadline).await;
        }
    }

    /// Gateways whose feed ends at another Controller. One that cannot be asked tells nothing.
    async fn ask_other(
        &self,
        node: NodeId,
        gateways: &[ApplianceId],
        index: LogIndex,
        since: Instant,
        deadline: Instant,
        hearing: &Hearing,
    ) {
        let wait = deadline.saturating_duration_since(Instant::now());
        let asking = async {
            let stream = self.connector.connect(node, Conversation::Enforcement).await?;
            ask(stream, index, gateways, wait, |told| {
                let elapsed = since.elapsed();
                hearing.note(|known| known.hear(told, elapsed));
            })
            .await
        };
        match tokio::time::timeout(wait, asking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%node, %error, "controller did not tell what its gateways enforce"),
            Err(_) => tracing::debug!(%node, "controller did not tell in time what its gateways enforce"),
        }
    }
}

/// Where all that is told comes together.
#[derive(Debug, Default)]
struct Hearing {
    known: Mutex<Known>,
    changed: Notify,
}

impl Hearing {
    fn note<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let result = change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
        result
    }

    /// Returns when every Gateway is known to enforce.
    async fn until_all(&self, gateways: &[ApplianceId]) {
        while !self.known.lock().unwrap_or_else(PoisonError::into_inner).has_all(gateways) {
            self.changed.notified().await;
        }
    }
}

/// What all Controllers told.
#[derive(Debug, Default)]
struct Known {
    enforced: BTreeMap<ApplianceId, Duration>,
    /// The latest confirmed poll that any Controller knows of.
    last_poll: BTreeMap<ApplianceId, Duration>,
    /// Connected to some Controller.
    pending: BTreeSet<ApplianceId>,
}

impl Known {
    fn enforced(&mut self, gateway: ApplianceId, after: Duration) {
        let known = self.enforced.entry(gateway).or_insert(after);
        *known = (*known).min(after);
    }

    fn polled(&mut self, gateway: ApplianceId, ago: Option<Duration>) {
        if let Some(ago) = ago {
            let known = self.last_poll.entry(gateway).or_insert(ago);
            *known = (*known).min(ago);
        }
    }

    fn hear(&mut self, told: &Told, elapsed: Duration) {
        self.pending.extend(&told.pending);
        told.enforced.iter().for_each(|gateway| self.enforced(*gateway, elapsed));
        for (gateway, ago) in &told.last_poll_ms {
            self.polled(*gateway, Some(Duration::from_millis(*ago)));
        }
    }

    fn has_all(&self, gateways: &[ApplianceId]) -> bool {
        gateways.iter().all(|gateway| self.enforced.contains_key(gateway))
    }

    fn outcome(&self, gateway: ApplianceId, lease: Duration, connected: bool, now: UnixMillis) -> EnforcementOutcome {
        if let Some(after) = self.enforced.get(&gateway) {
            return EnforcementOutcome::Enforced(*after);
        }
        if connected || self.pending.contains(&gateway) {
            return EnforcementOutcome::Pending;
        }
        let ends = |ago: &Duration| now.minus(*ago).plus(lease);
        EnforcementOutcome::Unreachable { lease_ends: self.last_poll.get(&gateway).map(ends) }
    }
}

fn gateways(state: &State, site: Option<SiteId>) -> Vec<(ApplianceId, String, SiteId)> {
    state
        .living_gateways()
        .filter(|one| site.is_none_or(|site| one.site == site))
        .map(|one| (one.appliance, one.name.clone(), one.site))
        .collect()
}
