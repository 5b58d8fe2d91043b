//! From the kernel to the sessions' tunnels: a worker drains its TUN queue into one buffer, frame behind frame, and
//! seals each run of frames to one session with one call.
//!
//! Promise: a slow session's queue is bounded and drops at its tail; it holds up nobody else.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

use ringwall_tunnel::frame::{FrameHeader, HEADER_LEN, MAX_PACKET};
use ringwall_tunnel::packet::{self, Departure, Layout, VirtioHeader};

use super::counters::DropReason;
use super::session::Session;
use super::worker::{Stray, Worker};

/// Plaintext gathered before it is sealed and sent; the last packet may reach beyond it. More is slower, as with reads.
const BATCH: usize = 64 * 1024;
/// What one read may take: one byte more than the longest packet, so that a longer one is seen to be too long.
const READ: usize = MAX_PACKET + 1;

/// The buffers of one worker for this direction; reused for ever.
pub(super) struct Batch {
    buffer: Box<[u8]>,
    /// Sessions with something to flush.
    touched: Vec<Rc<Session>>,
    /// Frames that had to be cut into segments.
    cut: Vec<u8>,
    segment: Vec<u8>,
}

impl Default for Batch {
    fn default() -> Self {
        let buffer = vec![0; BATCH + HEADER_LEN + READ].into_boxed_slice();
        Self { buffer, touched: Vec::new(), cut: Vec::new(), segment: Vec::new() }
    }
}

/// Where a packet came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Kernel,
    Worker,
}

/// Frames to one session that lie behind each other in the buffer.
#[derive(Default)]
struct Run {
    session: Option<Rc<Session>>,
    frames: Range<usize>,
}

/// Moves what waits in the queue, up to one batch; true if nothing is left in it.
///
/// # Errors
/// If the device is gone.
pub(super) fn drain(worker: &Worker) -> io::Result<bool> {
    let mut batch = worker.batch.borrow_mut();
    let batch = &mut *batch;
    let mut run = Run::default();
    let mut empty = false;
    while run.frames.end < BATCH {
        let at = run.frames.end + HEADER_LEN;
        let Some((virtio, length)) = worker.queue.read(&mut batch.buffer[at..at + READ])? else {
            empty = true;
            break;
        };
        forward(worker, batch, &mut run, virtio, length, Origin::Kernel);
    }
    seal(worker, batch, &mut run);
    flush(batch);
    Ok(empty)
}

/// Handles one packet that another worker's queue received.
///
/// It is passed on again only by order: by the rule it came here.
pub(super) fn stray(worker: &Worker, stray: &Stray) {
    let mut batch = worker.batch.borrow_mut();
    let batch = &mut *batch;
    let length = stray.packet.len();
    batch.buffer[HEADER_LEN..HEADER_LEN + length].copy_from_slice(&stray.packet);
    let mut run = Run::default();
    forward(worker, batch, &mut run, stray.header, length, Origin::Worker);
    seal(worker, batch, &mut run);
    flush(batch);
}

fn flush(batch: &mut Batch) {
    for session in batch.touched.drain(..) {
        if let Some(tunnel) = session.tunnel.borrow_mut().as_mut() {
            tunnel.flush();
        }
    }
}

/// Turns the packet behind the run into a frame of it, or drops it.
fn forward(worker: &Worker, batch: &mut Batch, run: &mut Run, virtio: VirtioHeader, length: usize, origin: Origin) {
    let at = run.frames.end + HEADER_LEN;
    let bytes = &mut batch.buffer[at..at + length];
    let dropped = match packet::parse(bytes) {
        Ok(layout) => match worker.session_of(run.session.as_ref(), layout.destination) {
            Some(session) => enqueue(worker, batch, run, session, virtio, &layout, length).err(),
            None => pass_on(worker, layout.destination, virtio, bytes, origin).err(),
        },
        Err(refusal) => Some(refusal.into()),
    };
    if let Some(reason) = dropped {
        worker.has.counters.count_drop(reason);
    }
}

