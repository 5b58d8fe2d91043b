//! The pure part of a link: which frames follow from what the Gateway said and what was applied.
//!
//! Invariant behind the lease (T1): `Confirmed { readIndex }` leaves only when every change up to `readIndex`
//! was put into the same stream before it. A read index is asked for after the poll arrived, never shared with a poll
//! that came later.

mod exchange;
mod polls;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ringwall_protocol::feed::{
    FEED_VERSION, FeedEvent, FeedPosition, FeedView, FromController, FromGateway, MAX_UNACKNOWLEDGED,
};
use ringwall_protocol::id::{ApplianceId, LogIndex, SessionId};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::wire::error::ErrorCode;

pub(crate) use exchange::{CloseReason, LinkEffect, LinkInput};

use self::polls::{Poll, Polls};
use super::ports::{ChangeSource, Changes, GatewayReport, NoQuorum};
use crate::support::clock::Moment;
use crate::support::packed;

/// A bookmark leaves at least this often.
pub(crate) const BOOKMARK_EVERY: Duration = Duration::from_secs(1);
/// A Gateway that says nothing for so long is gone: it polls at least every 20 s (a third of the longest lease).
pub(crate) const SILENCE: Duration = Duration::from_secs(45);
/// Bytes of one part of the full state: with numbers as text far below the longest frame.
const PART: usize = 256 * 1024;
/// Changes at once beyond which the full state is cheaper, and safe against the bound on unacknowledged ones.
const MAX_CATCH_UP: usize = MAX_UNACKNOWLEDGED / 2;

/// One Gateway's link.
#[derive(Debug)]
pub(crate) struct LinkCore {
    gateway: ApplianceId,
    phase: Phase,
    /// Everything up to here was put into the stream.
    sent: LogIndex,
    enforced: LogIndex,
    /// Indexes of changes that are not acknowledged.
    unacknowledged: VecDeque<LogIndex>,
    polls: Polls,
    /// A batch of audit records is being made durable.
    storing: bool,
    next_bookmark: Instant,
    last_heard: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    AwaitsSubscribe,
    Live,
    /// The feed is elsewhere: polls alone are answered.
    Witness,
    Closed,
}

impl LinkCore {
    /// A link to the Gateway whose certificate and key were checked against the members.
    #[must_use]
    pub(crate) fn new(gateway: ApplianceId, now: Moment) -> Self {
        Self {
            gateway,
            phase: Phase::AwaitsSubscribe,
            sent: LogIndex(0),
            enforced: LogIndex(0),
            unacknowledged: VecDeque::new(),
            polls: Polls::default(),
            storing: false,
            next_bookmark: now.instant + BOOKMARK_EVERY,
            last_heard: now.instant,
        }
    }

