//! Whoever watches the daemon at its local socket, and the log of troubles that its status shows.

use tokio::sync::broadcast;

use crate::clock;
use crate::failure::Failure;
use crate::local::Event;
use crate::status::{SiteTraffic, Status, Trouble, Troubles};

/// Sends events to all watchers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Watchers(broadcast::Sender<Event>);

impl Watchers {
    pub(super) const fn new(events: broadcast::Sender<Event>) -> Self {
        Self(events)
    }

    /// Sends one event.
    pub(super) fn send(&self, event: Event) {
        // Fails only if nobody watches.
        drop(self.0.send(event));
    }

    fn none(&self) -> bool {
        self.0.receiver_count() == 0
    }
}

/// Sends the status when it has changed.
#[derive(Default)]
pub(super) struct StatusFeed {
    /// The last status sent, without traffic.
    last: Option<Status>,
}

impl StatusFeed {
    /// Sends the status if anybody watches and anything but traffic has changed.
    pub(super) fn update(&mut self, watchers: &Watchers, status: impl FnOnce() -> Status) {
        if watchers.none() {
            return;
        }
        let status = status();
        let mut steady = status.clone();
        steady.traffic = None;
        steady.sites.iter_mut().for_each(|site| site.traffic = SiteTraffic::default());
        if self.last.as_ref() == Some(&steady) {
            return;
        }
        self.last = Some(steady);
        watchers.send(Event::Status { status: Box::new(status) });
    }
}

/// The last few troubles; each is logged once.
#[derive(Default)]
pub(super) struct TroubleLog(Troubles);

impl TroubleLog {
    /// Notes what went wrong with a subject.
    pub(super) fn note(&mut self, subject: &str, cause: String, next_step: &str) {
        if self.0.note(clock::now(), subject, cause.clone(), next_step) {
            tracing::warn!(subject, cause, next_step, "trouble");
        }
    }

    /// Notes a failure.
    pub(super) fn note_failure(&mut self, subject: &str, failure: &Failure) {
        self.note(subject, format!("{:#}", failure.cause), &failure.next_step);
    }

    /// The subject works again.
    pub(super) fn resolve(&mut self, subject: &str) {
        self.0.resolve(subject);
    }

    /// All that are remembered, oldest first.
    pub(super) fn list(&self) -> Vec<Trouble> {
        self.0.list()
    }
}
