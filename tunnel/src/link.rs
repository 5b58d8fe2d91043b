//! The tunnel to one peer: its TLS connection, how far it is, and when its task must look at the time.
//!
//! A Client's tunnel begins as *attaching* and then *asks* whether the Gateway is there; a Gateway's tunnel *answers* from
//! the start, because its attach token was checked before. Promise: no packet passes before the tunnel is attached.

use std::cell::RefCell;
use std::io;
use std::net::TcpStream;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustls::Connection;

use crate::frame::{ATTACH_TOKEN_LEN, FrameHeader, FrameKind};
use crate::keep_alive::{Due, KeepAlive};
use crate::loss::{LossReason, Violation};
use crate::record_pump::RecordPump;

/// How long a Gateway may take to answer the attach token.
const ATTACH_WITHIN: Duration = Duration::from_secs(5);

/// Where a peer's tunnel is, while it has one.
#[derive(Debug, Default)]
pub struct LinkSlot(pub(crate) RefCell<Option<Link>>);

/// A connection that carries the packets of one peer.
#[derive(Debug)]
pub struct Link {
    pump: RecordPump,
    /// Plaintext of a frame whose end has not come yet.
    rest: Vec<u8>,
    /// Tells this tunnel from the one that it replaced.
    pub(crate) serial: u64,
    /// What broke it while packets were sent; its task reports it.
    broken: Option<io::ErrorKind>,
    phase: Phase,
    /// When the task's timer rings. If the deadline is earlier, the task must be woken.
    armed: Option<Instant>,
    waker: Option<Waker>,
}

/// How far a tunnel is.
#[derive(Debug)]
enum Phase {
    /// The attach token is sent, and no reply has come.
    Attaching { until: Instant },
    /// Attached. This end asks whether the peer is there.
    Asking(KeepAlive),
    /// Attached. The peer asks.
    Answering,
}

impl LinkSlot {
    /// Closes the tunnel, if there is one; its task ends by itself.
    pub fn close(&self) {
        let former = self.0.borrow_mut().take();
        if let Some(link) = former {
            link.wake();
            link.pump.close();
        }
    }

    /// Drops the tunnel `serial`, if it is this one and nobody uses it at the moment.
    pub(crate) fn discard(&self, serial: u64) {
        if let Ok(mut link) = self.0.try_borrow_mut()
            && link.as_ref().is_some_and(|link| link.serial == serial)
        {
            *link = None;
        }
    }
}

impl Link {
    /// The Client's end of a tunnel: presents the attach token. Must be called on the worker's runtime.
    ///
    /// # Errors
    /// If the socket cannot be taken over, or the connection is closed for writing.
    pub fn attaching(
        stream: TcpStream,
        connection: impl Into<Connection>,
        token: &[u8; ATTACH_TOKEN_LEN],
    ) -> io::Result<Self> {
        let mut pump = RecordPump::new(stream, connection)?;
        let header = FrameHeader::plain(FrameKind::Attach, ATTACH_TOKEN_LEN as u32).encode();
        pump.seal(&[&header[..], token].concat())?;
        Ok(Self::new(pump, Phase::Attaching { until: Instant::now() + ATTACH_WITHIN }))
    }

    /// The Gateway's end of a tunnel whose attach token was accepted: says so to the Client. Must be called on the
    /// worker's runtime.
    ///
    /// # Errors
    /// If the socket cannot be taken over. A connection that breaks here is reported as lost by the tunnel's task.
    pub fn answering(stream: TcpStream, connection: impl Into<Connection>) -> io::Result<Self> {
        let pump = RecordPump::new(stream, connection)?;
        let mut link = Self::new(pump, Phase::Answering);
        link.seal(&FrameHeader::plain(FrameKind::Attach, 0).encode());
        link.flush();
        Ok(link)
    }

    fn new(pump: RecordPump, phase: Phase) -> Self {
        let mut link = Self { pump, rest: Vec::new(), serial: 0, broken: None, phase, armed: None, waker: None };
        link.armed = link.deadline();
        link
    }

    /// True once packets may pass.
    #[inline]
    pub(crate) const fn is_attached(&self) -> bool {
        !matches!(self.phase, Phase::Attaching { .. })
    }

    /// The peer accepted the attach token.
    pub(crate) fn attached(&mut self, now: Instant) {
        self.phase = Phase::Asking(KeepAlive::new(now));
    }

    /// What it is that the peer sent an attach frame now, or anything else before that.
    pub(crate) const fn attach_violation(&self) -> Violation {
        match self.phase {
            Phase::Answering => Violation::AttachedTwice,
            Phase::Attaching { .. } | Phase::Asking(_) => Violation::Attach,
        }
    }

