//! From the TUN into the peers' tunnels: a worker drains its queue into one buffer, frame behind frame, and seals each run of
//! frames to one peer with one call.
//!
//! Promise: a packet enters the tunnel of the peer that its side names, or none; a slow peer's queue is bounded and drops at
//! its tail; it holds up nobody else.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use super::Worker;
use super::batch::{BATCH, Batch, READ, Run};
use crate::counters::Reason;
use crate::frame::{FrameHeader, HEADER_LEN};
use crate::packet::{self, Departure, Layout, VirtioHeader};
use crate::side::{Origin, Peer, PeerSide, Stray, Unrouted};

/// A packet in the buffer, behind the run.
struct Arrival {
    virtio: VirtioHeader,
    place: Range<usize>,
    origin: Origin,
}

/// Moves what waits in the queue, up to one batch; true if nothing is left in it.
///
/// # Errors
/// If the device is gone.
pub(super) fn drain<S: PeerSide>(worker: &Worker<S>) -> io::Result<bool> {
    let batch = &mut *worker.batch.borrow_mut();
    let mut run = Run::default();
    let mut empty = false;
    while run.frames.end < BATCH {
        let at = run.next();
        let Some((virtio, length)) = worker.queue.read(&mut batch.buffer[at..at + READ])? else {
            empty = true;
            break;
        };
        forward(worker, batch, &mut run, Arrival { virtio, place: at..at + length, origin: Origin::Queue });
    }
    finish(worker, batch, &mut run);
    Ok(empty)
}

/// Moves one packet that another worker's queue received.
pub(super) fn stray<S: PeerSide>(worker: &Worker<S>, stray: &Stray) {
    let batch = &mut *worker.batch.borrow_mut();
    let mut run = Run::default();
    let place = run.next()..run.next() + stray.packet.len();
    batch.buffer[place.clone()].copy_from_slice(&stray.packet);
    forward(worker, batch, &mut run, Arrival { virtio: stray.header, place, origin: Origin::Worker });
    finish(worker, batch, &mut run);
}

/// Turns the packet into a frame of the run, or drops it.
fn forward<S: PeerSide>(worker: &Worker<S>, batch: &mut Batch<S::Peer>, run: &mut Run<S::Peer>, packet: Arrival) {
    if let Err(reason) = route(worker, batch, run, packet) {
        worker.counters.count_drop(reason);
    }
}

fn route<S: PeerSide>(
    worker: &Worker<S>,
    batch: &mut Batch<S::Peer>,
    run: &mut Run<S::Peer>,
    Arrival { virtio, place, origin }: Arrival,
) -> Result<(), S::Reason> {
    let bytes = &batch.buffer[place.clone()];
    let layout = packet::parse(bytes)?;
    let destination = layout.destination;
    let Some(peer) = worker.side.peer_to(destination, run.peer.as_ref()) else {
        return worker.side.unrouted(&Unrouted { destination, header: virtio, packet: bytes, origin });
    };
    admit(worker, run, &peer, &layout, place.len())?;
    let departure = packet::departing(virtio, &mut batch.buffer[place.clone()], &layout)?;
    worker.counters.traffic().count_from_tun(place.len());
    if let Some(traffic) = worker.side.traffic(&peer) {
        traffic.count_from_tun(place.len());
    }
    match departure {
        Departure::Whole(header) => {
            if !run.is_to(&peer) {
                seal(worker, batch, run);
                run.turn_to(peer);
            }
            batch.buffer[place.start - HEADER_LEN..place.start].copy_from_slice(&header.encode());
            run.frames.end = place.end;
        }
        Departure::Cut(size) => {
            seal(worker, batch, run);
            run.turn_to(peer);
            cut(worker, batch, run, &layout, place, size);
        }
    }
    Ok(())
}

/// Whether the peer takes one more packet.
fn admit<S: PeerSide>(
    worker: &Worker<S>,
    run: &Run<S::Peer>,
    peer: &Rc<S::Peer>,
    layout: &Layout,
    length: usize,
) -> Result<(), S::Reason> {
    worker.side.gate(peer)?;
    worker.side.may_enter(peer, layout)?;
    let link = peer.link().0.borrow();
    let link = link.as_ref().filter(|link| link.is_attached()).ok_or(S::Reason::NO_TUNNEL)?;
    let unsealed = if run.is_to(peer) { run.frames.len() } else { 0 };
    if link.pending() + unsealed + length > worker.peer_queue {
        return Err(S::Reason::QUEUE_FULL);
    }
    Ok(())
}

/// Sends a super-packet as many frames: its segments are smaller than one frame may announce.
fn cut<S: PeerSide>(
    worker: &Worker<S>,
    batch: &mut Batch<S::Peer>,
    run: &Run<S::Peer>,
    layout: &Layout,
    place: Range<usize>,
    size: u16,
) {
    let Batch { buffer, touched, cut, segment } = batch;
    cut.clear();
    packet::for_each_segment(&mut buffer[place], layout, size, segment, |segment| {
        cut.extend_from_slice(&FrameHeader::packet(segment.len() as u32, 0, 0).encode());
        cut.extend_from_slice(segment);
    });
    hand_over(worker, touched, run, cut);
}

/// Encrypts the run's frames into its peer's queue. The run is empty afterwards and keeps its peer.
fn seal<S: PeerSide>(worker: &Worker<S>, batch: &mut Batch<S::Peer>, run: &mut Run<S::Peer>) {
    if !run.frames.is_empty() {
        hand_over(worker, &mut batch.touched, run, &batch.buffer[run.frames.clone()]);
        run.frames.start = run.frames.end;
    }
}

fn hand_over<S: PeerSide>(worker: &Worker<S>, touched: &mut Vec<Rc<S::Peer>>, run: &Run<S::Peer>, frames: &[u8]) {
    let Some(peer) = &run.peer else { return };
    // The gate once more: it may have been closed while the batch was filled.
    if let Err(reason) = worker.side.gate(peer) {
        return worker.counters.count_drop(reason);
    }
    if let Some(link) = peer.link().0.borrow_mut().as_mut() {
        link.seal(frames);
        if !touched.last().is_some_and(|last| Rc::ptr_eq(last, peer)) {
            touched.push(Rc::clone(peer));
        }
    }
}

/// Seals the last run and sends what was sealed.
fn finish<S: PeerSide>(worker: &Worker<S>, batch: &mut Batch<S::Peer>, run: &mut Run<S::Peer>) {
    seal(worker, batch, run);
    for peer in batch.touched.drain(..) {
        if let Some(link) = peer.link().0.borrow_mut().as_mut() {
            link.send();
        }
    }
}
