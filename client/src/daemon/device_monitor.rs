//! The claims about this device: collected beside the engine, published to all links when they are due.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::object::identity_provider::OnDemandClaim;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::tasks::TaskResult;
use crate::device_claims::{self, Inspector, Schedule};

/// Collects device claims.
pub(super) struct DeviceMonitor {
    published: watch::Sender<Arc<UntrustedClaims>>,
    schedule: Schedule,
    /// `None` while a collection is running.
    inspector: Option<Inspector>,
}

impl DeviceMonitor {
    /// Collects the built-in claims at once. Reads no file of the user.
    pub(super) fn new(now: Instant) -> Self {
        let claims = Arc::new(device_claims::collect(&[]));
        let published = watch::Sender::new(Arc::clone(&claims));
        Self { published, schedule: Schedule::new(claims, now), inspector: Some(Inspector::default()) }
    }

    /// The claims that were published last.
    pub(super) fn claims(&self) -> UntrustedClaims {
        self.published.borrow().as_ref().clone()
    }

    /// Claims as they are published from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<UntrustedClaims>> {
        self.published.subscribe()
    }

    /// Starts a collection beside the engine, because it may hash files; at most one runs at a time. `own` are the
    /// tunnel's addresses.
    pub(super) fn collect(&mut self, tasks: &mut JoinSet<TaskResult>, on_demand: Vec<OnDemandClaim>, own: Vec<IpAddr>) {
        let Some(mut inspector) = self.inspector.take() else { return };
        tasks.spawn_blocking(move || {
            let claims = device_claims::collect_with(&on_demand, &own, &mut inspector);
            TaskResult::ClaimsCollected(claims, inspector)
        });
    }

    /// A collection has ended: publishes its claims if they are due at `now`.
    pub(super) fn collected(&mut self, claims: UntrustedClaims, inspector: Inspector, now: Instant) {
        self.inspector = Some(inspector);
        if let Some(claims) = self.schedule.collected(claims, now) {
            self.published.send_replace(claims);
        }
    }
}
