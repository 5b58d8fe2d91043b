//! Installs, and the requests whose order among them counts: which is next, which wait for an address, which share the
//! next transaction. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ringwall_actors::ports::{Install, InstallError};
use ringwall_protocol::id::SessionId;

use super::request::{QueuedInstall, Request};
use crate::firewall::slots::Mark;
use crate::firewall::wanted::{Owner, SessionRules};

/// Sessions whose elements share a transaction.
const TOGETHER: usize = 64;

/// How long an install waits for an address to come out of quarantine.
const ADDRESS_WAIT: Duration = Duration::from_secs(2);

/// An install whose rule set is in the kernel and whose elements are not yet.
#[derive(Debug)]
pub(super) struct Prepared {
    asked: Box<QueuedInstall>,
    pub(super) rules: SessionRules,
}

impl Prepared {
    pub(super) fn new(asked: Box<QueuedInstall>, mark: Mark, owner: Owner) -> Self {
        let rules = SessionRules::of(&asked.install, asked.at, mark, owner);
        Self { asked, rules }
    }

    pub(super) const fn session(&self) -> SessionId {
        self.asked.install.session
    }

    /// Tells the caller what came of it.
    pub(super) fn answer(self, outcome: Result<(), InstallError>) {
        self.asked.answer(outcome);
    }

    fn conflicts(&self, install: &Install) -> bool {
        self.session() == install.session || install.addresses.iter().any(|one| self.rules.addresses.contains(one))
    }
}

/// Requests in the order of the calls, without those that overtake.
#[derive(Debug, Default)]
pub(super) struct InstallQueue {
    backlog: VecDeque<Request>,
    /// Installs that wait for an address, with the time they give up.
    parked: Vec<(Instant, Box<QueuedInstall>)>,
    /// For the next transaction.
    prepared: Vec<Prepared>,
}

impl InstallQueue {
    /// Adds a request at the end.
    pub(super) fn push(&mut self, request: Request) {
        self.backlog.push_back(request);
    }

    /// True if no request waits.
    pub(super) fn is_empty(&self) -> bool {
        self.backlog.is_empty()
    }

    /// The next request if it is no install.
    pub(super) fn next_other(&mut self) -> Option<Request> {
        self.backlog.pop_front_if(|next| !matches!(next, Request::Install(_)))
    }

    /// The next request if it is an install that may still join the transaction.
    pub(super) fn next_install(&mut self) -> Option<Box<QueuedInstall>> {
        if self.prepared.len() >= TOGETHER {
            return None;
        }
        match self.backlog.pop_front()? {
            Request::Install(asked) => Some(asked),
            other => {
                self.backlog.push_front(other);
                None
            }
        }
    }

    /// Lets an install wait for an address; gives it back if it waited long enough.
    pub(super) fn park(&mut self, asked: Box<QueuedInstall>, now: Instant) -> Option<Box<QueuedInstall>> {
        if now.saturating_duration_since(asked.at) > ADDRESS_WAIT {
            return Some(asked);
        }
        self.parked.push((asked.at + ADDRESS_WAIT, asked));
        None
    }

    /// Installs that waited for an address are asked again, in their order, before anything newer.
    pub(super) fn unpark(&mut self) {
        for (_, asked) in std::mem::take(&mut self.parked).into_iter().rev() {
            self.backlog.push_front(Request::Install(asked));
        }
    }

    /// Re-examines parked installs once one of them has waited longer than [`ADDRESS_WAIT`].
    pub(super) fn expire_parked(&mut self, now: Instant) {
        if self.parked.iter().any(|(until, _)| *until <= now) {
            self.unpark();
        }
    }

    /// True if the install must not share the transaction of what is prepared: same session or same address.
    pub(super) fn conflicts(&self, install: &Install) -> bool {
        self.prepared.iter().any(|one| one.conflicts(install))
    }

    /// Adds an install to the next transaction.
    pub(super) fn prepare(&mut self, prepared: Prepared) {
        self.prepared.push(prepared);
    }

    /// What the next transaction installs.
    pub(super) fn take_prepared(&mut self) -> Vec<Prepared> {
        std::mem::take(&mut self.prepared)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use ringwall_actors::ports::SessionAddresses;
    use ringwall_protocol::id::LogIndex;
    use ringwall_protocol::rules::RuleSet;
    use tokio::sync::oneshot;

    use super::*;

    fn queued(n: u8, at: Instant) -> Box<QueuedInstall> {
        let install = Install {
            session: SessionId::from_random([n; 16]),
            generation: 1,
            checked_at: LogIndex(1),
            user: "CN=alice,OU=local".parse().expect("a DN"),
            addresses: SessionAddresses { v4: Some(Ipv4Addr::new(10, 9, 0, n)), v6: None },
            rules: Arc::new(RuleSet::default()),
            expires_in: Duration::from_secs(60),
        };
        Box::new(QueuedInstall { install, at, reply: oneshot::channel().0 })
    }

    fn next(queue: &mut InstallQueue) -> Option<SessionId> {
        queue.next_install().map(|asked| asked.install.session)
    }

    #[test]
    fn parked_installs_come_back_in_their_order_before_anything_newer() {
        let (mut queue, now) = (InstallQueue::default(), Instant::now());
        for n in [1, 2] {
            assert!(queue.park(queued(n, now), now).is_none());
        }
        queue.push(Request::Install(queued(3, now)));
        queue.expire_parked(now + ADDRESS_WAIT / 2);
        assert_eq!(next(&mut queue), Some(queued(3, now).install.session), "the others still wait");
        queue.push(Request::Install(queued(4, now)));
        queue.expire_parked(now + ADDRESS_WAIT);
        for n in [1, 2, 4] {
            assert_eq!(next(&mut queue), Some(queued(n, now).install.session));
        }
        let late = now + ADDRESS_WAIT + Duration::from_millis(1);
        assert!(queue.park(queued(1, now), late).is_some(), "waited long enough");
    }

    #[test]
    fn other_requests_keep_their_place_among_installs() {
        let (mut queue, now) = (InstallQueue::default(), Instant::now());
        queue.push(Request::Install(queued(1, now)));
        queue.push(Request::Progress(LogIndex(7)));
        queue.push(Request::Install(queued(2, now)));
        assert!(queue.next_other().is_none(), "an install is in front");
        assert!(next(&mut queue).is_some());
        assert!(next(&mut queue).is_none(), "progress is in front");
        assert!(matches!(queue.next_other(), Some(Request::Progress(LogIndex(7)))));
        assert!(next(&mut queue).is_some());
    }

    #[test]
    fn a_transaction_is_bounded_and_holds_a_session_and_an_address_once() {
        let (mut queue, now) = (InstallQueue::default(), Instant::now());
        queue.prepare(Prepared::new(queued(1, now), Mark(1), Owner(1)));
        assert!(queue.conflicts(&queued(1, now).install));
        let mut same_address = queued(2, now);
        assert!(!queue.conflicts(&same_address.install));
        same_address.install.addresses = queued(1, now).install.addresses;
        assert!(queue.conflicts(&same_address.install));
        for _ in 1..TOGETHER {
            queue.prepare(Prepared::new(queued(9, now), Mark(1), Owner(1)));
        }
        queue.push(Request::Install(queued(3, now)));
        assert!(next(&mut queue).is_none());
        assert_eq!(queue.take_prepared().len(), TOGETHER);
        assert!(next(&mut queue).is_some());
    }
}
