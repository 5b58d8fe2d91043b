//! A second opinion: now and then another Controller is asked what it knows, in turn, so that no Controller alone can keep
//! something from this Gateway (T23).
//!
//! What follows from an answer is the registry's to say: it knows the members and how far the feed has come.

use std::time::{Duration, Instant};

use ringwall_protocol::feed::{FEED_VERSION, FromController, FromGateway};

use super::{CONNECT, FeedCore, FeedEffect, Phase};
use crate::feed::message::Delivery;
use crate::feed::ports::ConnectionId;

/// After a Controller did not answer, the next one is asked.
const NEXT: Duration = Duration::from_secs(1);
/// Without an answer for so long, the operator hears of it.
const SILENCE: Duration = Duration::from_secs(60);
/// The number of the one poll on a witness's connection.
const NONCE: u64 = 1;

/// What is being asked of whom.
#[derive(Debug)]
pub(super) struct Witness {
    state: Asking,
    /// Place of the Controller that is asked next, among the candidates.
    next: usize,
    /// When a witness last answered, or the feed began.
    heard: Instant,
    /// It is known that none answers.
    missed: bool,
}

#[derive(Debug)]
enum Asking {
    Resting { until: Instant },
    Dialing { connection: ConnectionId, until: Instant },
    Asked { connection: ConnectionId, sent_at: Instant, until: Instant },
}

impl Witness {
    pub(super) const fn new(now: Instant) -> Self {
        Self { state: Asking::Resting { until: now }, next: 0, heard: now, missed: false }
    }

    /// A feed stands from now on.
    pub(super) const fn begin(&mut self, now: Instant) {
        self.heard = now;
        if let Asking::Resting { until } = &mut self.state {
            *until = now;
        }
    }

    /// Whether a connection is the one on which a witness is asked.
    pub(super) fn is(&self, connection: ConnectionId) -> bool {
        match self.state {
            Asking::Resting { .. } => false,
            Asking::Dialing { connection: asked, .. } | Asking::Asked { connection: asked, .. } => asked == connection,
        }
    }
}

impl FeedCore {
    /// When [`FeedCore::tend_witness`] has something to do, while a feed stands; far away without another Controller.
    pub(super) fn witness_deadline(&self) -> Instant {
        let until = match self.witness.state {
            Asking::Resting { until } | Asking::Dialing { until, .. } | Asking::Asked { until, .. } => until,
        };
        if self.candidates.len() < 2 { self.witness.heard + SILENCE * 1_000 } else { until }
    }

    /// Asks the next Controller when it is time. With two witnesses as often as polls are sent, otherwise every third time.
    pub(super) fn tend_witness(&mut self, now: Instant, effects: &mut Vec<FeedEffect>) {
        if !matches!(self.phase, Phase::Streaming(_)) || self.candidates.len() < 2 {
            return;
        }
        match self.witness.state {
            Asking::Resting { until } if now >= until => self.dial_witness(now, effects),
            Asking::Dialing { connection, until } | Asking::Asked { connection, until, .. } if now >= until => {
                effects.push(FeedEffect::Release(connection));
                self.witness_failed(now);
            }
            _ => {}
        }
        if now >= self.witness.heard + SILENCE && !self.witness.missed {
            self.witness.missed = true;
            effects.push(FeedEffect::Deliver(Delivery::Unwitnessed));
        }
    }

    fn dial_witness(&mut self, now: Instant, effects: &mut Vec<FeedEffect>) {
        let count = self.candidates.len();
        let feeding = self.next % count;
        // The next in turn that is not the one whose word is to be checked.
        let asked = (0..count).map(|step| (self.witness.next + step) % count).find(|at| *at != feeding);
        let Some(asked) = asked else { return };
        self.witness.next = (asked + 1) % count;
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.witness.state = Asking::Dialing { connection, until: now + CONNECT };
        effects.push(FeedEffect::Dial(connection, self.candidates[asked].clone()));
    }

    pub(super) fn witness_connected(&mut self, connection: ConnectionId, now: Instant, effects: &mut Vec<FeedEffect>) {
        let (versions, gateway) = (vec![FEED_VERSION], self.me);
        let subscribe = FromGateway::Subscribe { versions, gateway, position: None, witness: true };
        effects.push(FeedEffect::Send(connection, subscribe));
        effects.push(FeedEffect::Send(connection, FromGateway::Poll { nonce: NONCE }));
        self.witness.state = Asking::Asked { connection, sent_at: now, until: now + CONNECT };
    }

    pub(super) fn witness_says(
        &mut self,
        connection: ConnectionId,
        frame: FromController,
        now: Instant,
        effects: &mut Vec<FeedEffect>,
    ) {
        let Asking::Asked { sent_at, .. } = self.witness.state else { return };
        effects.push(FeedEffect::Release(connection));
        let FromController::Witnessed { nonce: NONCE, read_index, members } = frame else {
            return self.witness_failed(now);
        };
        let pause = if self.witnesses > 1 { self.lease / 3 } else { self.lease };
        self.witness.state = Asking::Resting { until: sent_at + pause };
        (self.witness.heard, self.witness.missed) = (now, false);
        effects.push(FeedEffect::Deliver(Delivery::Witnessed { read_index, members, sent_at }));
    }

    pub(super) fn witness_failed(&mut self, now: Instant) {
        self.witness.state = Asking::Resting { until: now + NEXT };
    }
}