fn enqueue(
    worker: &Worker,
    batch: &mut Batch,
    run: &mut Run,
    session: Rc<Session>,
    virtio: VirtioHeader,
    layout: &Layout,
    length: usize,
) -> Result<(), DropReason> {
    admit(worker, run, &session, length)?;
    let at = run.frames.end + HEADER_LEN;
    let bytes = &mut batch.buffer[at..at + length];
    match packet::departing(virtio, bytes, layout)? {
        Departure::Whole(header) => {
            batch.buffer[at - HEADER_LEN..at].copy_from_slice(&header.encode());
            if !run.session.as_ref().is_some_and(|current| Rc::ptr_eq(current, &session)) {
                let next = run.frames.end;
                seal(worker, batch, run);
                *run = Run { session: Some(session), frames: next..next };
            }
            run.frames.end = at + length;
        }
        Departure::Cut(size) => {
            let Batch { buffer, cut, segment, .. } = &mut *batch;
            cut.clear();
            packet::for_each_segment(&mut buffer[at..at + length], layout, size, segment, |segment| {
                cut.extend_from_slice(&FrameHeader::packet(segment.len() as u32, 0, 0).encode());
                cut.extend_from_slice(segment);
            });
            let next = run.frames.end;
            seal(worker, batch, run);
            let frames = std::mem::take(&mut batch.cut);
            *run = Run { session: Some(session), frames: next..next };
            hand_over(worker, batch, run, &frames);
            batch.cut = frames;
        }
    }
    worker.has.counters.count_down(length);
    Ok(())
}

/// Whether the session takes one more packet.
fn admit(worker: &Worker, run: &Run, session: &Rc<Session>, length: usize) -> Result<(), DropReason> {
    if !session.gate.is_open() {
        return Err(DropReason::Cut);
    }
    let tunnel = session.tunnel.borrow();
    let tunnel = tunnel.as_ref().ok_or(DropReason::NoTunnel)?;
    let same = run.session.as_ref().is_some_and(|current| Rc::ptr_eq(current, session));
    let unsealed = if same { run.frames.len() } else { 0 };
    if tunnel.pump.pending() + unsealed + length > worker.has.session_queue {
        return Err(DropReason::QueueFull);
    }
    Ok(())
}

/// Encrypts the run's frames into its session's queue. The run is empty afterwards and keeps its session.
fn seal(worker: &Worker, batch: &mut Batch, run: &mut Run) {
    if run.frames.is_empty() {
        return;
    }
    let buffer = std::mem::take(&mut batch.buffer);
    hand_over(worker, batch, run, &buffer[run.frames.clone()]);
    batch.buffer = buffer;
    run.frames.start = run.frames.end;
}

fn hand_over(worker: &Worker, batch: &mut Batch, run: &Run, frames: &[u8]) {
    let Some(session) = &run.session else { return };
    // The gate once more: the cut may have come while the batch was filled.
    if !session.gate.is_open() {
        return worker.has.counters.count_drop(DropReason::Cut);
    }
    if let Some(tunnel) = session.tunnel.borrow_mut().as_mut() {
        if let Err(error) = tunnel.pump.seal(frames) {
            tunnel.broken = Some(error.kind());
        }
        if !batch.touched.last().is_some_and(|last| Rc::ptr_eq(last, session)) {
            batch.touched.push(Rc::clone(session));
        }
    }
}

/// A packet to no session of this worker: to its owner, if that is another one.
fn pass_on(worker: &Worker, to: IpAddr, header: VirtioHeader, bytes: &[u8], origin: Origin) -> Result<(), DropReason> {
    let owner = worker.owner_of(to, origin == Origin::Worker).ok_or(DropReason::NoSession)?;
    let stray = Stray { header, packet: bytes.into() };
    worker.has.strays[owner].try_send(stray).map_err(|_| DropReason::WorkerBusy)
}
