//! The asking end of a peer stream: connects when needed, keeps many requests in flight, and reconnects with backoff.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringwall_protocol::id::NodeId;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::PeerConnector;
use super::frame::{self, Frame};
use super::message::{Request, Response};
use crate::codec;

/// Requests that wait to be written; more wait with their caller.
const QUEUE: usize = 256;
/// Longest attempt to connect.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// First wait after a failed attempt; doubles up to `LAST_BACKOFF`.
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
        /// Id of the node.
        peer: NodeId,
        /// Cause, in words.
        why: String,
    },
    /// The request was sent, or may have been, and no answer came.
    #[error("node {peer} did not answer: {why}")]
    NoAnswer {
        /// Id of the node.
        peer: NodeId,
        /// Cause, in words.
        why: String,
    },
}

/// A link to one peer.
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    peer: NodeId,
    connector: Arc<dyn PeerConnector>,
    present: Mutex<Present>,
    /// Counts what became of attempts to connect.
    attempts: watch::Sender<u64>,
}

#[derive(Default)]
enum Present {
    /// Nobody has asked yet, or the last stream served well and ended.
    #[default]
    Idle,
    /// An attempt is under way; it goes on when the caller who wanted it gives up.
    Connecting,
    /// A stream, and the failures that went before it.
    Open { stream: Arc<Stream>, failures: u32 },
    /// The last attempt failed.
    Failed { failures: u32, retry_at: Instant, why: String },
}

/// An open stream.
struct Stream {
    queue: mpsc::Sender<Frame>,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Vec<u8>>>>,
    next_id: AtomicU64,
    closed: AtomicBool,
    last_heard: Mutex<Instant>,
    heard: AtomicBool,
    stop: Notify,
}

impl Link {
    pub(crate) fn new(peer: NodeId, connector: Arc<dyn PeerConnector>) -> Self {
        let present = Mutex::new(Present::default());
        Self { shared: Arc::new(Shared { peer, connector, present, attempts: watch::Sender::new(0) }) }
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
        let mut attempts = self.shared.attempts.subscribe();
        loop {
            match self.shared.stream_or_attempt() {
                Ok(Some(stream)) => return Ok(stream),
                Ok(None) => {}
                Err(why) => return Err(self.unreachable(why)),
            }
            if attempts.changed().await.is_err() {
                return Err(self.unreachable("the link was dropped"));
            }
        }
    }

    fn unreachable(&self, why: impl ToString) -> LinkError {
        LinkError::Unreachable { peer: self.shared.peer, why: why.to_string() }
    }

    fn no_answer(&self, why: impl ToString) -> LinkError {
        LinkError::NoAnswer { peer: self.shared.peer, why: why.to_string() }
    }
}

impl Shared {
    /// The open stream; or `None` while one is being opened, begun here if need be; or why there is none for now.
    fn stream_or_attempt(self: &Arc<Self>) -> Result<Option<Arc<Stream>>, String> {
        let mut present = self.present();
        let now = Instant::now();
        let failures = match &*present {
            Present::Open { stream, .. } if !stream.is_closed() => return Ok(Some(Arc::clone(stream))),
            Present::Connecting => return Ok(None),
            Present::Failed { retry_at, why, .. } if now < *retry_at => return Err(why.clone()),
            Present::Idle => 0,
            Present::Failed { failures, .. } => *failures,
            // The peer took the stream and ended it without a word: that is a failure too.
            Present::Open { stream, failures } if !stream.was_heard() => {
                let failures = *failures;
                *present = Present::failed(failures, "the peer ended the stream at once".to_owned());
                return Err("the peer ended the stream at once".to_owned());
            }
            Present::Open { .. } => 0,
        };
        *present = Present::Connecting;
        drop(present);
        tokio::spawn(Arc::clone(self).connect(failures));
        Ok(None)
    }

    async fn connect(self: Arc<Self>, failures: u32) {
        let attempt = timeout(CONNECT_TIME, self.connector.connect(self.peer)).await;
        let present = match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(io) => Present::Open { stream: Stream::start(io), failures },
            Err(why) => Present::failed(failures, why.to_string()),
        };
        *self.present() = present;
        self.attempts.send_modify(|count| *count += 1);
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    fn failed(failures: u32, why: String) -> Self {
        let wait = FIRST_BACKOFF.saturating_mul(1 << failures.min(8)).min(LAST_BACKOFF);
        Self::Failed { failures: failures.saturating_add(1), retry_at: Instant::now() + wait, why }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Present::Open { stream, .. } = &*self.present() {
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
            heard: AtomicBool::new(false),
            stop: Notify::new(),
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
            self.heard.store(true, Ordering::Release);
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

    fn was_heard(&self) -> bool {
        self.heard.load(Ordering::Acquire)
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
