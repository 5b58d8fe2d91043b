//! The pure part of the feed: which Controller is asked, what of its frames is believed, what goes to the registry.
//!
//! ```text
//! Waiting ─time→ Dialing ─connected→ Subscribing ─first state or change→ Streaming ─silence, error→ Waiting (next one)
//! ```
//! A poll is sent at once and then every third of a lease; the time it was sent is what a lease counts from.

mod assembly;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod stream;
mod witness;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringwall_protocol::feed::{FEED_VERSION, FeedPosition, FromController, FromGateway};
use ringwall_protocol::id::{ApplianceId, CommandId, Incarnation, LogIndex};

use self::assembly::Assembly;
use self::witness::Witness;
use super::message::Delivery;
use super::ports::{Candidate, ConnectionId};
use crate::support::clock::Moment;
use crate::support::entropy::{Entropy, draw};

/// Time to connect, and then to the first frame.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// Without a bookmark for so long, the next Controller is asked.
pub(crate) const BOOKMARK_SILENCE: Duration = Duration::from_secs(3);
/// Without an answer to a poll for so long, too.
pub(crate) const POLL_SILENCE: Duration = Duration::from_secs(2);
/// Shortest and longest wait after all Controllers failed, before jitter.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// The lease that is assumed until the Site's is known.
const FIRST_LEASE: Duration = Duration::from_secs(15);
/// Polls that may be unanswered; more than [`POLL_SILENCE`] allows at the shortest lease.
const MAX_POLLS: usize = 16;

/// What happens to the feed.
#[derive(Debug)]
pub enum FeedInput {
    /// A deadline passed.
    Tick,
    /// A connection stands.
    Connected(ConnectionId),
    /// A frame arrived.
    Arrived(ConnectionId, FromController),
    /// A connection is gone, or could not be made.
    Lost(ConnectionId),
    /// The Controllers that can be asked.
    Candidates(Vec<Candidate>),
    /// Begin anew.
    Resubscribe,
    /// A confirmation is wanted soon.
    PollNow,
}

/// What the feed wants done, in this order.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made where it is taken, one at a time")]
pub enum FeedEffect {
    /// Connect.
    Dial(ConnectionId, Candidate),
    /// Close a connection.
    HangUp(ConnectionId, &'static str),
    /// Close a connection that has served its purpose.
    Release(ConnectionId),
    /// Say something.
    Send(ConnectionId, FromGateway),
    /// A stream stands: whatever this Gateway has to say can be said now.
    Attached(ConnectionId),
    /// The stream is gone.
    Detached,
    /// To the registry.
    Deliver(Delivery),
    /// Keep on disk.
    Remember(Incarnation),
    /// Audit records up to here are safe.
    AuditStored(u64),
    /// A further certificate came.
    Certificate(CommandId, Vec<String>),
    /// Somebody claims to be the Collective in an incarnation that cannot be: for the operator.
    Alarm(String),
}

/// The Gateway's end of the feed.
#[derive(Debug)]
pub struct FeedCore {
    me: ApplianceId,
    candidates: Vec<Candidate>,
    next: usize,
    failures: u32,
    connections: u64,
    phase: Phase,
    highest: Option<Incarnation>,
    position: Option<FeedPosition>,
    lease: Duration,
    /// How many Controllers must confirm a lease.
    witnesses: u8,
    witness: Witness,
}

#[derive(Debug)]
enum Phase {
    Waiting { until: Instant },
    Dialing { connection: ConnectionId, until: Instant },
    Subscribing { connection: ConnectionId, until: Instant, parts: Option<Assembly> },
    Streaming(Streaming),
}

#[derive(Debug)]
struct Streaming {
    connection: ConnectionId,
    /// A full state that is on its way in the middle of the stream.
    parts: Option<Assembly>,
    last_bookmark: Instant,
    last_change: LogIndex,
    next_poll: Instant,
    next_nonce: u64,
    polls: BTreeMap<u64, Instant>,
}

impl FeedCore {
    /// A feed of this Gateway; `highest` is what was kept on disk.
    #[must_use]
    pub fn new(
        me: ApplianceId,
        highest: Option<Incarnation>,
        candidates: Vec<Candidate>,
        now: Moment,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let start = usize::from(draw::<1>(entropy)[0]);
        let next = if candidates.is_empty() { 0 } else { start % candidates.len() };
        Self {
            me,
            candidates,
            next,
            failures: 0,
            connections: 0,
            phase: Phase::Waiting { until: now.instant },
            highest,
            position: None,
            lease: FIRST_LEASE,
            witnesses: 1,
            witness: Witness::new(now.instant),
        }
    }

    /// Where the feed stands.
    #[must_use]
    pub const fn position(&self) -> Option<FeedPosition> {
        self.position
    }

    /// Whether frames of a Controller come in.
    #[must_use]
    pub(crate) const fn is_streaming(&self) -> bool {
        matches!(self.phase, Phase::Streaming(_))
    }

