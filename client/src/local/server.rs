//! The daemon's end of the local socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::codec::{Framed, LinesCodec};
use tokio_util::task::TaskTracker;

use super::{Answer, Event, MAX_REQUEST_LINE, Request};

/// Connections at once: a tray, a few scripts; beyond it new ones are closed.
const MAX_CONNECTIONS: usize = 32;
/// A connection has to say something within this time.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// A watcher that does not read is dropped after this time.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// A request, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Call {
    /// What is wanted.
    pub(crate) request: Request,
    /// For the answer; dropped means that the daemon is stopping.
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// The open socket. Dropped, it is closed and its file removed.
#[derive(Debug)]
pub(crate) struct LocalServer {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
    answering: TaskTracker,
}

impl LocalServer {
    /// Closes the socket once the answers that are on their way are written, within a second.
    pub(crate) async fn finish(self) {
        self.task.abort();
        self.answering.close();
        // A client that does not read its answer in time loses it.
        let _late = timeout(Duration::from_secs(1), self.answering.wait()).await;
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.task.abort();
        // It may be gone already with the whole directory.
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// Opens the socket. The caller holds the daemon's lock, so that a file in its place is a leftover.
///
/// # Errors
/// If the socket cannot be made.
pub(crate) fn serve(
    path: &Path,
    calls: mpsc::Sender<Call>,
    events: broadcast::Sender<Event>,
) -> io::Result<LocalServer> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let answering = TaskTracker::new();
    let task = tokio::spawn(accept(listener, calls, events, answering.clone()));
    Ok(LocalServer { path: path.to_owned(), task, answering })
}

async fn accept(
    listener: UnixListener,
    calls: mpsc::Sender<Call>,
    events: broadcast::Sender<Event>,
    answering: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: others will be closed.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if !trusted(&stream) {
            tracing::warn!("rejected a local-socket connection of another user");
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (calls, events, answering) = (calls.clone(), events.clone(), answering.clone());
        tokio::spawn(async move {
            // A peer that breaks off ends its own connection and nothing else.
            let _ended = serve_connection(stream, calls, events, answering).await;
            drop(place);
        });
    }
}

/// Root, or whoever the daemon runs as.
fn trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

type Lines = Framed<UnixStream, LinesCodec>;

async fn serve_connection(
    stream: UnixStream,
    calls: mpsc::Sender<Call>,
    events: broadcast::Sender<Event>,
    answering: TaskTracker,
) -> Result<(), tokio_util::codec::LinesCodecError> {
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_REQUEST_LINE));
    let mut line = timeout(FIRST_REQUEST, lines.next()).await.ok().flatten();
    while let Some(text) = line {
        match serde_json::from_str::<Request>(&text?) {
            Ok(Request::Watch {}) => return watch(lines, &calls, events.subscribe()).await,
            Ok(request) => {
                let _answering = answering.token();
                let answer = ask(&calls, request).await;
                say(&mut lines, &answer).await?;
            }
            Err(error) => say(&mut lines, &malformed(&error)).await?,
        }
        line = lines.next().await;
    }
    Ok(())
}

async fn ask(calls: &mpsc::Sender<Call>, request: Request) -> Answer {
    let (reply, answer) = oneshot::channel();
    let stopping = || refused("the daemon is stopping", "ringwall up");
    if calls.send(Call { request, reply }).await.is_err() {
        return stopping();
    }
    answer.await.unwrap_or_else(|_| stopping())
}

/// The whole status first, then what happens. Whoever is too slow gets the status again.
async fn watch(
    mut lines: Lines,
    calls: &mpsc::Sender<Call>,
    mut events: broadcast::Receiver<Event>,
) -> Result<(), tokio_util::codec::LinesCodecError> {
    let mut fresh = true;
    loop {
        if std::mem::take(&mut fresh)
            && let Answer::Status { status } = ask(calls, Request::Status {}).await
        {
            say(&mut lines, &Answer::Event { event: Event::Status { status } }).await?;
        }
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => say(&mut lines, &Answer::Event { event }).await?,
                Err(broadcast::error::RecvError::Lagged(_)) => fresh = true,
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
            // Nothing is expected from a watcher but its end.
            said = lines.next() => if said.is_none_or(|line| line.is_err()) { return Ok(()) },
        }
    }
}

async fn say(lines: &mut Lines, answer: &Answer) -> Result<(), tokio_util::codec::LinesCodecError> {
    let text = serde_json::to_string(answer).expect("our own answers serialise");
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    timeout(WRITE_TIME, lines.send(text)).await.map_err(late)?
}

fn malformed(error: &serde_json::Error) -> Answer {
    refused(
        &format!("not a request of this version, at column {}", error.column()),
        "one JSON object a line, such as {\"request\":\"status\"}",
    )
}

fn refused(cause: &str, next_step: &str) -> Answer {
    Answer::Refused { cause: cause.into(), next_step: next_step.into(), not_found: false }
}
