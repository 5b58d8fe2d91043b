//! A link and a feed as a pair in memory: whatever the interleaving of changes, polls and frames, order holds and no
//! confirmation overtakes a change (T1).

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use proptest::prelude::*;
use ringwall_protocol::feed::{FeedEvent, FeedView, FromController, FromGateway, members_digest};
use ringwall_protocol::id::Incarnation;
use ringwall_protocol::revocation::{RevocationMode, RevocationScope};
use tokio::sync::watch;

use super::*;
use crate::feed::core::{FeedCore, FeedEffect, FeedInput};
use crate::feed::message::Delivery;
use crate::feed::ports::{Candidate, ConnectionId};
use crate::link::ports::{Changes, Compacted};
use crate::scene::{Scene, revocation};
use crate::support::entropy::CountingEntropy;

/// A replicated log in memory: index → events for the Gateway; `committed` may be ahead of what is applied here.
struct Log {
    base: FeedView,
    events: Mutex<Vec<(LogIndex, FeedEvent)>>,
    applied: Mutex<LogIndex>,
    committed: Mutex<LogIndex>,
    compacted: Mutex<LogIndex>,
    retires: Mutex<bool>,
}

impl Log {
    fn new(scene: &Scene) -> Self {
        let base = scene.view(10);
        Self {
            base,
            events: Mutex::default(),
            applied: Mutex::new(LogIndex(10)),
            committed: Mutex::new(LogIndex(10)),
            compacted: Mutex::new(LogIndex(0)),
            retires: Mutex::new(false),
        }
    }

    /// An entry with so many changes for the Gateway.
    fn commit(&self, changes: usize) {
        let mut committed = self.committed.lock().expect("no panic");
        committed.0 += 1;
        let event = |part: usize| FeedEvent::RevocationAdded {
            revocation: revocation(
                committed.0,
                RevocationScope::Token(crate::scene::token_id(u8::try_from(part).expect("few"))),
                RevocationMode::Cut,
            ),
        };
        self.events.lock().expect("no panic").extend((0..changes).map(|part| (*committed, event(part))));
    }

    fn apply(&self) {
        *self.applied.lock().expect("no panic") = *self.committed.lock().expect("no panic");
    }

    fn committed(&self) -> LogIndex {
        *self.committed.lock().expect("no panic")
    }

    /// Everything with an index in `after..=through`.
    fn between(&self, after: LogIndex, through: LogIndex) -> Vec<(LogIndex, FeedEvent)> {
        let within = |(index, _): &&(LogIndex, FeedEvent)| *index > after && *index <= through;
        self.events.lock().expect("no panic").iter().filter(within).cloned().collect()
    }
}

impl ChangeSource for Log {
    fn incarnation(&self) -> Incarnation {
        self.base.position.incarnation
    }
    fn term(&self) -> u64 {
        1
    }
    fn view(&self, _: ApplianceId) -> Option<FeedView> {
        let mut view = self.base.clone();
        for (index, event) in self.between(LogIndex(10), *self.applied.lock().expect("no panic")) {
            view.apply(index, &event);
        }
        view.position.index = *self.applied.lock().expect("no panic");
        Some(view)
    }
    fn members(&self) -> (LogIndex, String) {
        let view = self.view(ApplianceId::from_random([0; 16])).expect("a view");
        (view.position.index, members_digest(view.controllers.values(), view.keys.values()))
    }
    fn changes_after(&self, _: ApplianceId, after: LogIndex) -> Result<Changes, Compacted> {
        if after < *self.compacted.lock().expect("no panic") {
            return Err(Compacted { after });
        }
        let through = *self.applied.lock().expect("no panic");
        Ok(Changes { events: self.between(after, through), through })
    }
    fn applied(&self) -> watch::Receiver<LogIndex> {
        watch::channel(LogIndex(0)).1
    }
    fn read_index(&self) -> BoxFuture<'static, Result<LogIndex, NoQuorum>> {
        let index = self.committed();
        Box::pin(async move { Ok(index) })
    }
    fn retires(&self) -> bool {
        *self.retires.lock().expect("no panic")
    }
    fn others(&self) -> Vec<String> {
        vec!["other:444".to_owned()]
    }
}

