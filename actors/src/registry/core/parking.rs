//! Requests whose tokens are newer than the feed: they wait for it, bounded in number and time (T35).

use std::time::Instant;

use ringwall_protocol::id::LogIndex;
use ringwall_protocol::wire::error::ErrorCode;

use super::Ticket;
use crate::registry::admission::{Admission, Presentation, Refusal};
use crate::registry::published::{FEED_WAIT, MAX_WAITERS};

/// What waits.
#[derive(Debug)]
pub(super) enum Request {
    Admission(Box<Admission>),
    Presentation(Box<Presentation>),
}

#[derive(Debug)]
struct Parked {
    ticket: Ticket,
    request: Request,
    needs: LogIndex,
    until: Instant,
}

/// All that waits, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Parking(Vec<Parked>);

impl Parking {
    /// Parks a request until the feed has reached `needs`; hands it back as refused if there is no room.
    pub(super) fn park(
        &mut self,
        ticket: Ticket,
        request: Request,
        needs: LogIndex,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.0.len() >= MAX_WAITERS {
            return Err(feed_behind());
        }
        self.0.push(Parked { ticket, request, needs, until: now + FEED_WAIT });
        Ok(())
    }

    /// Takes out what needs no more than `complete`, in order of arrival.
    pub(super) fn ready(&mut self, complete: LogIndex) -> Vec<(Ticket, Request)> {
        let ready = self.0.extract_if(.., |parked| parked.needs <= complete);
        ready.map(|parked| (parked.ticket, parked.request)).collect()
    }

    /// Takes out what has waited too long.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<Ticket> {
        self.0.extract_if(.., |parked| parked.until <= now).map(|parked| parked.ticket).collect()
    }

    /// Takes out everything.
    pub(super) fn all(&mut self) -> Vec<Ticket> {
        self.0.drain(..).map(|parked| parked.ticket).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|parked| parked.until).min()
    }
}

/// The refusal of those who waited in vain.
pub(super) fn feed_behind() -> Refusal {
    Refusal::new(ErrorCode::FeedBehind, "the gateway has not yet heard of the state that the tokens were made in")
}
