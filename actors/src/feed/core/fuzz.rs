//! A Controller that says what it likes: whatever comes in whatever order, the registry hears changes in the order of the
//! log, never of an older incarnation, and a confirmation only behind what it vouches for (T1, T19).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringwall_protocol::feed::{FeedEvent, FeedPosition, FeedSite, FeedView, FromController, FromGateway};
use ringwall_protocol::id::{ApplianceId, CollectiveId, Incarnation, IncarnationId, LogIndex, NodeId, SiteId};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::time::UnixMillis;

use super::{FeedCore, FeedEffect, FeedInput};
use crate::feed::message::Delivery;
use crate::feed::ports::{Candidate, ConnectionId};
use crate::fuzz::choices::Choices;
use crate::support::clock::Moment;
use crate::support::entropy::CountingEntropy;
use crate::support::packed::{pack, unpack};

/// A state of a Collective without members, at index 10 of its third epoch.
pub(crate) fn view() -> FeedView {
    let incarnation = Incarnation { epoch: 3, id: IncarnationId::from_random([3; 16]) };
    FeedView {
        collective: CollectiveId::from_random([1; 16]),
        root_certificate: String::new(),
        position: FeedPosition { incarnation, index: LogIndex(10) },
        controllers: BTreeMap::new(),
        gateways: BTreeMap::new(),
        keys: BTreeMap::new(),
        revocations: vec![],
        forgotten_up_to: LogIndex(0),
        site: FeedSite {
            id: SiteId::from_random([5; 16]),
            name: "office".to_owned(),
            pools: vec![],
            networks: vec![],
            snat: true,
            lease_seconds: 15,
            grace_seconds: None,
            witnesses: 1,
            dtls: false,
            name_resolution: Default::default(),
        },
        spa_mode: SpaMode::Open,
        spa_keys: vec![],
        spa_window_seconds: 300,
        peer_spa_key: None,
    }
}

/// What the registry has heard.
#[derive(Default)]
struct Heard {
    incarnation: Option<Incarnation>,
    /// Everything up to here came.
    complete: LogIndex,
    /// Index of the latest change.
    change: LogIndex,
    /// When polls were sent on this stream.
    polls: BTreeSet<Instant>,
    /// When any were sent, to whomever.
    asked: BTreeSet<Instant>,
    attached: bool,
    anything: bool,
}

impl Heard {
    fn hear(&mut self, delivery: Delivery, now: Instant) {
        self.anything = true;
        match delivery {
            Delivery::Full(view) => {
                let FeedPosition { incarnation, index } = view.position;
                match self.incarnation {
                    Some(known) if known == incarnation => assert!(index >= self.complete, "the state went back"),
                    Some(known) => assert!(known.epoch < incarnation.epoch, "{incarnation} after {known}"),
                    None => {}
                }
                (self.incarnation, self.complete, self.change) = (Some(incarnation), index, index);
            }
            Delivery::Change { index, .. } => {
                assert!(self.incarnation.is_some(), "a change before any state");
                assert!(index > self.complete && index >= self.change, "{index} after {}", self.change);
                self.change = index;
                self.complete = self.complete.max(LogIndex(index.0 - 1));
            }
            Delivery::CaughtUp(index) => {
                assert!(index >= self.complete && index >= self.change, "a bookmark went back");
                self.complete = index;
            }
            Delivery::Confirmed { read_index, sent_at } => {
                assert!(sent_at <= now && self.polls.contains(&sent_at), "no such poll");
                assert!(self.incarnation.is_some(), "{read_index} confirmed before any state");
                self.complete = self.complete.max(read_index);
            }
            Delivery::Witnessed { sent_at, .. } => assert!(self.asked.contains(&sent_at), "nobody was asked"),
            Delivery::Unwitnessed => {}
            Delivery::Time(time) => assert!(time <= UnixMillis::LAST_PRINTED, "a time beyond all calendars"),
        }
    }

