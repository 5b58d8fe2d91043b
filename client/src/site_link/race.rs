//! Several Gateways, one after the other with a head start: the first welcome wins, the others are told goodbye
//!.

use std::collections::VecDeque;

use ringwall_protocol::id::ApplianceId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, AttemptError, Connected};
use crate::core::site_choice::HEAD_START;

/// What became of a race.
pub(super) struct Finish {
    /// The winner.
    pub(super) connected: Option<Box<Connected>>,
    /// Those that failed before, and why.
    pub(super) failed: Vec<(ApplianceId, String, AttemptError)>,
}

/// Starts the attempts in order: the next one after 400 ms without a welcome, or as soon as one fails.
///
/// A refusal for the sake of the tokens ends the race: no other Gateway would judge them differently.
pub(super) async fn race(attempts: Vec<Attempt>) -> Finish {
    let mut waiting: VecDeque<Attempt> = attempts.into();
    let mut running = JoinSet::new();
    let cancelled = CancellationToken::new();
    // Also when the race itself is cancelled.
    let _stop_the_others = cancelled.clone().drop_guard();
    let mut failed = Vec::new();
    let mut next_start = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next_start), if !waiting.is_empty() => {
                let attempt = waiting.pop_front().expect("one waits");
                let cancelled = cancelled.clone();
                running.spawn(async move {
                    let (id, name) = (attempt.gateway.id, attempt.gateway.name.clone());
                    (id, name, attempt.run(cancelled).await)
                });
                next_start = Instant::now() + HEAD_START;
            }
            Some(done) = running.join_next() => {
                let Ok((id, name, result)) = done else { continue };
                match result {
                    Ok(connected) => {
                        // They say goodbye by themselves.
                        cancelled.cancel();
                        running.detach_all();
                        return Finish { connected: Some(Box::new(connected)), failed };
                    }
                    Err(error) => {
                        if concerns_tokens(&error) {
                            waiting.clear();
                        }
                        failed.push((id, name, error));
                        next_start = Instant::now();
                    }
                }
            }
            else => return Finish { connected: None, failed },
        }
    }
}

fn concerns_tokens(error: &AttemptError) -> bool {
    use crate::core::link_end::{LinkEnd, Next, after};
    matches!(error, AttemptError::Refused(code, _)
        if matches!(after(&LinkEnd::Ended(*code)), Next::RenewTokens | Next::Stop | Next::Wait(_)))
}
