//! The reception: a new tunnel connection says which session it belongs to, with its first frame.
//!
//! Promise: before that frame nothing is answered, little is read ([`FIRST_FRAME`]) and little time is given
//! ([`FIRST_FRAME_WITHIN`]); a connection that does not say it properly is closed without an answer (T12).

use std::io;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringwall_actors::ports::AttachToken;
use ringwall_tunnel::frame::{ATTACH_TOKEN_LEN, Frame, FrameKind, HEADER_LEN};
use ringwall_tunnel::record_pump::RecordPump;
use ringwall_tunnel::worker::Worker;
use tokio::sync::mpsc;

use super::AcceptedTunnel;
use super::grants::Grants;
use super::order::{Attachment, Order};
use super::side::GatewaySide;
use crate::log_limit::LogLimit;

/// Bytes of the one frame that may come first.
const FIRST_FRAME: usize = HEADER_LEN + ATTACH_TOKEN_LEN;
/// Time for it; the Client holds the token already when it connects.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(5);
/// Ciphertext taken at a time: room for the frame and what TLS adds, no more.
const RAW: usize = 1_024;
/// Lines about refused connections: whoever has a certificate can cause them.
static REFUSALS: LogLimit = LogLimit::new(20);

/// What all workers and the callers of the tunnel plane share: who may attach, and how to reach each worker.
pub(super) struct Reception {
    pub(super) grants: Mutex<Grants>,
    pub(super) workers: Vec<mpsc::UnboundedSender<Order>>,
}

/// Why a connection did not get through.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("no attach frame within {FIRST_FRAME_WITHIN:?}")]
    Late,
    #[error("another connection needed its seat")]
    NoSeat,
    #[error("the connection ended")]
    Closed,
    #[error("the first frame is no attach frame")]
    NoAttachFrame,
    #[error("{0}")]
    Grant(#[from] super::grants::AttachRefusal),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Reception {
    pub(super) fn new(workers: Vec<mpsc::UnboundedSender<Order>>) -> Self {
        Self { grants: Mutex::default(), workers }
    }

    /// The grants; a panic of another holder leaves them consistent, as each change is one insert or remove.
    pub(super) fn grants(&self) -> std::sync::MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a worker. One that has stopped hears nothing; that it stopped is an event of its own.
    pub(super) fn tell(&self, worker: usize, order: Order) {
        let _stopped = self.workers[worker].send(order);
    }
}

/// Waits for the attach frame of a new connection and hands it to the owner of its session.
pub(super) async fn receive(worker: Rc<Worker<GatewaySide>>, accepted: AcceptedTunnel) {
    let (peer, taken) = (accepted.peer, accepted.seat.taken());
    let identified = tokio::time::timeout(FIRST_FRAME_WITHIN, identify(&worker, accepted));
    let result = tokio::select! {
        result = identified => result.unwrap_or(Err(Refused::Late)),
        () = taken.wait() => Err(Refused::NoSeat),
    };
    match result {
        Ok((owner, attachment)) => worker.side().reception().tell(owner, Order::Attach(Box::new(attachment))),
        Err(refused) => {
            if let Some(left_out) = REFUSALS.admit(Instant::now()) {
                tracing::info!(%peer, %refused, left_out, "tunnel connection refused");
            }
        }
    }
}

async fn identify(worker: &Worker<GatewaySide>, accepted: AcceptedTunnel) -> Result<(usize, Attachment), Refused> {
    let AcceptedTunnel { stream, connection, peer, key, seat: _seat } = accepted;
    let mut pump = RecordPump::new(stream, connection)?;
    let token = first_frame(worker, &mut pump).await?;
    let admitted = worker.side().reception().grants().spend(&token, key, Instant::now())?;
    let (stream, connection) = pump.into_parts()?;
    Ok((admitted.owner, Attachment { session: admitted.session, stream, connection, peer }))
}

/// Exactly one attach frame: a Client says nothing more before it is answered.
async fn first_frame(worker: &Worker<GatewaySide>, pump: &mut RecordPump) -> Result<AttachToken, Refused> {
    let mut first = Vec::with_capacity(FIRST_FRAME);
    loop {
        let received = std::future::poll_fn(|cx| {
            let take = |plain: &[u8]| first.extend_from_slice(&plain[..plain.len().min(FIRST_FRAME + 1)]);
            worker.poll_receive(cx, pump, RAW, take)
        });
        received.await?.ok_or(Refused::Closed)?;
        if first.len() > FIRST_FRAME {
            return Err(Refused::NoAttachFrame);
        }
        let frame = Frame::at(&first, 0).map_err(|_| Refused::NoAttachFrame)?;
        if let Some(frame) = frame {
            let token = first[frame.payload].try_into().map_err(|_| Refused::NoAttachFrame)?;
            return if frame.header.kind == FrameKind::Attach {
                Ok(AttachToken(token))
            } else {
                Err(Refused::NoAttachFrame)
            };
        }
    }
}
