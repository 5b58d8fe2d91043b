//! Whom the feed asks, and what it does not believe. Order and confirmation are tested with the link, as a pair.

use ringwall_protocol::feed::FeedView;
use ringwall_protocol::id::{IncarnationId, NodeId};

use super::*;
use crate::scene::Scene;
use crate::support::entropy::CountingEntropy;
use crate::support::packed::pack;

struct Stage {
    scene: Scene,
    feed: FeedCore,
    entropy: CountingEntropy,
    now: Moment,
}

impl Stage {
    fn new(controllers: u64, highest: Option<Incarnation>) -> Self {
        let scene = Scene::new();
        let candidate = |node| Candidate { node: NodeId(node), addresses: vec![format!("c{node}:444")] };
        let candidates = (1..=controllers).map(candidate).collect();
        let (now, mut entropy) = (scene.at(0), CountingEntropy::default());
        let feed = FeedCore::new(scene.gateway.id, highest, candidates, now, &mut entropy);
        Self { scene, feed, entropy, now }
    }

    fn give(&mut self, input: FeedInput) -> Vec<FeedEffect> {
        self.feed.handle(input, self.now, &mut self.entropy)
    }

    /// Time passes until the feed wants something, and it gets its tick.
    fn wait(&mut self) -> Vec<FeedEffect> {
        let wait = self.feed.next_deadline().saturating_duration_since(self.now.instant);
        self.now = self.now.plus(wait);
        self.give(FeedInput::Tick)
    }

    fn dial(&mut self) -> (ConnectionId, NodeId) {
        for _ in 0..10 {
            if let Some(FeedEffect::Dial(connection, to)) = self.wait().into_iter().next_back() {
                return (connection, to.node);
            }
        }
        panic!("it does not dial");
    }

    fn connect(&mut self) -> ConnectionId {
        let (connection, _) = self.dial();
        let effects = self.give(FeedInput::Connected(connection));
        assert!(matches!(effects[..], [FeedEffect::Send(_, FromGateway::Subscribe { .. })]));
        connection
    }

    fn full(&mut self, connection: ConnectionId, view: &FeedView) -> Vec<FeedEffect> {
        let bytes = pack(view).expect("packed");
        let mut effects = vec![];
        let parts = u32::try_from(bytes.len().div_ceil(300)).expect("few");
        for (part, bytes) in (0..parts).zip(bytes.chunks(300)) {
            let full = FromController::Full { position: view.position, part, parts, bytes: bytes.to_vec() };
            effects.append(&mut self.give(FeedInput::Arrived(connection, full)));
        }
        effects
    }

    fn streaming(&mut self) -> ConnectionId {
        let connection = self.connect();
        let view = self.scene.view(10);
        let effects = self.full(connection, &view);
        assert!(effects.iter().any(|effect| matches!(effect, FeedEffect::Attached(_))));
        connection
    }
}

fn left(effects: &[FeedEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, FeedEffect::HangUp(..)))
}

#[test]
fn full_state_in_parts_is_delivered_once_and_polled_for_at_once() {
    let mut stage = Stage::new(1, None);
    let connection = stage.connect();
    let view = stage.scene.view(10);
    let effects = stage.full(connection, &view);
    let delivered = effects.iter().filter(|effect| matches!(effect, FeedEffect::Deliver(Delivery::Full(_)))).count();
    assert_eq!(delivered, 1);
    assert!(effects.iter().any(|effect| matches!(effect, FeedEffect::Remember(_))));
    assert!(effects.iter().any(|effect| matches!(effect, FeedEffect::Send(_, FromGateway::Poll { .. }))));
}

#[test]
fn state_of_an_older_or_impossible_life_is_refused() {
    let scene = Scene::new();
    let life = scene.collective.incarnation;
    let newer = Incarnation { epoch: life.epoch + 1, id: life.id };
    let twin = Incarnation { epoch: life.epoch, id: IncarnationId::from_random([7; 16]) };
    for (highest, alarm) in [(newer, false), (twin, true)] {
        let mut stage = Stage::new(1, Some(highest));
        stage.scene = Scene::new();
        let connection = stage.connect();
        let mut view = stage.scene.view(10);
        view.position.incarnation = life;
        let effects = stage.full(connection, &view);
        assert!(left(&effects));
        assert!(!effects.iter().any(|effect| matches!(effect, FeedEffect::Deliver(_) | FeedEffect::Remember(_))));
        assert_eq!(effects.iter().any(|effect| matches!(effect, FeedEffect::Alarm(_))), alarm);
    }
}

