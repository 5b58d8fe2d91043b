//! Frames of a Controller: what is believed, and what the registry hears of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringwall_protocol::feed::{FeedEvent, FeedPosition, FeedView, FromController, FromGateway};
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::time::UnixMillis;

use super::assembly::{Assembled, Assembly};
use super::{BOOKMARK_SILENCE, CONNECT, FeedCore, FeedEffect, MAX_POLLS, POLL_SILENCE, Phase, Streaming};
use crate::feed::message::Delivery;
use crate::feed::ports::ConnectionId;
use crate::support::clock::Moment;
use crate::support::entropy::Entropy;

impl FeedCore {
    pub(super) fn on_frame(
        &mut self,
        connection: ConnectionId,
        frame: FromController,
        now: Moment,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<FeedEffect>,
    ) {
        if self.connection() != Some(connection) || matches!(self.phase, Phase::Dialing { .. }) {
            return;
        }
        if let Err(reason) = self.believe(frame, now, effects) {
            self.fail(Some(reason), now, entropy, effects);
        }
    }

    /// Takes a frame in.
    ///
    /// # Errors
    /// Why the connection cannot be used.
    fn believe(
        &mut self,
        frame: FromController,
        now: Moment,
        effects: &mut Vec<FeedEffect>,
    ) -> Result<(), &'static str> {
        match frame {
            FromController::Full { position, part, parts, bytes } => {
                self.on_part(position, part, parts, &bytes, now, effects)
            }
            FromController::Change { index, event } => {
                let last = self.streaming(now, effects)?.last_change;
                let complete = self.position.map_or(LogIndex(0), |position| position.index);
                if index <= complete || index < last {
                    return Err("a change out of order");
                }
                self.streaming(now, effects)?.last_change = index;
                if let FeedEvent::SiteChanged { site } = &event {
                    self.lease = Duration::from_secs(u64::from(site.lease_seconds.max(1)));
                    self.witnesses = site.witnesses;
                }
                // Changes below this index are complete; of this index others may follow.
                self.advance(LogIndex(index.0 - 1));
                effects.push(FeedEffect::Deliver(Delivery::Change { index, event }));
                Ok(())
            }
            FromController::Bookmark { controller_time, .. } if controller_time > UnixMillis::LAST_PRINTED => {
                Err("a time beyond all calendars")
            }
            FromController::Bookmark { index, controller_time, .. } => {
                self.streaming(now, effects)?.last_bookmark = now.instant;
                self.caught_up(index)?;
                effects.push(FeedEffect::Deliver(Delivery::Time(controller_time)));
                effects.push(FeedEffect::Deliver(Delivery::CaughtUp(index)));
                Ok(())
            }
            FromController::Confirmed { nonce, read_index } => {
                let sent_at = self.streaming(now, effects)?.polls.remove(&nonce).ok_or("an answer nobody asked for")?;
                if self.position.is_some_and(|position| position.index < read_index) {
                    self.caught_up(read_index)?;
                }
                effects.push(FeedEffect::Deliver(Delivery::Confirmed { read_index, sent_at }));
                Ok(())
            }
            FromController::UseAnother { controllers } => {
                self.prefer(&controllers);
                Err("the controller names another")
            }
            FromController::Refused { .. } => Err("the controller refuses this gateway"),
            FromController::Witnessed { .. } => Err("a testimony nobody asked for"),
            FromController::AuditStored { seq } => {
                effects.push(FeedEffect::AuditStored(seq));
                Ok(())
            }
            FromController::Certificate { command_id, chain } => {
                effects.push(FeedEffect::Certificate(command_id, chain));
                Ok(())
            }
        }
    }

    fn on_part(
        &mut self,
        position: FeedPosition,
        part: u32,
        parts: u32,
        bytes: &[u8],
        now: Moment,
        effects: &mut Vec<FeedEffect>,
    ) -> Result<(), &'static str> {
        self.check_life(position, effects)?;
        let former = match &mut self.phase {
            Phase::Subscribing { parts, until, .. } => {
                *until = now.instant + CONNECT;
                parts.take()
            }
            Phase::Streaming(stream) => {
                stream.last_bookmark = now.instant;
                stream.parts.take()
            }
            Phase::Waiting { .. } | Phase::Dialing { .. } => return Ok(()),
        };
        match Assembly::add(former, position, part, parts, bytes) {
            Assembled::Broken(why) => Err(why),
            Assembled::More(assembly) => {
                match &mut self.phase {
                    Phase::Subscribing { parts, .. } => *parts = Some(assembly),
                    Phase::Streaming(stream) => stream.parts = Some(assembly),
                    Phase::Waiting { .. } | Phase::Dialing { .. } => {}
                }
                Ok(())
            }
            Assembled::Whole(view) => self.on_full(view, now, effects),
        }
    }

    /// An older incarnation is never believed, nor a second one with the same epoch (T19).
    fn check_life(&self, position: FeedPosition, effects: &mut Vec<FeedEffect>) -> Result<(), &'static str> {
        match self.highest {
            Some(highest) if position.incarnation.epoch < highest.epoch => {
                Err("a state of an older incarnation of the collective")
            }
            Some(highest) if position.incarnation.epoch == highest.epoch && position.incarnation != highest => {
                let other = position.incarnation;
                let both = format!("two incarnations of the collective claim one epoch: {highest} and {other}");
                effects.push(FeedEffect::Alarm(both));
                Err("a second incarnation of the collective with the same epoch")
            }
            _ => Ok(()),
        }
    }

    fn on_full(&mut self, view: Box<FeedView>, now: Moment, effects: &mut Vec<FeedEffect>) -> Result<(), &'static str> {
        let position = view.position;
        if self.position.is_some_and(|known| known.incarnation == position.incarnation && known.index > position.index)
        {
            return Err("a full state that is older than what is known");
        }
        if self.highest != Some(position.incarnation) {
            self.highest = Some(position.incarnation);
            effects.push(FeedEffect::Remember(position.incarnation));
        }
        self.lease = Duration::from_secs(u64::from(view.site.lease_seconds.max(1)));
        self.witnesses = view.site.witnesses;
        self.position = Some(position);
        effects.push(FeedEffect::Deliver(Delivery::Full(view)));
        self.streaming(now, effects)?.last_change = position.index;
        Ok(())
    }

    /// The stream; begins it if this is its first frame.
    fn streaming(&mut self, now: Moment, effects: &mut Vec<FeedEffect>) -> Result<&mut Streaming, &'static str> {
        if let Phase::Subscribing { connection, .. } = self.phase {
            let position = self.position.ok_or("changes before any state")?;
            let mut stream = Streaming {
                connection,
                parts: None,
                last_bookmark: now.instant,
                last_change: position.index,
                next_poll: now.instant,
                next_nonce: 0,
                polls: BTreeMap::new(),
            };
            effects.push(FeedEffect::Attached(connection));
            self.witness.begin(now.instant);
            stream.poll(now.instant, self.lease, effects);
            self.phase = Phase::Streaming(stream);
            self.failures = 0;
        }
        match &mut self.phase {
            Phase::Streaming(stream) => Ok(stream),
            _ => Err("a frame before the subscription"),
        }
    }

    fn caught_up(&mut self, index: LogIndex) -> Result<(), &'static str> {
        let Phase::Streaming(stream) = &mut self.phase else { return Err("a bookmark before the subscription") };
        if index < stream.last_change || self.position.is_some_and(|position| index < position.index) {
            return Err("a bookmark that goes back");
        }
        self.advance(index);
        Ok(())
    }

    fn advance(&mut self, index: LogIndex) {
        if let Some(position) = &mut self.position {
            position.index = position.index.max(index);
        }
    }

    /// The next failure leads to one of these, if any is known.
    fn prefer(&mut self, addresses: &[String]) {
        let named =
            |candidate: &super::Candidate| candidate.addresses.iter().any(|address| addresses.contains(address));
        if let Some(at) = self.candidates.iter().position(named) {
            let count = self.candidates.len();
            self.next = (at + count - 1) % count;
        }
    }
}

impl Streaming {
    pub(super) fn next_deadline(&self) -> Instant {
        let unanswered = self.polls.values().min().map(|sent| *sent + POLL_SILENCE);
        let deadlines = [Some(self.next_poll), Some(self.last_bookmark + BOOKMARK_SILENCE), unanswered];
        deadlines.into_iter().flatten().min().unwrap_or(self.next_poll)
    }

    /// Why this Controller can no longer be used.
    pub(super) fn silence(&self, now: Instant) -> Option<&'static str> {
        if now >= self.last_bookmark + BOOKMARK_SILENCE {
            return Some("no bookmark came");
        }
        let unanswered = self.polls.values().any(|sent| now >= *sent + POLL_SILENCE);
        unanswered.then_some("a poll was not answered")
    }

    pub(super) fn poll(&mut self, now: Instant, lease: Duration, effects: &mut Vec<FeedEffect>) {
        self.next_poll = now + lease / 3;
        if self.polls.len() >= MAX_POLLS {
            return;
        }
        self.next_nonce += 1;
        self.polls.insert(self.next_nonce, now);
        effects.push(FeedEffect::Send(self.connection, FromGateway::Poll { nonce: self.next_nonce }));
    }
}
