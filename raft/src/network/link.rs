//! The asking end of a peer stream: connects when needed, keeps many requests in flight, and reconnects with backoff.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringwall_protocol::id::NodeId;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::PeerConnector;
use super::frame::{self, Frame};
use super::message::{Request, Response};
use crate::codec;

/// Requests that wait to be written; more wait with their caller.
const QUEUE: usize = 256;
/// Longest attempt to connect.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// First wait after a failed attempt; doubles up to [`LAST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
/// A peer that comes back is found within this time.
const LAST_BACKOFF: Duration = Duration::from_millis(500);
/// A stream on which an answer is overdue and nothing was heard for so long is given up.
const SILENCE: Duration = Duration::from_millis(1_000);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The peer was not reached: the request was not sent.
    #[error("node {peer} cannot be reached: {why}")]
    Unreachable {
        /// Who.
        peer: NodeId,
        /// Why.
        why: String,
    },
    /// The request was sent, or may have been, and no answer came.
    #[error("node {peer} did not answer: {why}")]
    NoAnswer {
        /// Who.
        peer: NodeId,
        /// Why.
        why: String,
    },
}

/// A link to one peer.
pub(crate) struct Link {
    peer: NodeId,
    connector: Arc<dyn PeerConnector>,
    present: AsyncMutex<Present>,
}

#[derive(Default)]
struct Present {
    stream: Option<Arc<Stream>>,
    failures: u32,
    retry_at: Option<Instant>,
}

/// An open stream.
struct Stream {
    queue: mpsc::Sender<Frame>,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Vec<u8>>>>,
    next_id: AtomicU64,
    closed: AtomicBool,
    last_heard: Mutex<Instant>,
    stop: tokio::sync::Notify,
}

impl Link {
    pub(crate) fn new(peer: NodeId, connector: Arc<dyn PeerConnector>) -> Self {
        Self { peer, connector, present: AsyncMutex::new(Present::default()) }
    }

    /// Asks and waits for the answer until `deadline`.
    pub(crate) async fn ask(&self, request: &Request, deadline: Instant) -> Result<Response, LinkError> {
        let body = codec::encode(request).map_err(|why| self.unreachable(why))?;
        if body.len() > frame::MAX_BODY {
            return Err(self.unreachable(format!("a request of {} bytes is too long", body.len())));
        }
        let stream = match timeout_at(deadline, self.stream()).await {
            Ok(stream) => stream?,
            Err(_) => return Err(self.unreachable("connecting took too long")),
        };
        let answer = match timeout_at(deadline, stream.ask(body)).await {
            Ok(answer) => answer.map_err(|why| self.no_answer(why))?,
            Err(_) => {
                stream.give_up_if_silent();
                return Err(self.no_answer("deadline passed"));
            }
        };
        codec::decode(&answer).map_err(|why| {
            stream.close();
            self.no_answer(why)
        })
    }

    async fn stream(&self) -> Result<Arc<Stream>, LinkError> {
        let mut present = self.present.lock().await;
        if let Some(stream) = present.stream.as_ref().filter(|stream| !stream.is_closed()) {
            return Ok(Arc::clone(stream));
        }
        present.stream = None;
        if present.retry_at.is_some_and(|at| Instant::now() < at) {
            return Err(self.unreachable("waiting after a failed attempt"));
        }
        let attempt = timeout(CONNECT_TIME, self.connector.connect(self.peer)).await;
        match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                let stream = Stream::start(stream);
                *present = Present { stream: Some(Arc::clone(&stream)), failures: 0, retry_at: None };
                Ok(stream)
            }
            Err(why) => {
                let wait = FIRST_BACKOFF.saturating_mul(1 << present.failures.min(8)).min(LAST_BACKOFF);
                present.failures = present.failures.saturating_add(1);
                present.retry_at = Some(Instant::now() + wait);
                Err(self.unreachable(why))
            }
        }
    }

    fn unreachable(&self, why: impl ToString) -> LinkError {
        LinkError::Unreachable { peer: self.peer, why: why.to_string() }
    }

    fn no_answer(&self, why: impl ToString) -> LinkError {
        LinkError::NoAnswer { peer: self.peer, why: why.to_string() }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(stream) = self.present.get_mut().stream.take() {
            stream.close();
        }
    }
}

impl Stream {
    fn start(io: Box<dyn super::PeerStream>) -> Arc<Self> {
        let (queue, requests) = mpsc::channel(QUEUE);
        let stream = Arc::new(Self {
            queue,
            waiting: Mutex::new(BTreeMap::new()),
            next_id: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            last_heard: Mutex::new(Instant::now()),
            stop: tokio::sync::Notify::new(),
        });
        let running = Arc::clone(&stream);
        tokio::spawn(async move {
            let (from, to) = tokio::io::split(io);
            let ended = tokio::select! {
                ended = running.read_answers(from) => ended,
                ended = write_requests(to, requests) => ended,
                () = running.stop.notified() => Ok(()),
            };
            tracing::debug!(?ended, "peer stream ended");
            running.closed.store(true, Ordering::Release);
            running.waiting().clear();
        });
        stream
    }

    async fn ask(&self, body: Vec<u8>) -> Result<Vec<u8>, &'static str> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, waiter) = oneshot::channel();
        let forget = Forget { stream: self, id };
        self.waiting().insert(id, answer);
        if self.is_closed() || self.queue.send(Frame { id, body }).await.is_err() {
            return Err("the stream ended");
        }
        let answer = waiter.await.map_err(|_| "the stream ended");
        drop(forget);
        answer
    }

    async fn read_answers(&self, from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut from = BufReader::with_capacity(64 * 1024, from);
        while let Some(frame) = frame::read(&mut from).await? {
            *self.last_heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            let waiter = self.waiting().remove(&frame.id);
            // No waiter: its deadline passed.
            if let Some(waiter) = waiter {
                let _ = waiter.send(frame.body);
            }
        }
        Ok(())
    }

    fn give_up_if_silent(&self) {
        let last_heard = *self.last_heard.lock().unwrap_or_else(PoisonError::into_inner);
        if last_heard.elapsed() > SILENCE {
            self.close();
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.stop.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Vec<u8>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a request whose caller went away.
struct Forget<'a> {
    stream: &'a Stream,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.stream.waiting().remove(&self.id);
    }
}

async fn write_requests(to: impl AsyncWrite + Unpin, mut requests: mpsc::Receiver<Frame>) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(64 * 1024, to);
    while let Some(frame) = requests.recv().await {
        frame::write(&mut to, &frame).await?;
        while let Ok(frame) = requests.try_recv() {
            frame::write(&mut to, &frame).await?;
        }
        to.flush().await?;
    }
    Ok(())
}
