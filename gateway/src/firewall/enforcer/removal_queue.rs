//! Removals that the kernel has not acknowledged: which go next, which it refused, when those are tried again. Pure.

use std::time::{Duration, Instant};

use ringwall_protocol::id::SessionId;
use tokio::sync::oneshot;

/// How long until a refused removal is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// A removal that is not acknowledged yet.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) session: SessionId,
    replies: Vec<oneshot::Sender<()>>,
    /// The kernel refused it before; whoever listens knows.
    refused: bool,
}

impl Removal {
    /// Tells everybody who asked that no packet of the session passes any more.
    pub(super) fn acknowledge(self) {
        for reply in self.replies {
            let _ = reply.send(());
        }
    }
}

/// Removals in the order of the calls.
#[derive(Debug, Default)]
pub(super) struct RemovalQueue {
    /// To be sent next.
    waiting: Vec<Removal>,
    /// Refused by the kernel, to be tried again.
    refused: Vec<Removal>,
    retry_at: Option<Instant>,
}

impl RemovalQueue {
    /// Adds a removal.
    pub(super) fn push(&mut self, session: SessionId, reply: oneshot::Sender<()>) {
        self.waiting.push(Removal { session, replies: vec![reply], refused: false });
    }

    /// Lets a further caller hear of a removal that is in the queue already; gives the reply back if there is none.
    pub(super) fn join(&mut self, session: SessionId, reply: oneshot::Sender<()>) -> Option<oneshot::Sender<()>> {
        match self.waiting.iter_mut().chain(&mut self.refused).find(|removal| removal.session == session) {
            Some(removal) => removal.replies.push(reply),
            None => return Some(reply),
        }
        None
    }

    /// True if there are removals to be sent now.
    pub(super) const fn is_due(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// True while any removal is not acknowledged; no lease is renewed then.
    pub(super) const fn is_outstanding(&self) -> bool {
        !self.waiting.is_empty() || !self.refused.is_empty()
    }

    /// Everything that is to be sent now, for one transaction.
    pub(super) fn take(&mut self) -> Vec<Removal> {
        std::mem::take(&mut self.waiting)
    }

    /// The kernel refused these. Returns the sessions of which that is new.
    pub(super) fn refuse(&mut self, removals: Vec<Removal>, now: Instant) -> Vec<SessionId> {
        let new = removals.iter().filter(|removal| !removal.refused).map(|removal| removal.session).collect();
        self.refused.extend(removals.into_iter().map(|removal| Removal { refused: true, ..removal }));
        self.retry_at = Some(now + RETRY);
        new
    }

    /// Puts refused removals back if it is time; true if they are to be sent now.
    pub(super) fn retry(&mut self, now: Instant) -> bool {
        let due = self.retry_at.is_some_and(|at| at <= now);
        if due {
            self.retry_at = None;
            self.waiting.append(&mut self.refused);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u8) -> SessionId {
        SessionId::from_random([n; 16])
    }

    #[test]
    fn callers_of_the_same_removal_are_answered_together() {
        let mut queue = RemovalQueue::default();
        let ((first, mut first_answer), (second, mut second_answer)) = (oneshot::channel(), oneshot::channel());
        let (other, _answer) = oneshot::channel();
        queue.push(session(1), first);
        assert!(queue.join(session(1), second).is_none());
        assert!(queue.join(session(2), other).is_some(), "nobody asked for that session");
        assert!(first_answer.try_recv().is_err());
        queue.take().into_iter().for_each(Removal::acknowledge);
        assert_eq!((first_answer.try_recv(), second_answer.try_recv()), (Ok(()), Ok(())));
        assert!(!queue.is_outstanding());
    }

    #[test]
    fn a_refused_removal_is_told_once_and_comes_back_when_it_is_time() {
        let (mut queue, now) = (RemovalQueue::default(), Instant::now());
        let (reply, _answer) = oneshot::channel();
        queue.push(session(1), reply);
        let taken = queue.take();
        assert_eq!(queue.refuse(taken, now), [session(1)]);
        assert!(queue.is_outstanding() && !queue.is_due());
        assert!(!queue.retry(now + RETRY / 2));
        assert!(queue.retry(now + RETRY) && queue.is_due());
        let taken = queue.take();
        assert_eq!(queue.refuse(taken, now), [], "known already");
        let (reply, _answer) = oneshot::channel();
        assert!(queue.join(session(1), reply).is_none());
    }
}