/// What a run may do next.
#[derive(Debug, Clone)]
enum Step {
    Commit(usize),
    Apply,
    LinkHears,
    FeedHears,
    ReadIndexAnswered,
    Time(u64),
    ConnectionBreaks,
    Compact,
    EnforcedUpTo,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0usize..4).prop_map(Step::Commit),
        3 => Just(Step::Apply),
        6 => Just(Step::LinkHears),
        8 => Just(Step::FeedHears),
        3 => Just(Step::ReadIndexAnswered),
        3 => (1u64..1_500).prop_map(Step::Time),
        1 => Just(Step::ConnectionBreaks),
        1 => Just(Step::Compact),
        2 => Just(Step::EnforcedUpTo),
    ];
    proptest::collection::vec(step, 1..200)
}

/// Both ends, the wires between them, and what the registry would have been told.
struct Pair {
    log: Log,
    now: Moment,
    entropy: CountingEntropy,
    feed: FeedCore,
    link: Option<(ConnectionId, LinkCore)>,
    up: VecDeque<FromGateway>,
    down: VecDeque<FromController>,
    /// Read indexes that were asked for, with what was committed at the time.
    asked: VecDeque<LogIndex>,
    gateway: ApplianceId,
    heard: Vec<(LogIndex, FeedEvent)>,
    /// Where the last full state stood.
    full_at: LogIndex,
    poll_commits: std::collections::BTreeMap<Instant, LogIndex>,
}

impl Pair {
    fn new() -> Self {
        let scene = Scene::new();
        let (log, now, mut entropy) = (Log::new(&scene), scene.at(0), CountingEntropy::default());
        let candidate = Candidate { node: ringwall_protocol::id::NodeId(1), addresses: vec!["one:444".to_owned()] };
        let gateway = scene.gateway.id;
        let feed = FeedCore::new(gateway, None, vec![candidate], now, &mut entropy);
        Self {
            log,
            now,
            entropy,
            feed,
            link: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            asked: VecDeque::new(),
            gateway,
            heard: vec![],
            full_at: LogIndex(0),
            poll_commits: std::collections::BTreeMap::new(),
        }
    }