    /// When [`LinkInput::Tick`] is wanted.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Instant {
        self.next_bookmark.min(self.last_heard + SILENCE)
    }

    /// What follows from an input.
    pub(crate) fn handle(&mut self, input: LinkInput, source: &dyn ChangeSource, now: Moment) -> Vec<LinkEffect> {
        let mut effects = vec![];
        if self.phase != Phase::Closed {
            match input {
                LinkInput::Arrived(frame) => {
                    self.last_heard = now.instant;
                    self.on_frame(frame, source, now, &mut effects);
                }
                LinkInput::Applied => {
                    self.pump(source, now, &mut effects);
                    self.witness(source, &mut effects);
                }
                LinkInput::AuditStored { seq } => {
                    self.storing = false;
                    effects.push(LinkEffect::Send(FromController::AuditStored { seq }));
                }
                LinkInput::ReadIndex(answer) => self.on_read_index(answer, source, now, &mut effects),
                LinkInput::Tick => self.on_tick(source, now, &mut effects),
            }
        }
        effects
    }

    fn on_frame(&mut self, frame: FromGateway, source: &dyn ChangeSource, now: Moment, effects: &mut Vec<LinkEffect>) {
        match (self.phase, frame) {
            (Phase::AwaitsSubscribe, FromGateway::Subscribe { versions, gateway, position, witness }) => {
                self.on_subscribe(&versions, (gateway, witness), position, source, now, effects);
            }
            (Phase::AwaitsSubscribe, _) => self.close(CloseReason::Protocol("expected subscribe first"), effects),
            (_, FromGateway::Subscribe { .. }) => self.close(CloseReason::Protocol("subscribed twice"), effects),
            (Phase::Witness, frame) if !matches!(frame, FromGateway::Poll { .. }) => {
                self.close(CloseReason::Protocol("a witness hears polls only"), effects);
            }
            (_, FromGateway::Poll { nonce }) => self.on_poll(Poll { nonce, arrived: now.instant }, effects),
            (_, FromGateway::Enforced { index, failed }) => self.on_enforced(index, failed, effects),
            (_, FromGateway::Audit { .. }) if self.storing => {
                self.close(CloseReason::Protocol("audit records before the former ones were acknowledged"), effects);
            }
            (_, FromGateway::Audit { seq, records }) => {
                self.storing = true;
                effects.push(LinkEffect::StoreAudit { seq, records });
            }
            (_, FromGateway::RenewCertificate { command_id, csr }) => {
                effects.push(LinkEffect::RenewCertificate { command: command_id, csr });
            }
            (_, FromGateway::SessionOpened { session }) => {
                effects.push(LinkEffect::Report(GatewayReport::SessionOpened(session)));
            }
            (_, FromGateway::SessionUpdated { session }) => {
                effects.push(LinkEffect::Report(GatewayReport::SessionUpdated(session)));
            }
            (_, FromGateway::SessionEnded { session, dn, code }) => {
                effects.push(LinkEffect::Report(GatewayReport::SessionEnded { session, dn, code }));
            }
            (_, FromGateway::Interfaces { addresses }) => {
                effects.push(LinkEffect::Report(GatewayReport::Interfaces(addresses)));
            }
            (_, FromGateway::PeerKey { digest }) => {
                effects.push(LinkEffect::Report(GatewayReport::PeerKey(digest)));
            }
            (_, FromGateway::Load { sessions, rule_sets }) => {
                effects.push(LinkEffect::Report(GatewayReport::Load { sessions, rule_sets }));
            }
        }
    }

    fn on_subscribe(
        &mut self,
        versions: &[u16],
        (gateway, witness): (ApplianceId, bool),
        position: Option<FeedPosition>,
        source: &dyn ChangeSource,
        now: Moment,
        effects: &mut Vec<LinkEffect>,
    ) {
        if !versions.contains(&FEED_VERSION) {
            effects.push(refused(ErrorCode::VersionUnsupported));
            return self.close(CloseReason::Protocol("no common version"), effects);
        }
        let view = (gateway == self.gateway).then(|| source.view(gateway)).flatten();
        let Some(view) = view else {
            effects.push(refused(ErrorCode::Forbidden));
            return self.close(CloseReason::NotAMember, effects);
        };
        let ours = view.position;
        if witness {
            self.phase = Phase::Witness;
            return;
        }
        if source.retires() {
            return self.send_away(source, effects);
        }
        match position {
            Some(theirs) if theirs.incarnation.epoch > ours.incarnation.epoch => self.send_away(source, effects),
            Some(theirs) if theirs.incarnation == ours.incarnation && theirs.index > ours.index => {
                self.send_away(source, effects);
            }
            Some(theirs)
                if theirs.incarnation.epoch == ours.incarnation.epoch && theirs.incarnation != ours.incarnation =>
            {
                effects.push(refused(ErrorCode::Conflict));
                self.close(CloseReason::Protocol("another incarnation with the same epoch"), effects);
            }
            Some(theirs) if theirs.incarnation == ours.incarnation => {
                self.resume(theirs.index, view, source, now, effects)
            }
            _ => self.send_full(&view, now, effects),
        }
        if self.phase == Phase::Live {
            effects.push(LinkEffect::Report(GatewayReport::Connected));
        }
    }

    fn send_away(&mut self, source: &dyn ChangeSource, effects: &mut Vec<LinkEffect>) {
        effects.push(LinkEffect::Send(FromController::UseAnother { controllers: source.others() }));
        self.close(CloseReason::Behind, effects);
    }

    fn resume(
        &mut self,
        after: LogIndex,
        view: FeedView,
        source: &dyn ChangeSource,
        now: Moment,
        effects: &mut Vec<LinkEffect>,
    ) {
        match source.changes_after(self.gateway, after) {
            Ok(changes) if changes.events.len() <= MAX_CATCH_UP => {
                self.phase = Phase::Live;
                self.sent = after;
                self.enforced = after;
                self.send_changes(changes, effects);
                if self.phase == Phase::Live {
                    self.bookmark(source, now, effects);
                }
            }
            _ => self.send_full(&view, now, effects),
        }
    }

    fn send_full(&mut self, view: &FeedView, now: Moment, effects: &mut Vec<LinkEffect>) {
        let Ok(bytes) = packed::pack(view) else { return self.close(CloseReason::Encoding, effects) };
        let parts: Vec<&[u8]> = bytes.chunks(PART).collect();
        let count = u32::try_from(parts.len()).expect("a state in memory has fewer than 2^32 parts");
        for (part, bytes) in (0..count).zip(parts) {
            let full = FromController::Full { position: view.position, part, parts: count, bytes: bytes.to_vec() };
            effects.push(LinkEffect::Send(full));
        }
        self.phase = Phase::Live;
        self.sent = view.position.index;
        self.next_bookmark = now.instant;
    }

    fn on_poll(&mut self, poll: Poll, effects: &mut Vec<LinkEffect>) {
        if !self.polls.arrived(poll) {
            return self.close(CloseReason::Protocol("too many polls at once"), effects);
        }
        self.ask(effects);
    }

    fn ask(&mut self, effects: &mut Vec<LinkEffect>) {
        if self.polls.begin_round() {
            effects.push(LinkEffect::AskReadIndex);
        }
    }

    fn on_read_index(
        &mut self,
        answer: Result<LogIndex, NoQuorum>,
        source: &dyn ChangeSource,
        now: Moment,
        effects: &mut Vec<LinkEffect>,
    ) {
        // Without a quorum nothing is answered: the Gateway turns to the next Controller by itself.
        self.polls.end_round(answer.ok());
        self.pump(source, now, effects);
        self.witness(source, effects);
        self.ask(effects);
    }

    /// Answers every poll whose read index is applied here.
    fn witness(&mut self, source: &dyn ChangeSource, effects: &mut Vec<LinkEffect>) {
        if self.phase != Phase::Witness || !self.polls.some_wait() {
            return;
        }
        let (applied, members) = source.members();
        for (poll, _) in self.polls.take_covered(applied) {
            let members = members.clone();
            let witnessed = FromController::Witnessed { nonce: poll.nonce, read_index: applied, members };
            effects.push(LinkEffect::Send(witnessed));
        }
    }

    fn on_enforced(&mut self, index: LogIndex, failed: Vec<SessionId>, effects: &mut Vec<LinkEffect>) {
        if index > self.sent {
            return self.close(CloseReason::Protocol("acknowledged what was not sent"), effects);
        }
        if index >= self.enforced {
            self.enforced = index;
            while self.unacknowledged.front().is_some_and(|sent| *sent <= index) {
                self.unacknowledged.pop_front();
            }
            effects.push(LinkEffect::Enforced { index, failed });
        }
    }

    fn on_tick(&mut self, source: &dyn ChangeSource, now: Moment, effects: &mut Vec<LinkEffect>) {
        if now.instant >= self.last_heard + SILENCE {
            return self.close(CloseReason::Silent, effects);
        }
        if now.instant >= self.next_bookmark {
            self.pump(source, now, effects);
            if self.phase == Phase::Live {
                self.bookmark(source, now, effects);
            } else {
                self.next_bookmark = now.instant + BOOKMARK_EVERY;
            }
        }
    }

    /// Sends what was applied since, then every confirmation that is covered by it.
    fn pump(&mut self, source: &dyn ChangeSource, now: Moment, effects: &mut Vec<LinkEffect>) {
        if self.phase != Phase::Live {
            return;
        }
        if source.retires() {
            return self.send_away(source, effects);
        }
        match source.changes_after(self.gateway, self.sent) {
            Ok(changes) => {
                // Also entries of which Gateways hear nothing: a token carries the index at which it was made, and a
                // Gateway admits nobody before it has got that far.
                let before = self.sent;
                self.send_changes(changes, effects);
                if self.phase == Phase::Live && self.sent > before {
                    self.bookmark(source, now, effects);
                }
            }
            Err(_) => match source.view(self.gateway) {
                Some(view) => self.send_full(&view, now, effects),
                None => self.close(CloseReason::NotAMember, effects),
            },
        }
        self.confirm(effects);
    }

    /// Sends changes, and ends the link if one of them removes the Gateway, or it acknowledges too little.
    fn send_changes(&mut self, changes: Changes, effects: &mut Vec<LinkEffect>) {
        if self.unacknowledged.len() + changes.events.len() > MAX_UNACKNOWLEDGED {
            return self.close(CloseReason::Unacknowledged, effects);
        }
        let mut removed = false;
        for (index, event) in changes.events {
            removed |= self.removes_the_gateway(&event);
            self.unacknowledged.push_back(index);
            effects.push(LinkEffect::Send(FromController::Change { index, event }));
        }
        self.sent = self.sent.max(changes.through);
        if removed {
            effects.push(refused(ErrorCode::Revoked));
            self.close(CloseReason::NotAMember, effects);
        }
    }

    fn removes_the_gateway(&self, event: &FeedEvent) -> bool {
        matches!(event, FeedEvent::GatewayChanged { gateway }
            if gateway.appliance == self.gateway && gateway.state == ApplianceState::Removed)
    }

    fn bookmark(&mut self, source: &dyn ChangeSource, now: Moment, effects: &mut Vec<LinkEffect>) {
        self.next_bookmark = now.instant + BOOKMARK_EVERY;
        effects.push(LinkEffect::Send(FromController::Bookmark {
            index: self.sent,
            controller_time: now.time,
            term: source.term(),
        }));
    }

    fn confirm(&mut self, effects: &mut Vec<LinkEffect>) {
        if self.phase != Phase::Live {
            return;
        }
        for (poll, read_index) in self.polls.take_covered(self.sent) {
            effects.push(LinkEffect::Send(FromController::Confirmed { nonce: poll.nonce, read_index }));
            effects.push(LinkEffect::ConfirmedPollOf(poll.arrived));
        }
    }

    fn close(&mut self, reason: CloseReason, effects: &mut Vec<LinkEffect>) {
        if self.phase == Phase::Live {
            effects.push(LinkEffect::Report(GatewayReport::Disconnected));
        }
        self.phase = Phase::Closed;
        effects.push(LinkEffect::Close(reason));
    }

    /// The connection is gone without our doing.
    pub(crate) fn hung_up(&mut self) -> Vec<LinkEffect> {
        let was = std::mem::replace(&mut self.phase, Phase::Closed);
        if was == Phase::Live { vec![LinkEffect::Report(GatewayReport::Disconnected)] } else { vec![] }
    }
}

fn refused(code: ErrorCode) -> LinkEffect {
    LinkEffect::Send(FromController::Refused { code })
}

#[cfg(test)]
mod tests;
