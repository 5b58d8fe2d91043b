//! Sessions whose feed ends at another Controller: one question between Controllers and a stream of answers, so that
//! views and explanations are the same wherever they are asked for.

use std::io;

use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::name::DnScope;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use super::frame;
use super::session_directory::SessionDirectory;

/// Longest question, in bytes: a DN.
const MAX_QUESTION: usize = 4 * 1024;
/// Longest frame of an answer, in bytes: one session, which came in a frame of a feed (1 MiB) in a shorter encoding.
const MAX_FRAME: usize = 2 * 1024 * 1024;
/// Most sessions that one answer holds: what a Controller's Gateways can have.
const MAX_SESSIONS: usize = 65_536;

/// The question: whose sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question {
    scope: DnScope,
}

/// A part of the answer: a session, or nothing where there is no further one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Told {
    session: Option<SessionSummary>,
}

/// Answers a Controller's question about the sessions that Gateways report here.
pub(super) async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, known: &SessionDirectory) {
    let question: Question = match frame::read(&mut stream, MAX_QUESTION).await {
        Ok(question) => question,
        Err(error) => return tracing::debug!(%error, "question is not readable"),
    };
    let sessions = known.covered_by(&question.scope);
    if let Err(error) = tell(&mut stream, sessions).await {
        tracing::debug!(%error, "answer did not go out");
    }
}

async fn tell(stream: &mut (impl AsyncWrite + Unpin), sessions: Vec<SessionSummary>) -> io::Result<()> {
    for session in sessions {
        frame::write(stream, &Told { session: Some(session) }).await?;
    }
    frame::write(stream, &Told::default()).await
}

/// Asks over `stream` for the sessions that `scope` covers.
///
/// # Errors
/// If the connection breaks, or more comes than a Controller can have.
pub(crate) async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    scope: &DnScope,
) -> io::Result<Vec<SessionSummary>> {
    frame::write(&mut stream, &Question { scope: scope.clone() }).await?;
    let mut all = Vec::new();
    while let Told { session: Some(session) } = frame::read(&mut stream, MAX_FRAME).await? {
        if all.len() >= MAX_SESSIONS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more sessions than a controller can have"));
        }
        all.push(session);
    }
    Ok(all)
}
