//! From a peer's tunnel to the TUN: one task per tunnel, asleep while nothing comes.
//!
//! Promise: what reaches the TUN was allowed by the worker's side, has honest lengths, and an offload header that was derived
//! here (T33); everything else is dropped and counted. A frame outside the protocol ends the tunnel.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;

use super::{Scratch, Worker};
use crate::counters::Reason;
use crate::frame::{FLAG_PARTIAL_CHECKSUM, Frame, FrameHeader, FrameKind};
use crate::link::Link;
use crate::loss::{LossReason, Violation};
use crate::packet;
use crate::side::{Peer, PeerSide};

/// Reads from one socket before others get their turn: 4 × 64 KiB.
const READS_PER_TURN: usize = 4;

/// The timer of a tunnel's task; a tunnel without deadlines has none.
type Timer = Option<Pin<Box<Sleep>>>;

/// Drives one tunnel until its end. `armed` is its first deadline.
pub(super) async fn run<S: PeerSide>(worker: Rc<Worker<S>>, peer: Rc<S::Peer>, serial: u64, armed: Option<Instant>) {
    let mut watch = DefectWatch { worker: &worker, peer: &peer, serial, armed: true };
    let mut timer = armed.map(|at| Box::pin(tokio::time::sleep_until(at.into())));
    let end = std::future::poll_fn(|cx| turn(&worker, &peer, serial, &mut timer, cx)).await;
    watch.armed = false;
    if let Some(reason) = end {
        peer.link().close();
        worker.side.lost(&peer, reason);
    }
}

/// A panic in one tunnel's task ends that tunnel only, and is told.
struct DefectWatch<'a, S: PeerSide> {
    worker: &'a Worker<S>,
    peer: &'a S::Peer,
    serial: u64,
    armed: bool,
}

impl<S: PeerSide> Drop for DefectWatch<'_, S> {
    fn drop(&mut self) {
        if self.armed && std::thread::panicking() {
            self.peer.link().discard(self.serial);
            self.worker.side.lost(self.peer, LossReason::Defect);
        }
    }
}

/// One turn of a tunnel's task; ready with the reason of its loss, or with `None` if another tunnel took its place.
fn turn<S: PeerSide>(
    worker: &Worker<S>,
    peer: &S::Peer,
    serial: u64,
    timer: &mut Timer,
    cx: &mut Context<'_>,
) -> Poll<Option<LossReason>> {
    let mut slot = peer.link().0.borrow_mut();
    let Some(link) = slot.as_mut().filter(|link| link.serial == serial) else { return Poll::Ready(None) };
    link.remember(cx.waker());
    match receive(worker, peer, link, cx).and_then(|()| watch_time(link, timer, cx)) {
        Ok(()) => Poll::Pending,
        Err(reason) => Poll::Ready(Some(reason)),
    }
}

/// Sends what waits and receives what came, within one turn's share.
fn receive<S: PeerSide>(
    worker: &Worker<S>,
    peer: &S::Peer,
    link: &mut Link,
    cx: &mut Context<'_>,
) -> Result<(), LossReason> {
    let Scratch { raw, plain } = &mut *worker.scratch.borrow_mut();
    for _ in 0..READS_PER_TURN {
        let Poll::Ready(filled) = link.poll_receive(cx, raw, plain) else { return Ok(()) };
        frames(worker, peer, link, &mut plain[..filled?]).map_err(LossReason::Violated)?;
    }
    cx.waker().wake_by_ref();
    Ok(())
}

/// Looks at the clock if the timer rang, and arms it anew if it must ring earlier than it would.
fn watch_time(link: &mut Link, timer: &mut Timer, cx: &mut Context<'_>) -> Result<(), LossReason> {
    let Some(timer) = timer else { return Ok(()) };
    let rearm = |link: &mut Link, timer: &mut Pin<Box<Sleep>>| {
        if let Some(at) = link.arm() {
            timer.as_mut().reset(at.into());
        }
    };
    loop {
        if link.rings_too_late() {
            rearm(link, timer);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        link.check_deadline(Instant::now())?;
        rearm(link, timer);
    }
}

/// Handles every complete frame and keeps what is left for the next time.
fn frames<S: PeerSide>(worker: &Worker<S>, peer: &S::Peer, link: &mut Link, plain: &mut [u8]) -> Result<(), Violation> {
    let (mut at, mut asked) = (0, false);
    while let Some(frame) = Frame::at(plain, at)? {
        at = frame.payload.end;
        match (frame.header.kind, link.is_attached()) {
            (FrameKind::Packet, true) => deliver(worker, peer, frame.header, &mut plain[frame.payload]),
            (FrameKind::KeepAlive, true) => asked = true,
            (FrameKind::Attach, false) if frame.payload.is_empty() => {
                link.attached(Instant::now());
                worker.side.attached(peer);
            }
            _ => return Err(link.attach_violation()),
        }
    }
    if asked {
        link.answer(worker.peer_queue);
    }
    link.keep(&plain[at..]);
    Ok(())
}

/// Gives a packet to the kernel, or drops it; counts either.
fn deliver<S: PeerSide>(worker: &Worker<S>, peer: &S::Peer, header: FrameHeader, bytes: &mut [u8]) {
    let length = bytes.len();
    match packet(worker, peer, header, bytes) {
        Ok(()) => {
            worker.counters.traffic().count_to_tun(length);
            if let Some(traffic) = worker.side.traffic(peer) {
                traffic.count_to_tun(length);
            }
        }
        Err(reason) => worker.counters.count_drop(reason),
    }
}

fn packet<S: PeerSide>(
    worker: &Worker<S>,
    peer: &S::Peer,
    header: FrameHeader,
    bytes: &mut [u8],
) -> Result<(), S::Reason> {
    worker.side.gate(peer)?;
    let layout = packet::parse(bytes)?;
    worker.side.may_leave(peer, bytes, &layout)?;
    let partial = header.flags & FLAG_PARTIAL_CHECKSUM != 0;
    let virtio = packet::arriving(bytes, &layout, header.segment_size, partial)?;
    worker.queue.write(virtio, bytes, &layout).map_err(|error| {
        tracing::debug!(%error, ?virtio, "TUN write failed");
        S::Reason::DEVICE
    })
}
