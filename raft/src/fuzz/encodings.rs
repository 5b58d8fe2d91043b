//! What stands on a disk and what peers say: frames, messages, entries of the log, snapshots.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{decode, encode};
use crate::data_dir::Identity;
use crate::network::frame;
use crate::network::message::{Request, Response};
use crate::snapshot::file::parse;
use crate::state::address::SweepAddresses;
use crate::state::apply;
use crate::state::command::CommandEnvelope;
use crate::types::{Entry, LogId, SnapshotMeta, Vote};
use crate::{Command, State};
use ringwall_protocol::id::{CommandId, LogIndex, NodeId};
use ringwall_protocol::time::UnixMillis;

/// Whether the bytes are a `T`; if so, what a `T` writes is read as what writes the same.
fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(read) = decode::<T>(bytes) else { return false };
    let kind = std::any::type_name::<T>();
    let written = encode(&read).expect("what was read can be written");
    let second = decode::<T>(&written).unwrap_or_else(|error| panic!("{kind} is not read again: {error}"));
    assert!(encode(&second).is_ok_and(|second| second == written), "{kind} changed");
    true
}

/// A stream of a peer: one frame, and the message in it.
#[must_use]
pub fn peer_frames(bytes: &[u8]) -> bool {
    thread_local! {
        /// Frames have a time limit, which needs a clock.
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    let mut stream = bytes;
    let read = RUNTIME.with(|runtime| runtime.block_on(frame::read(&mut stream)));
    let framed = match read {
        Ok(Some(frame)) => {
            assert!(frame.body.len() <= frame::MAX_BODY && frame.body.len() + 12 <= bytes.len());
            let mut written = Vec::new();
            let writing = frame::write(&mut written, &frame);
            RUNTIME.with(|runtime| runtime.block_on(writing)).expect("written to memory");
            assert_eq!(written, bytes[..written.len()]);
            let request = again::<Request>(&frame.body);
            again::<Response>(&frame.body) || request
        }
        Ok(None) => {
            assert!(bytes.is_empty(), "a frame went unread");
            false
        }
        Err(_) => false,
    };
    let request = again::<Request>(bytes);
    again::<Response>(bytes) || request || framed
}

/// What the log holds.
#[must_use]
pub fn log_entry(bytes: &[u8]) -> bool {
    let kinds = [again::<Entry>, again::<Vote>, again::<LogId>, again::<CommandEnvelope>];
    let mut read = kinds.into_iter().filter(|read| read(bytes)).count();
    read += usize::from(again::<SnapshotMeta>(bytes)) + usize::from(decode::<Identity>(bytes).is_ok());
    read > 0
}

/// A snapshot: as it is, with its checksum put right, and its state alone.
#[must_use]
pub fn snapshot(bytes: &[u8]) -> bool {
    let _damaged = parse(bytes);
    let summed = [bytes, blake3::hash(bytes).as_bytes()].concat();
    let whole = parse(&summed).map(|(_, state)| state);
    let Some(state) = whole.ok().or_else(|| State::from_bytes(bytes).ok()) else { return false };
    let written = state.to_bytes().expect("what was read can be written");
    let second = State::from_bytes(&written).expect("what was written can be read");
    assert!(second == state && second.digest() == state.digest(), "a state changed on its way");
    for gateway in state.gateways().map(|record| record.appliance) {
        let _told = state.feed_view(gateway);
    }
    // Whatever the state says, the next entry is applied, on every Controller in the same way.
    let sweep = CommandEnvelope::new(
        CommandId::from_random([1; 16]),
        NodeId(1),
        UnixMillis(1_800_000_000_000),
        Command::from(SweepAddresses {}),
    );
    let index = LogIndex(state.index().0.saturating_add(1));
    let (one, other) = (apply(&state, index, &sweep), apply(&second, index, &sweep));
    assert_eq!(one.state.digest(), other.state.digest());
    true
}