    fn note(&mut self, effect: FeedEffect, now: Instant) {
        match effect {
            FeedEffect::Deliver(delivery) => {
                self.hear(delivery, now);
            }
            FeedEffect::Send(_, FromGateway::Poll { .. }) => {
                self.polls.insert(now);
                self.asked.insert(now);
            }
            FeedEffect::Attached(_) => assert!(!std::mem::replace(&mut self.attached, true), "attached twice"),
            FeedEffect::Detached => {
                assert!(std::mem::replace(&mut self.attached, false), "detached twice");
                self.polls.clear();
            }
            _ => {}
        }
    }
}

/// Steps: what a Controller sends, as bytes or made, and what happens to connections and time.
#[must_use]
pub fn feed(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let (mut entropy, start) = (CountingEntropy::default(), Instant::now());
    let mut now = Moment { instant: start, time: UnixMillis(1_800_000_000_000) };
    let candidate = |node| Candidate { node: NodeId(node), addresses: vec![format!("c{node}:444")] };
    let me = ApplianceId::from_random([2; 16]);
    let mut feed = FeedCore::new(me, None, vec![candidate(1), candidate(2)], now, &mut entropy);
    let (mut heard, mut connection) = (Heard::default(), ConnectionId(0));
    while !choices.is_over() {
        let input = match choices.below(12) {
            0 => FeedInput::Tick,
            1 => {
                now = now.plus(Duration::from_millis(u64::from(choices.byte()) * 25));
                FeedInput::Tick
            }
            2 => FeedInput::Connected(connection),
            3 => FeedInput::Lost(connection),
            4 => match choices.below(4) {
                0 => FeedInput::Resubscribe,
                1 => FeedInput::PollNow,
                2 => FeedInput::Candidates(vec![candidate(2), candidate(3)]),
                _ => FeedInput::Candidates(vec![]),
            },
            5 => match unpack::<FromController>(choices.piece()) {
                Ok(frame) => FeedInput::Arrived(connection, frame),
                Err(_) => continue,
            },
            _ => FeedInput::Arrived(connection, made(&mut choices, &heard)),
        };
        for effect in feed.handle(input, now, &mut entropy) {
            if let FeedEffect::Dial(dialled, _) = &effect {
                assert!(*dialled > connection, "a connection's number came twice");
                connection = *dialled;
            }
            heard.note(effect, now.instant);
        }
        assert!(feed.is_streaming() == heard.attached);
        let known = feed.position().map(|position| position.incarnation);
        assert!(known == heard.incarnation, "{known:?} is not what the registry has");
    }
    heard.anything
}

/// A frame near to what is expected.
fn made(choices: &mut Choices<'_>, heard: &Heard) -> FromController {
    let near = |choices: &mut Choices<'_>, index: LogIndex| {
        LogIndex((index.0 + u64::from(choices.below(6))).saturating_sub(2))
    };
    match choices.below(5) {
        0 | 1 => {
            let mut view = view();
            view.position.index = near(choices, heard.complete.max(LogIndex(10)));
            let epoch = u64::from(choices.below(16));
            view.position.incarnation.epoch = if epoch < 13 { 3 } else { epoch - 11 };
            let mut position = view.position;
            if choices.below(16) == 15 {
                position.incarnation.id = IncarnationId::from_random([9; 16]);
            }
            let bytes = pack(&view).expect("packed");
            FromController::Full { position, part: 0, parts: 1 + u32::from(choices.below(16) == 15), bytes }
        }
        2 => {
            let event = FeedEvent::Reevaluate { scope: DnScope::Everyone };
            FromController::Change { index: near(choices, heard.change), event }
        }
        3 => {
            let index = near(choices, heard.change.max(heard.complete));
            let late = choices.below(16) == 15;
            let controller_time = UnixMillis(if late { u64::MAX } else { 1_800_000_000_000 });
            FromController::Bookmark { index, controller_time, term: 1 }
        }
        _ => {
            let nonce = u64::from(choices.below(8));
            FromController::Confirmed { nonce, read_index: near(choices, heard.complete) }
        }
    }
}