    fn feed(&mut self, input: FeedInput) {
        for effect in self.feed.handle(input, self.now, &mut self.entropy) {
            match effect {
                FeedEffect::Dial(connection, _) => {
                    self.link = Some((connection, LinkCore::new(self.gateway, self.now)));
                    self.up.clear();
                    self.down.clear();
                    self.asked.clear();
                    self.feed(FeedInput::Connected(connection));
                }
                FeedEffect::HangUp(connection, _)
                    if self.link.as_ref().is_some_and(|(live, _)| *live == connection) =>
                {
                    self.link = None;
                }
                FeedEffect::HangUp(..) => {}
                FeedEffect::Send(_, frame) => {
                    match &frame {
                        FromGateway::Poll { .. } => {
                            self.poll_commits.insert(self.now.instant, self.log.committed());
                        }
                        // Of the index above the position some changes may have come: all of them come again, and
                        // each says how things stand and not what to add.
                        FromGateway::Subscribe { position: Some(position), .. } => {
                            self.heard.retain(|(index, _)| *index <= position.index);
                        }
                        _ => {}
                    }
                    self.up.push_back(frame);
                }
                FeedEffect::Deliver(delivery) => self.deliver(delivery),
                FeedEffect::Alarm(what) => panic!("{what}"),
                _ => {}
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Full(view) => {
                self.full_at = view.position.index;
                self.heard.clear();
                let known: Vec<_> = view.revocations.iter().map(|known| known.index).collect();
                let wanted: Vec<_> =
                    self.log.between(LogIndex(10), self.full_at).iter().map(|(index, _)| *index).collect();
                assert_eq!(known, wanted, "the full state has every revocation");
            }
            Delivery::Change { index, event } => {
                self.heard.push((index, event));
                let wanted = self.log.between(self.full_at, index);
                assert_eq!(self.heard, wanted[..self.heard.len()], "in order, without gap or duplicate");
            }
            Delivery::CaughtUp(index) => {
                assert_eq!(self.heard, self.log.between(self.full_at, index.max(self.full_at)), "nothing is missing");
            }
            Delivery::Confirmed { read_index, sent_at } => {
                assert!(self.heard.len() >= self.log.between(self.full_at, read_index).len(), "nothing was overtaken");
                let committed = self.poll_commits[&sent_at];
                assert!(read_index >= committed, "it vouches for what was committed when the poll was sent");
            }
            Delivery::Time(_) | Delivery::Witnessed { .. } | Delivery::Unwitnessed => {}
        }
    }

    fn link(&mut self, input: LinkInput) {
        let Some((_, link)) = &mut self.link else { return };
        for effect in link.handle(input, &self.log, self.now) {
            match effect {
                LinkEffect::Send(frame) => self.down.push_back(frame),
                // The round begins now: what is committed later is not in it.
                LinkEffect::AskReadIndex => self.asked.push_back(self.log.committed()),
                LinkEffect::Close(reason) => panic!("the link closed: {reason}"),
                _ => {}
            }
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Commit(changes) => self.log.commit(changes),
            Step::Apply => {
                self.log.apply();
                self.link(LinkInput::Applied);
            }
            Step::LinkHears => {
                if let Some(frame) = self.up.pop_front() {
                    self.link(LinkInput::Arrived(frame));
                }
            }
            Step::FeedHears => {
                if let (Some(frame), Some((connection, _))) = (self.down.pop_front(), &self.link) {
                    let connection = *connection;
                    self.feed(FeedInput::Arrived(connection, frame));
                }
            }
            Step::ReadIndexAnswered => {
                if let Some(index) = self.asked.pop_front() {
                    self.link(LinkInput::ReadIndex(Ok(index)));
                }
            }
            Step::Time(millis) => {
                self.now = self.now.plus(Duration::from_millis(millis));
                self.link(LinkInput::Tick);
                self.feed(FeedInput::Tick);
            }
            Step::ConnectionBreaks => {
                if let Some((connection, _)) = self.link.take() {
                    self.feed(FeedInput::Lost(connection));
                }
            }
            Step::Compact => {
                *self.log.compacted.lock().expect("no panic") = *self.log.applied.lock().expect("no panic")
            }
            Step::EnforcedUpTo => {
                if let Some(position) = self.feed.position().filter(|_| self.feed.is_streaming()) {
                    self.up.push_back(FromGateway::Enforced { index: position.index, failed: vec![] });
                }
            }
        }
    }

    /// Lets everything that is under way arrive.
    fn settle(&mut self) {
        self.feed(FeedInput::Tick);
        for _ in 0..10_000 {
            let before = (self.up.len(), self.down.len(), self.asked.len());
            if before == (0, 0, 0) {
                return;
            }
            self.run(Step::LinkHears);
            self.run(Step::ReadIndexAnswered);
            self.run(Step::FeedHears);
        }
        panic!("it never comes to rest");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_interleaving_keeps_order_and_no_confirmation_overtakes_a_change(steps in steps()) {
        let mut pair = Pair::new();
        pair.feed(FeedInput::Tick);
        for step in steps {
            pair.run(step);
        }
        // Whatever happened: with a working Controller the Gateway hears everything.
        pair.run(Step::Commit(2));
        pair.run(Step::Apply);
        pair.settle();
        for _ in 0..40 {
            pair.run(Step::Time(1_000));
            pair.settle();
        }
        let position = pair.feed.position().expect("a state");
        prop_assert_eq!(position.index, pair.log.committed());
        prop_assert_eq!(&pair.heard, &pair.log.between(pair.full_at, position.index));
    }
}

#[test]
fn poll_that_arrives_during_a_round_waits_for_the_next_one() {
    let mut pair = Pair::new();
    pair.feed(FeedInput::Tick);
    pair.settle();
    let polled = |pair: &mut Pair, nonce| {
        pair.link(LinkInput::Arrived(FromGateway::Poll { nonce }));
    };
    polled(&mut pair, 100);
    assert_eq!(pair.asked.len(), 1);
    pair.log.commit(1);
    polled(&mut pair, 101);
    assert_eq!(pair.asked.len(), 1, "the round under way began too early for it");
    pair.run(Step::ReadIndexAnswered);
    assert_eq!(pair.asked.len(), 1, "its own round");
    let confirmed: Vec<_> =
        pair.down.iter().filter(|frame| matches!(frame, FromController::Confirmed { .. })).collect();
    assert!(matches!(confirmed[..], [FromController::Confirmed { nonce: 100, read_index: LogIndex(10) }]));
    pair.run(Step::ReadIndexAnswered);
    let later = pair.down.iter().any(|frame| matches!(frame, FromController::Confirmed { nonce: 101, .. }));
    assert!(!later, "index 11 is not applied here yet");
    pair.run(Step::Apply);
    let (mut change, mut confirmed) = (None, None);
    for (at, frame) in pair.down.iter().enumerate() {
        match frame {
            FromController::Change { index: LogIndex(11), .. } => change = Some(at),
            FromController::Confirmed { nonce: 101, .. } => confirmed = Some(at),
            _ => {}
        }
    }
    assert!(change.expect("sent") < confirmed.expect("confirmed"));
}

#[test]
fn controller_without_a_quorum_confirms_nothing() {
    let mut pair = Pair::new();
    pair.feed(FeedInput::Tick);
    pair.run(Step::LinkHears);
    while !pair.down.is_empty() {
        pair.run(Step::FeedHears);
    }
    pair.run(Step::LinkHears);
    assert_eq!(pair.asked.len(), 1);
    pair.asked.clear();
    pair.link(LinkInput::ReadIndex(Err(NoQuorum)));
    assert!(!pair.down.iter().any(|frame| matches!(frame, FromController::Confirmed { .. })));
    // Bookmarks go on, but after 2 s without an answer the Gateway leaves.
    for _ in 0..2 {
        pair.now = pair.now.plus(Duration::from_secs(1));
        pair.link(LinkInput::Tick);
        pair.run(Step::FeedHears);
    }
    pair.feed(FeedInput::Tick);
    assert!(!pair.feed.is_streaming());
}

fn frames(effects: Vec<LinkEffect>) -> Vec<FromController> {
    let frame = |effect| match effect {
        LinkEffect::Send(frame) => Some(frame),
        _ => None,
    };
    effects.into_iter().filter_map(frame).collect()
}

#[test]
fn gateway_that_knows_more_or_is_another_is_sent_away() {
    let scene = Scene::new();
    let (log, now) = (Log::new(&scene), scene.at(0));
    let subscribe = |gateway, index, epoch| {
        let incarnation = Incarnation { epoch, ..scene.collective.incarnation };
        let position = Some(FeedPosition { incarnation, index: LogIndex(index) });
        let subscribe = FromGateway::Subscribe { versions: vec![FEED_VERSION], gateway, position, witness: false };
        let mut link = LinkCore::new(scene.gateway.id, now);
        frames(link.handle(LinkInput::Arrived(subscribe), &log, now))
    };
    let epoch = scene.collective.incarnation.epoch;
    let use_another = FromController::UseAnother { controllers: vec!["other:444".to_owned()] };
    assert_eq!(subscribe(scene.gateway.id, 11, epoch), std::slice::from_ref(&use_another));
    assert_eq!(subscribe(scene.gateway.id, 5, epoch + 1), [use_another]);
    let refused = FromController::Refused { code: ErrorCode::Forbidden };
    assert_eq!(subscribe(ApplianceId::from_random([1; 16]), 5, epoch), [refused]);
}

#[test]
fn gateway_that_acknowledges_nothing_is_left_after_its_bound() {
    let scene = Scene::new();
    let (log, now) = (Log::new(&scene), scene.at(0));
    let mut link = LinkCore::new(scene.gateway.id, now);
    let subscribe = FromGateway::Subscribe {
        versions: vec![FEED_VERSION],
        gateway: scene.gateway.id,
        position: None,
        witness: false,
    };
    link.handle(LinkInput::Arrived(subscribe), &log, now);
    for _ in 0..MAX_UNACKNOWLEDGED {
        log.commit(1);
    }
    log.apply();
    let sent = link.handle(LinkInput::Applied, &log, now);
    assert!(!sent.iter().any(|effect| matches!(effect, LinkEffect::Close(_))));
    log.commit(1);
    log.apply();
    let sent = link.handle(LinkInput::Applied, &log, now);
    assert!(matches!(sent.last(), Some(LinkEffect::Close(CloseReason::Unacknowledged))));
}

#[test]
fn acknowledgement_of_what_was_not_sent_ends_the_link() {
    let scene = Scene::new();
    let (log, now) = (Log::new(&scene), scene.at(0));
    let mut link = LinkCore::new(scene.gateway.id, now);
    let subscribe = FromGateway::Subscribe {
        versions: vec![FEED_VERSION],
        gateway: scene.gateway.id,
        position: None,
        witness: false,
    };
    link.handle(LinkInput::Arrived(subscribe), &log, now);
    let enforced = FromGateway::Enforced { index: LogIndex(11), failed: vec![] };
    let effects = link.handle(LinkInput::Arrived(enforced), &log, now);
    assert!(matches!(effects.last(), Some(LinkEffect::Close(CloseReason::Protocol(_)))));
}