#[test]
fn silent_controller_is_left_for_the_next_one() {
    let mut stage = Stage::new(3, None);
    let (mut asked, first) = (vec![], stage.dial());
    asked.push(first.1);
    stage.give(FeedInput::Lost(first.0));
    for _ in 0..5 {
        let (connection, node) = stage.dial();
        asked.push(node);
        stage.give(FeedInput::Connected(connection));
        // Nothing comes: after 5 s the next one is asked.
        assert!(left(&stage.wait()));
    }
    for pair in asked.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
    let all: std::collections::BTreeSet<_> = asked.into_iter().collect();
    assert_eq!(all.len(), 3);
}

#[test]
fn controller_whose_bookmarks_stop_is_left_after_three_seconds() {
    let mut stage = Stage::new(2, None);
    let connection = stage.streaming();
    let start = stage.now.instant;
    let confirm = |nonce| FromController::Confirmed { nonce, read_index: LogIndex(10) };
    stage.give(FeedInput::Arrived(connection, confirm(1)));
    let mut effects = vec![];
    while !left(&effects) {
        effects = stage.wait();
    }
    assert_eq!(stage.now.instant - start, BOOKMARK_SILENCE);
    assert!(effects.iter().any(|effect| matches!(effect, FeedEffect::Detached)));
}

#[test]
fn controller_that_does_not_answer_polls_is_left_after_two_seconds() {
    let mut stage = Stage::new(2, None);
    let connection = stage.streaming();
    let start = stage.now.instant;
    stage.now = stage.now.plus(Duration::from_millis(1_900));
    let bookmark = FromController::Bookmark { index: LogIndex(10), controller_time: stage.now.time, term: 1 };
    assert!(!left(&stage.give(FeedInput::Arrived(connection, bookmark))));
    // A witness is asked before.
    while !left(&stage.wait()) {
        assert!(stage.now.instant - start < POLL_SILENCE, "the connection is kept");
    }
    assert_eq!(stage.now.instant - start, POLL_SILENCE);
}

#[test]
fn lease_counts_from_the_time_the_poll_was_sent() {
    let mut stage = Stage::new(1, None);
    let connection = stage.streaming();
    let polled = stage.now.instant;
    stage.now = stage.now.plus(Duration::from_millis(1_500));
    let confirmed = FromController::Confirmed { nonce: 1, read_index: LogIndex(10) };
    let effects = stage.give(FeedInput::Arrived(connection, confirmed.clone()));
    assert!(matches!(effects[..], [FeedEffect::Deliver(Delivery::Confirmed { sent_at, .. })] if sent_at == polled));
    assert!(left(&stage.give(FeedInput::Arrived(connection, confirmed))), "an answer nobody asked for");
}

#[test]
fn changes_out_of_order_end_the_connection() {
    let change = |index| FromController::Change {
        index: LogIndex(index),
        event: ringwall_protocol::feed::FeedEvent::RevocationForgotten { revocation: LogIndex(1) },
    };
    let bookmark = |index| FromController::Bookmark {
        index: LogIndex(index),
        controller_time: ringwall_protocol::time::UnixMillis(0),
        term: 1,
    };
    for (frames, wrong) in [
        (vec![change(11), change(11), bookmark(11), change(12)], false),
        (vec![change(10)], true),
        (vec![change(12), change(11)], true),
        (vec![change(12), bookmark(11)], true),
        (vec![bookmark(12), change(12)], true),
        (vec![bookmark(9)], true),
    ] {
        let mut stage = Stage::new(1, None);
        let connection = stage.streaming();
        let last = frames.len() - 1;
        for (at, frame) in frames.into_iter().enumerate() {
            let effects = stage.give(FeedInput::Arrived(connection, frame.clone()));
            assert_eq!(left(&effects), wrong && at == last, "{frame:?}");
        }
    }
}

#[test]
fn resubscription_goes_on_where_the_feed_stands() {
    let mut stage = Stage::new(2, None);
    let connection = stage.streaming();
    let bookmark = FromController::Bookmark { index: LogIndex(42), controller_time: stage.now.time, term: 1 };
    stage.give(FeedInput::Arrived(connection, bookmark));
    stage.give(FeedInput::Lost(connection));
    let (connection, _) = stage.dial();
    let effects = stage.give(FeedInput::Connected(connection));
    let FeedEffect::Send(_, FromGateway::Subscribe { position: Some(position), .. }) = &effects[0] else {
        panic!("expected subscribe");
    };
    assert_eq!(position.index, LogIndex(42));
    // What comes on the former connection is nobody's.
    let late = FromController::Bookmark { index: LogIndex(43), controller_time: stage.now.time, term: 1 };
    assert!(stage.give(FeedInput::Arrived(ConnectionId(1), late)).is_empty());
}

