//! Frames of the feed, both ways, and what a Controller does with those of a Gateway that was taken over.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use ringwall_protocol::feed::{FeedView, FromController, FromGateway, MAX_FEED_FRAME};
use ringwall_protocol::id::{ApplianceId, Incarnation, IncarnationId, LogIndex};
use ringwall_protocol::time::UnixMillis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::choices::Choices;
use crate::link::core::{LinkCore, LinkEffect, LinkInput};
use crate::link::ports::{ChangeSource, Changes, Compacted, NoQuorum};
use crate::support::clock::Moment;
use crate::support::packed::{LENGTH, frame, pack, read_frame, unpack};

/// The body of a frame, read as each of them.
#[must_use]
pub fn feed_frames(bytes: &[u8]) -> bool {
    let controller = again::<FromController>(bytes);
    let gateway = again::<FromGateway>(bytes);
    let view = again::<FeedView>(bytes);
    is_framed(bytes);
    controller || gateway || view
}

/// Whether the bytes are a `T`; if so, what a `T` packs is unpacked to what packs the same.
fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(read) = unpack::<T>(bytes) else { return false };
    let packed = pack(&read).expect("what was read can be packed");
    let kind = std::any::type_name::<T>();
    let second = unpack::<T>(&packed).unwrap_or_else(|error| panic!("{kind} is not read again: {error}"));
    assert!(pack(&second).is_ok_and(|second| second == packed), "{kind} changed");
    if let Ok(framed) = frame(&read) {
        assert_eq!(framed[LENGTH..], packed);
    }
    true
}

/// A stream that begins with these bytes: more than a frame may have is refused before it is read.
fn is_framed(stream: &[u8]) {
    let mut from = stream;
    let reading = pin!(read_frame::<FromGateway, _>(&mut from));
    let Poll::Ready(read) = reading.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("bytes in memory are waited for")
    };
    let Some(length) = stream.first_chunk::<LENGTH>() else { return };
    let length = u32::from_be_bytes(*length) as usize;
    assert!(length <= MAX_FEED_FRAME || read.is_err());
    assert!(!matches!(read, Ok(Some(_))) || length + LENGTH <= stream.len());
}

/// A Gateway says what it likes to a Controller: frames, and what happens between them.
#[must_use]
pub fn link(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let (start, gateway) = (Instant::now(), ApplianceId::from_random([2; 16]));
    let mut now = Moment { instant: start, time: UnixMillis(1_800_000_000_000) };
    let (mut core, mut source) = (LinkCore::new(gateway, now), Source { applied: 10 });
    let (mut polls, mut asked, mut sent, mut closed) = (BTreeSet::new(), false, false, false);
    while !choices.is_over() {
        let input = match choices.below(8) {
            0..4 => {
                let piece = choices.piece();
                let Ok(frame) = unpack::<FromGateway>(piece) else { continue };
                if let FromGateway::Poll { nonce } = frame {
                    polls.insert(nonce);
                }
                LinkInput::Arrived(frame)
            }
            4 => {
                source.applied += u64::from(choices.byte());
                LinkInput::Applied
            }
            5 if asked => {
                asked = false;
                let quorum = choices.below(4) > 0;
                LinkInput::ReadIndex(if quorum { Ok(LogIndex(source.applied + 1)) } else { Err(NoQuorum) })
            }
            _ => {
                now = now.plus(Duration::from_millis(u64::from(choices.byte()) * 100));
                LinkInput::Tick
            }
        };
        for effect in core.handle(input, &source, now) {
            assert!(!closed, "{effect:?} after the end");
            match effect {
                LinkEffect::Send(FromController::Confirmed { nonce, read_index }) => {
                    assert!(polls.remove(&nonce), "nobody asked for {nonce}");
                    assert!(read_index <= LogIndex(source.applied), "{read_index} is confirmed ahead of its changes");
                }
                LinkEffect::Send(_) => sent = true,
                LinkEffect::AskReadIndex => {
                    assert!(!std::mem::replace(&mut asked, true), "two rounds at once");
                }
                LinkEffect::Enforced { index, .. } => assert!(index <= LogIndex(source.applied), "not sent yet"),
                LinkEffect::Close(_) => closed = true,
                _ => {}
            }
        }
    }
    sent
}

/// A Controller with entries of which Gateways hear nothing.
struct Source {
    applied: u64,
}

impl ChangeSource for Source {
    fn incarnation(&self) -> Incarnation {
        Incarnation { epoch: 3, id: IncarnationId::from_random([4; 16]) }
    }

    fn term(&self) -> u64 {
        1
    }

    fn view(&self, _: ApplianceId) -> Option<FeedView> {
        let mut view = crate::feed::core::fuzz::view();
        view.position.incarnation = self.incarnation();
        view.position.index = LogIndex(self.applied);
        Some(view)
    }

    fn members(&self) -> (LogIndex, String) {
        (LogIndex(self.applied), "none".to_owned())
    }

    fn changes_after(&self, _: ApplianceId, after: LogIndex) -> Result<Changes, Compacted> {
        match after.0 % 7 {
            0 => Err(Compacted { after }),
            _ => Ok(Changes { events: vec![], through: LogIndex(self.applied) }),
        }
    }

    fn applied(&self) -> watch::Receiver<LogIndex> {
        watch::channel(LogIndex(self.applied)).1
    }

    fn read_index(&self) -> BoxFuture<'static, Result<LogIndex, NoQuorum>> {
        Box::pin(std::future::ready(Err(NoQuorum)))
    }

    fn retires(&self) -> bool {
        self.applied % 5 == 4
    }

    fn others(&self) -> Vec<String> {
        vec!["192.0.2.3:444".to_owned()]
    }
}
