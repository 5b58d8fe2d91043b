//! What other Controllers' Gateways enforce: one question and a stream of answers between Controllers, for
//! `wait=enforced` of Gateways whose feed is elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use ringwall_actors::link::{Board, Enforcement};
use ringwall_protocol::id::{ApplianceId, LogIndex};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use super::frame;

/// Longest question or answer, in bytes: some thousand Gateways fit.
const MAX_FRAME: usize = 256 * 1024;
/// Longest time that a question may ask for.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// The question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question {
    index: LogIndex,
    gateways: Vec<ApplianceId>,
    wait_ms: u64,
}

/// What is known here of some Gateways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Told {
    /// They enforce the index.
    pub(crate) enforced: Vec<ApplianceId>,
    /// Milliseconds since the last confirmed poll of each that is not connected here.
    pub(crate) last_poll_ms: BTreeMap<ApplianceId, u64>,
    /// With the last answer: connected here, and not there yet.
    pub(crate) pending: Vec<ApplianceId>,
    /// Nothing more will be told.
    pub(crate) last: bool,
}

/// Answers a Controller's question about the Gateways that are connected here, each as soon as it is known.
pub(super) async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, board: &Board) {
    let question: Question = match frame::read(&mut stream, MAX_FRAME).await {
        Ok(question) => question,
        Err(error) => return tracing::debug!(%error, "question is not readable"),
    };
    if let Err(error) = tell(&mut stream, board, question).await {
        tracing::debug!(%error, "answer did not go out");
    }
}

async fn tell(stream: &mut (impl AsyncWrite + Unpin), board: &Board, question: Question) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_millis(question.wait_ms).min(MAX_WAIT);
    let mut open: BTreeSet<ApplianceId> = question.gateways.into_iter().collect();
    loop {
        let told = look(board, &mut open, question.index);
        let waiting = board_pending(board, &open, question.index);
        let last = waiting.is_empty() || Instant::now() >= deadline;
        if last || !told.enforced.is_empty() {
            let pending = if last { waiting.clone() } else { Vec::new() };
            frame::write(stream, &Told { last, pending, ..told }).await?;
        }
        if last {
            return Ok(());
        }
        wait_for_one(board, &waiting, question.index, deadline).await;
    }
}

/// Takes out what is enforced, and tells how long the unreachable ones have been so.
fn look(board: &Board, open: &mut BTreeSet<ApplianceId>, index: LogIndex) -> Told {
    let mut told = Told::default();
    open.retain(|gateway| match board.enforcement(*gateway, index) {
        Enforcement::Enforced(_) => {
            told.enforced.push(*gateway);
            false
        }
        Enforcement::Unreachable(Some(poll)) => {
            let age = u64::try_from(poll.elapsed().as_millis()).unwrap_or(u64::MAX);
            told.last_poll_ms.insert(*gateway, age);
            true
        }
        Enforcement::Pending | Enforcement::Unreachable(None) => true,
    });
    told
}

fn board_pending(board: &Board, open: &BTreeSet<ApplianceId>, index: LogIndex) -> Vec<ApplianceId> {
    open.iter().copied().filter(|gateway| board.enforcement(*gateway, index) == Enforcement::Pending).collect()
}

/// Returns when one of the Gateways is no longer pending, or at the deadline.
pub(crate) async fn wait_for_one(board: &Board, waiting: &[ApplianceId], index: LogIndex, deadline: Instant) {
    let each =
        waiting.iter().map(|gateway| Box::pin(board.wait_enforced(std::slice::from_ref(gateway), index, deadline)));
    if !waiting.is_empty() {
        let _ = futures_util::future::select_all(each).await;
    }
}

/// Asks over `stream` and hands every answer to `hear`, until the last one.
pub(crate) async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    index: LogIndex,
    gateways: &[ApplianceId],
    wait: Duration,
    mut hear: impl FnMut(&Told),
) -> io::Result<()> {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    frame::write(&mut stream, &Question { index, gateways: gateways.to_vec(), wait_ms }).await?;
    loop {
        let told: Told = frame::read(&mut stream, MAX_FRAME).await?;
        hear(&told);
        if told.last {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_gateway_is_told_as_soon_as_it_enforces() {
        let gateway = |n| ApplianceId::from_random([n; 16]);
        let board = std::sync::Arc::new(Board::default());
        board.connected(gateway(1), Instant::now());
        board.connected(gateway(2), Instant::now());
        board.enforced(gateway(1), LogIndex(5), vec![], Instant::now());
        let (here, there) = tokio::io::duplex(4096);
        let answering = std::sync::Arc::clone(&board);
        tokio::spawn(async move { answer(there, &answering).await });
        let mut told = Vec::new();
        let gateways = [gateway(1), gateway(2), gateway(3)];
        ask(here, LogIndex(5), &gateways, Duration::from_secs(30), |one| {
            if told.is_empty() {
                board.enforced(gateway(2), LogIndex(6), vec![], Instant::now());
            }
            told.push(one.clone());
        })
        .await
        .expect("answered");
        let enforced: Vec<_> = told.iter().flat_map(|one| one.enforced.clone()).collect();
        assert_eq!(enforced, [gateway(1), gateway(2)]);
        assert!(told.last().is_some_and(|one| one.last));
    }
}
