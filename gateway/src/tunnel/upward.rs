//! From a session's tunnel to the kernel: one task per tunnel, asleep while nothing comes.
//!
//! Promise: what reaches the TUN has the session's own source address, honest lengths, and an offload header that was
//! derived here; everything else is dropped and counted. A frame outside the protocol closes the tunnel.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use ringwall_tunnel::frame::{FLAG_PARTIAL_CHECKSUM, Frame, FrameHeader, FrameKind};
use ringwall_tunnel::packet;

use super::counters::DropReason;
use super::event::{LossReason, TunnelEvent, Violation};
use super::session::{Session, Tunnel};
use super::worker::{Scratch, Worker};

/// Reads from one socket before others get their turn: 4 × 64 KiB.
const READS_PER_TURN: usize = 4;

/// Why a tunnel's task ends.
enum End {
    /// Replaced, or closed by its session.
    Superseded,
    Lost(LossReason),
    Violated(Violation),
}

/// Drives one attached tunnel until its end.
pub(super) async fn run(worker: Rc<Worker>, session: Rc<Session>, serial: u64) {
    let mut watch = DefectWatch { worker: &worker, session: &session, serial, armed: true };
    let end = std::future::poll_fn(|cx| turn(&worker, &session, serial, cx)).await;
    watch.armed = false;
    let event = match end {
        End::Superseded => return,
        End::Lost(reason) => TunnelEvent::Lost { session: session.id, reason },
        End::Violated(violation) => TunnelEvent::ProtocolViolation { session: session.id, violation },
    };
    session.close_tunnel();
    worker.has.events.tunnel_event(event);
}

/// A panic in one tunnel's task ends that tunnel only, and is told.
struct DefectWatch<'a> {
    worker: &'a Worker,
    session: &'a Session,
    serial: u64,
    armed: bool,
}

impl Drop for DefectWatch<'_> {
    fn drop(&mut self) {
        if !self.armed || !std::thread::panicking() {
            return;
        }
        if let Ok(mut tunnel) = self.session.tunnel.try_borrow_mut()
            && tunnel.as_ref().is_some_and(|tunnel| tunnel.serial == self.serial)
        {
            *tunnel = None;
        }
        let reason = LossReason::Defect;
        self.worker.has.events.tunnel_event(TunnelEvent::Lost { session: self.session.id, reason });
    }
}

fn turn(worker: &Worker, session: &Session, serial: u64, cx: &mut Context<'_>) -> Poll<End> {
    let mut slot = session.tunnel.borrow_mut();
    let Some(tunnel) = slot.as_mut().filter(|tunnel| tunnel.serial == serial) else {
        return Poll::Ready(End::Superseded);
    };
    tunnel.remember(cx.waker());
    let mut scratch = worker.scratch.borrow_mut();
    for _ in 0..READS_PER_TURN {
        if let Some(kind) = tunnel.broken {
            return Poll::Ready(End::Lost(LossReason::Broken(kind)));
        }
        if let Poll::Ready(Err(error)) = tunnel.pump.poll_flush(cx) {
            return Poll::Ready(End::Lost(LossReason::Broken(error.kind())));
        }
        let Scratch { raw, plain } = &mut *scratch;
        let waited = tunnel.rest.len();
        plain[..waited].copy_from_slice(&tunnel.rest);
        let received = match tunnel.pump.poll_receive(cx, raw, &mut plain[waited..]) {
            Poll::Pending => {
                if waited == 0 {
                    tunnel.rest = Vec::new();
                }
                return Poll::Pending;
            }
            Poll::Ready(Ok(Some(received))) => received,
            Poll::Ready(Ok(None)) => return Poll::Ready(End::Lost(LossReason::Closed)),
            Poll::Ready(Err(error)) => return Poll::Ready(End::Lost(LossReason::Broken(error.kind()))),
        };
        if let Err(violation) = frames(worker, session, tunnel, &mut plain[..waited + received]) {
            return Poll::Ready(End::Violated(violation));
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Handles every complete frame and keeps what is left for the next time.
fn frames(worker: &Worker, session: &Session, tunnel: &mut Tunnel, plain: &mut [u8]) -> Result<(), Violation> {
    let (mut at, mut asked) = (0, false);
    while let Some(frame) = Frame::at(plain, at)? {
        at = frame.payload.end;
        match frame.header.kind {
            FrameKind::Packet => {
                let bytes = frame.payload.len();
                match packet(worker, session, frame.header, &mut plain[frame.payload]) {
                    Ok(()) => worker.has.counters.count_up(bytes),
                    Err(reason) => worker.has.counters.count_drop(reason),
                }
            }
            FrameKind::KeepAlive => asked = true,
            FrameKind::Attach => return Err(Violation::AttachedTwice),
        }
    }
    if asked {
        answer(worker, tunnel);
    }
    tunnel.rest.clear();
    tunnel.rest.extend_from_slice(&plain[at..]);
    Ok(())
}

fn packet(worker: &Worker, session: &Session, header: FrameHeader, bytes: &mut [u8]) -> Result<(), DropReason> {
    if !session.gate.is_open() {
        return Err(DropReason::Cut);
    }
    let layout = packet::parse(bytes)?;
    if !session.addresses.contains(layout.source) {
        return Err(DropReason::ForeignSource);
    }
    if layout.fragment && !session.fragments.borrow_mut().admits(Instant::now()) {
        return Err(DropReason::Fragments);
    }
    let partial = header.flags & FLAG_PARTIAL_CHECKSUM != 0;
    let virtio = packet::arriving(bytes, &layout, header.segment_size, partial)?;
    worker.queue.write(virtio, bytes, &layout).map_err(|error| {
        tracing::debug!(%error, ?virtio, "TUN write failed");
        DropReason::Device
    })
}

/// Answers keep-alives, once for all that came together: an answer costs us more than a question costs the peer.
/// A full queue is an answer too, because the Client hears of us by what is in it.
fn answer(worker: &Worker, tunnel: &mut Tunnel) {
    if tunnel.pump.pending() > worker.has.session_queue {
        return;
    }
    let sent = tunnel.pump.seal(&FrameHeader::plain(FrameKind::KeepAlive, 0).encode());
    match sent {
        Ok(()) => tunnel.flush(),
        Err(error) => tunnel.broken = Some(error.kind()),
    }
}