    /// When [`FeedInput::Tick`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        match &self.phase {
            Phase::Waiting { until } | Phase::Dialing { until, .. } | Phase::Subscribing { until, .. } => *until,
            Phase::Streaming(stream) => stream.next_deadline().min(self.witness_deadline()),
        }
    }

    /// What follows from an input.
    pub fn handle(&mut self, input: FeedInput, now: Moment, entropy: &mut dyn Entropy) -> Vec<FeedEffect> {
        let mut effects = vec![];
        match input {
            FeedInput::Tick => {
                self.on_tick(now, entropy, &mut effects);
                self.tend_witness(now.instant, &mut effects);
            }
            FeedInput::Connected(connection) if self.witness.is(connection) => {
                self.witness_connected(connection, now.instant, &mut effects);
            }
            FeedInput::Arrived(connection, frame) if self.witness.is(connection) => {
                self.witness_says(connection, frame, now.instant, &mut effects);
            }
            FeedInput::Lost(connection) if self.witness.is(connection) => self.witness_failed(now.instant),
            FeedInput::Connected(connection) => self.on_connected(connection, now, &mut effects),
            FeedInput::Arrived(connection, frame) => self.on_frame(connection, frame, now, entropy, &mut effects),
            FeedInput::Lost(connection) => {
                if self.connection() == Some(connection) {
                    self.fail(None, now, entropy, &mut effects);
                }
            }
            FeedInput::Candidates(candidates) => self.on_candidates(candidates),
            FeedInput::Resubscribe => {
                if self.connection().is_some() {
                    self.fail(Some("the feed begins anew"), now, entropy, &mut effects);
                }
                self.phase = Phase::Waiting { until: now.instant };
            }
            FeedInput::PollNow => {
                if let Phase::Streaming(stream) = &mut self.phase {
                    stream.poll(now.instant, self.lease, &mut effects);
                }
            }
        }
        effects
    }

    fn connection(&self) -> Option<ConnectionId> {
        match &self.phase {
            Phase::Waiting { .. } => None,
            Phase::Dialing { connection, .. } | Phase::Subscribing { connection, .. } => Some(*connection),
            Phase::Streaming(stream) => Some(stream.connection),
        }
    }

    fn on_tick(&mut self, now: Moment, entropy: &mut dyn Entropy, effects: &mut Vec<FeedEffect>) {
        match &mut self.phase {
            Phase::Waiting { until } if now.instant >= *until => self.dial(now, effects),
            Phase::Dialing { until, .. } | Phase::Subscribing { until, .. } if now.instant >= *until => {
                self.fail(Some("the controller does not answer"), now, entropy, effects);
            }
            Phase::Streaming(stream) => {
                if let Some(silence) = stream.silence(now.instant) {
                    self.fail(Some(silence), now, entropy, effects);
                } else if now.instant >= stream.next_poll {
                    stream.poll(now.instant, self.lease, effects);
                }
            }
            _ => {}
        }
    }

    fn dial(&mut self, now: Moment, effects: &mut Vec<FeedEffect>) {
        let Some(candidate) = self.candidates.get(self.next % self.candidates.len().max(1)) else {
            self.phase = Phase::Waiting { until: now.instant + BACK_OFF.1 };
            return;
        };
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.phase = Phase::Dialing { connection, until: now.instant + CONNECT };
        effects.push(FeedEffect::Dial(connection, candidate.clone()));
    }

    fn on_connected(&mut self, connection: ConnectionId, now: Moment, effects: &mut Vec<FeedEffect>) {
        match self.phase {
            Phase::Dialing { connection: dialed, .. } if dialed == connection => {
                self.phase = Phase::Subscribing { connection, until: now.instant + CONNECT, parts: None };
                let (versions, gateway, position) = (vec![FEED_VERSION], self.me, self.position);
                let subscribe = FromGateway::Subscribe { versions, gateway, position, witness: false };
                effects.push(FeedEffect::Send(connection, subscribe));
            }
            _ => effects.push(FeedEffect::HangUp(connection, "another connection came first")),
        }
    }

    fn on_candidates(&mut self, candidates: Vec<Candidate>) {
        let next = self.candidates.get(self.next % self.candidates.len().max(1)).map(|candidate| candidate.node);
        self.next = candidates.iter().position(|candidate| Some(candidate.node) == next).unwrap_or(0);
        self.candidates = candidates;
    }

    /// This connection cannot be used; the next Controller is asked, at once if it was not asked since the last success.
    fn fail(
        &mut self,
        hang_up: Option<&'static str>,
        now: Moment,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<FeedEffect>,
    ) {
        if self.is_streaming() {
            self.failures = 0;
            effects.push(FeedEffect::Detached);
        }
        if let (Some(connection), Some(reason)) = (self.connection(), hang_up) {
            effects.push(FeedEffect::HangUp(connection, reason));
        }
        self.next = (self.next + 1) % self.candidates.len().max(1);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting { until: now.instant + self.back_off(entropy) };
    }

    fn back_off(&self, entropy: &mut dyn Entropy) -> Duration {
        let all = u32::try_from(self.candidates.len().max(1)).unwrap_or(u32::MAX);
        let rounds = self.failures / all;
        if rounds == 0 {
            return Duration::ZERO;
        }
        let wait = BACK_OFF.0.saturating_mul(1 << (rounds - 1).min(10)).min(BACK_OFF.1);
        // ± 50 %: Gateways that lost the same Controller do not come back together.
        wait / 2 + wait * u32::from(draw::<1>(entropy)[0]) / 256
    }
}

#[cfg(test)]
mod tests;