    /// Bytes that wait for the kernel.
    #[inline]
    pub(crate) const fn pending(&self) -> usize {
        self.pump.pending()
    }

    /// Encrypts frames into the queue. An error is reported by the tunnel's task.
    pub(crate) fn seal(&mut self, frames: &[u8]) {
        if let Err(error) = self.pump.seal(frames) {
            self.broken = Some(error.kind());
        }
    }

    /// Sends what the kernel takes; the tunnel's task goes on with the rest, or reports what broke.
    pub(crate) fn flush(&mut self) {
        match self.pump.flush() {
            Ok(true) => {}
            Ok(false) => self.wake(),
            Err(error) => {
                self.broken = Some(error.kind());
                self.wake();
            }
        }
    }

    /// Sends the packets that were sealed. From now on a reply is due, if this end asks for it.
    pub(crate) fn send(&mut self) {
        if let Phase::Asking(keep_alive) = &mut self.phase {
            keep_alive.sent(Instant::now());
        }
        if self.rings_too_late() {
            self.wake();
        }
        self.flush();
    }

    /// Answers keep-alives, once for all that came together: an answer costs us more than a question costs the peer.
    /// A full queue (more than `limit` bytes) is an answer too, because the Client hears of us by what is in it.
    pub(crate) fn answer(&mut self, limit: usize) {
        if matches!(self.phase, Phase::Answering) && self.pump.pending() <= limit {
            self.seal(&FrameHeader::plain(FrameKind::KeepAlive, 0).encode());
            self.flush();
        }
    }

    /// Sends what waited for the socket, and receives once. Returns the length of the plaintext in `plain`, which begins
    /// with what [`keep`](Self::keep) was given.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        raw: &mut [u8],
        plain: &mut [u8],
    ) -> Poll<Result<usize, LossReason>> {
        if let Some(kind) = self.broken {
            return Poll::Ready(Err(LossReason::Broken(kind)));
        }
        self.poll_flush(cx).map_err(|error| LossReason::broken(&error))?;
        let waited = self.rest.len();
        plain[..waited].copy_from_slice(&self.rest);
        let Poll::Ready(received) = self.pump.poll_receive(cx, raw, &mut plain[waited..]) else {
            if waited == 0 {
                self.rest = Vec::new();
            }
            return Poll::Pending;
        };
        let received = received.map_err(|error| LossReason::broken(&error))?.ok_or(LossReason::Closed)?;
        if let Phase::Asking(keep_alive) = &mut self.phase {
            keep_alive.heard(Instant::now());
        }
        Poll::Ready(Ok(waited + received))
    }

    /// Keeps the beginning of a frame until the rest of it has come.
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.rest.clear();
        self.rest.extend_from_slice(rest);
    }

    /// Sends what waited for the socket. That a full queue moved on shows that the peer acknowledges.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let before = self.pump.pending();
        if let Poll::Ready(result) = self.pump.poll_flush(cx) {
            result?;
        }
        if let Phase::Asking(keep_alive) = &mut self.phase
            && self.pump.pending() < before
        {
            keep_alive.progressed(Instant::now());
        }
        Ok(())
    }

    /// When the task's timer must ring next, and that it will. `None` for a tunnel without deadlines.
    pub(crate) fn arm(&mut self) -> Option<Instant> {
        self.armed = self.deadline();
        self.armed
    }

    /// True if the timer rings later than something is due.
    pub(crate) fn rings_too_late(&self) -> bool {
        // Both are there, or none.
        self.deadline() < self.armed
    }

    /// Does what is due; the reason if the tunnel is given up.
    pub(crate) fn check_deadline(&mut self, now: Instant) -> Result<(), LossReason> {
        match &mut self.phase {
            Phase::Attaching { until } if now >= *until => Err(LossReason::NotAttached),
            Phase::Attaching { .. } | Phase::Answering => Ok(()),
            Phase::Asking(keep_alive) => match keep_alive.due(now) {
                Due::Wait => Ok(()),
                Due::Ask => self.ask().map_err(|error| LossReason::broken(&error)),
                Due::Dead => Err(LossReason::Silent),
            },
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Attaching { until } => Some(*until),
            Phase::Asking(keep_alive) => Some(keep_alive.next_deadline()),
            Phase::Answering => None,
        }
    }

    fn ask(&mut self) -> io::Result<()> {
        // Behind a full queue the question would only be late: what waits in it is question enough.
        if self.pump.pending() == 0 {
            self.pump.seal(&FrameHeader::plain(FrameKind::KeepAlive, 0).encode())?;
            self.pump.flush()?;
        }
        Ok(())
    }

    /// Remembers whom to wake when this tunnel has something to do that no socket announces.
    pub(crate) fn remember(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Wakes the tunnel's task.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}
