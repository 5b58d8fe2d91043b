//! A Site as the pump sees it: routes and addresses, and the tunnel if there is one at the moment.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use ringwall_protocol::id::SiteId;
use ringwall_tunnel::record_pump::RecordPump;

use super::counters::Moved;
use super::keep_alive::KeepAlive;

/// How long a Gateway may take to answer the attach token.
const ATTACH_WITHIN: Duration = Duration::from_secs(5);

/// What the pump knows of one Site. Without a tunnel it still holds its routes, as a hole that swallows packets.
pub(super) struct Site {
    pub(super) id: SiteId,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) routes: Vec<IpNet>,
    pub(super) primary: bool,
    pub(super) moved: Arc<Moved>,
    pub(super) link: RefCell<Option<Link>>,
}

/// The tunnel to a Site's Gateway.
pub(super) struct Link {
    pub(super) pump: RecordPump,
    /// Plaintext of a frame whose end has not come yet.
    pub(super) rest: Vec<u8>,
    /// Tells this tunnel from the one that it replaced.
    pub(super) serial: u64,
    /// What broke it while packets were sent; its task reports it.
    pub(super) broken: Option<io::ErrorKind>,
    pub(super) phase: Phase,
    /// When the task's timer rings; earlier wishes wake it.
    pub(super) armed: Instant,
    waker: Option<Waker>,
}

/// How far a tunnel is.
pub(super) enum Phase {
    /// The attach token is sent; no packet passes before it is answered.
    Attaching { until: Instant },
    /// Attached.
    Attached(KeepAlive),
}

impl Site {
    /// What decides between equal prefixes of two Sites.
    pub(super) const fn preference(&self) -> (bool, Reverse<SiteId>) {
        (self.primary, Reverse(self.id))
    }

    /// Closes the tunnel, if there is one; its task ends by itself.
    pub(super) fn close_link(&self) {
        let former = self.link.borrow_mut().take();
        if let Some(link) = former {
            link.wake();
            link.pump.close();
        }
    }
}

impl Link {
    pub(super) fn new(pump: RecordPump, serial: u64, now: Instant) -> Self {
        let until = now + ATTACH_WITHIN;
        Self {
            pump,
            rest: Vec::new(),
            serial,
            broken: None,
            phase: Phase::Attaching { until },
            armed: until,
            waker: None,
        }
    }

    /// True once packets may pass.
    pub(super) const fn is_attached(&self) -> bool {
        matches!(self.phase, Phase::Attached(_))
    }

    /// When the task wants to look at the time again.
    pub(super) fn deadline(&self) -> Instant {
        match &self.phase {
            Phase::Attaching { until } => *until,
            Phase::Attached(keep_alive) => keep_alive.next_deadline(),
        }
    }

    /// Notes that packets were queued, and sends what the kernel takes; the task goes on with the rest.
    pub(super) fn sent(&mut self, now: Instant) {
        if let Phase::Attached(keep_alive) = &mut self.phase {
            keep_alive.sent(now);
        }
        if self.deadline() < self.armed {
            self.wake();
        }
        match self.pump.flush() {
            Ok(true) => {}
            Ok(false) => self.wake(),
            Err(error) => {
                self.broken = Some(error.kind());
                self.wake();
            }
        }
    }

    /// Remembers whom to wake when this tunnel has something to do that no socket announces.
    pub(super) fn remember(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Wakes the tunnel's task.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}