#[test]
fn named_controller_is_asked_next() {
    let mut stage = Stage::new(5, None);
    for wanted in [4, 2, 5] {
        let connection = stage.connect();
        let named = FromController::UseAnother { controllers: vec![format!("c{wanted}:444")] };
        assert!(left(&stage.give(FeedInput::Arrived(connection, named))));
        let (connection, node) = stage.dial();
        assert_eq!(node, NodeId(wanted));
        stage.give(FeedInput::Lost(connection));
    }
}

#[test]
fn failures_in_all_places_slow_the_feed_down_to_a_bound() {
    let mut stage = Stage::new(2, None);
    let mut waits = vec![];
    for _ in 0..40 {
        let (connection, _) = stage.dial();
        stage.give(FeedInput::Lost(connection));
        waits.push(stage.feed.next_deadline() - stage.now.instant);
    }
    assert_eq!(waits[0], Duration::ZERO, "the other one at once");
    assert!(waits[39] >= BACK_OFF.1 / 2 && waits[39] <= BACK_OFF.1 * 3 / 2, "{:?}", waits[39]);
}

/// A second passes on a feed that works: bookmarks come, polls are answered. What follows for witnesses.
fn a_second(stage: &mut Stage, feed: ConnectionId) -> Vec<FeedEffect> {
    stage.now = stage.now.plus(Duration::from_secs(1));
    let controller_time = stage.now.time;
    let bookmark = FromController::Bookmark { index: LogIndex(10), controller_time, term: 1 };
    stage.give(FeedInput::Arrived(feed, bookmark));
    let mut others = vec![];
    for effect in stage.give(FeedInput::Tick) {
        match effect {
            FeedEffect::Send(to, FromGateway::Poll { nonce }) if to == feed => {
                stage.give(FeedInput::Arrived(feed, FromController::Confirmed { nonce, read_index: LogIndex(10) }));
            }
            FeedEffect::HangUp(_, why) => panic!("the feed was left: {why}"),
            other => others.push(other),
        }
    }
    others
}

/// A feed whose first poll is answered.
fn feeding(controllers: u64) -> (Stage, ConnectionId) {
    let mut stage = Stage::new(controllers, None);
    let feed = stage.streaming();
    stage.give(FeedInput::Arrived(feed, FromController::Confirmed { nonce: 1, read_index: LogIndex(10) }));
    (stage, feed)
}

#[test]
fn other_controllers_are_asked_in_turn_what_they_know() {
    let (mut stage, feed) = feeding(3);
    let mut asked = vec![];
    while asked.len() < 4 {
        for effect in a_second(&mut stage, feed) {
            let FeedEffect::Dial(connection, to) = effect else { continue };
            asked.push((stage.now.instant, to.node));
            let effects = stage.give(FeedInput::Connected(connection));
            assert!(matches!(
                effects[..],
                [
                    FeedEffect::Send(_, FromGateway::Subscribe { witness: true, .. }),
                    FeedEffect::Send(_, FromGateway::Poll { nonce: 1 })
                ]
            ));
            let sent = stage.now.instant;
            let told = FromController::Witnessed { nonce: 1, read_index: LogIndex(12), members: "members".to_owned() };
            let effects = stage.give(FeedInput::Arrived(connection, told));
            let delivered = |effect: &FeedEffect| matches!(effect, FeedEffect::Deliver(Delivery::Witnessed { read_index: LogIndex(12), sent_at, .. }) if *sent_at == sent);
            assert!(effects.iter().any(delivered), "{effects:?}");
        }
    }
    assert!(asked.windows(2).all(|two| two[0].1 != two[1].1), "in turn: {asked:?}");
    assert_eq!(asked[3].0 - asked[2].0, Duration::from_secs(15), "every third poll of a lease of 15 s");
}

#[test]
fn witnesses_that_do_not_answer_for_a_minute_are_reported_once_and_the_feed_goes_on() {
    let (mut stage, feed) = feeding(2);
    let (mut reported, mut dialled) = (0, 0);
    for _ in 0..120 {
        for effect in a_second(&mut stage, feed) {
            match effect {
                FeedEffect::Dial(connection, _) => {
                    dialled += 1;
                    stage.give(FeedInput::Lost(connection));
                }
                FeedEffect::Deliver(Delivery::Unwitnessed) => reported += 1,
                _ => {}
            }
        }
    }
    assert_eq!(reported, 1);
    assert!(dialled > 10, "it goes on asking: {dialled}");
}
