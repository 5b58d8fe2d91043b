//! The other end of the local socket: what the command line, tests and a tray use.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

use super::{Answer, Event, MAX_ANSWER_LINE, Request};

/// An answer may take as long as a step-up at a Controller.
const ANSWER_TIME: Duration = Duration::from_mins(1);

/// Why the daemon did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Nobody listens.
    #[error("no ringwall daemon runs on this state directory")]
    NotRunning,
    /// The socket belongs to somebody else.
    #[error("permission denied on the daemon's socket")]
    NotAllowed,
    /// It broke off.
    #[error("connection to the daemon lost")]
    Broken(#[source] io::Error),
    /// It said something else.
    #[error("malformed response from the daemon: its version differs")]
    Answer,
    /// It took too long.
    #[error("the daemon did not answer within {} s", ANSWER_TIME.as_secs())]
    Time,
}

/// A connection to the daemon.
pub struct LocalClient {
    lines: Framed<UnixStream, LinesCodec>,
}

impl LocalClient {
    /// Connects to the socket in a state directory.
    ///
    /// # Errors
    /// [`LocalError::NotRunning`], [`LocalError::NotAllowed`].
    pub async fn connect(path: &Path) -> Result<Self, LocalError> {
        let stream = UnixStream::connect(path).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => LocalError::NotRunning,
            io::ErrorKind::PermissionDenied => LocalError::NotAllowed,
            _ => LocalError::Broken(error),
        })?;
        Ok(Self { lines: Framed::new(stream, LinesCodec::new_with_max_length(MAX_ANSWER_LINE)) })
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn ask(&mut self, request: &Request) -> Result<Answer, LocalError> {
        self.say(request).await?;
        timeout(ANSWER_TIME, self.next_answer()).await.map_err(|_| LocalError::Time)?
    }

    /// Asks to be told what happens; then call [`Self::next_event`].
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn watch(&mut self) -> Result<(), LocalError> {
        self.say(&Request::Watch {}).await
    }

    /// The next thing that happens.
    ///
    /// # Errors
    /// [`LocalError::Broken`] when the daemon is gone.
    pub async fn next_event(&mut self) -> Result<Event, LocalError> {
        match self.next_answer().await? {
            Answer::Event { event } => Ok(event),
            _ => Err(LocalError::Answer),
        }
    }

    async fn say(&mut self, request: &Request) -> Result<(), LocalError> {
        let text = serde_json::to_string(request).expect("our own requests serialise");
        self.lines.send(text).await.map_err(broken)
    }

    async fn next_answer(&mut self) -> Result<Answer, LocalError> {
        let line = self.lines.next().await.ok_or_else(|| LocalError::Broken(io::ErrorKind::UnexpectedEof.into()))?;
        serde_json::from_str(&line.map_err(broken)?).map_err(|_| LocalError::Answer)
    }
}

fn broken(error: LinesCodecError) -> LocalError {
    match error {
        LinesCodecError::MaxLineLengthExceeded => LocalError::Answer,
        LinesCodecError::Io(error) => LocalError::Broken(error),
    }
}
