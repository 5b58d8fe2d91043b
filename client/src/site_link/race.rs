//! Several Gateways, one after the other with a head start: the first welcome wins, the others send a goodbye.

use ringwall_protocol::id::ApplianceId;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, AttemptError, Connected};
use crate::core::link_end::{LinkEnd, Next, after};
use crate::core::site_choice::HEAD_START;
use crate::race::Race;

/// The result of a race.
pub(super) struct Finish {
    /// The winner.
    pub(super) connected: Option<Box<Connected>>,
    /// Those that failed before, and why.
    pub(super) failed: Vec<(ApplianceId, String, AttemptError)>,
}

/// Starts the attempts in order: the next one after 400 ms without a welcome, or as soon as one fails.
///
/// A refusal for the sake of the tokens ends the race: no other Gateway would judge them differently. Dropping the future
/// ends all attempts at once.
pub(super) async fn race(attempts: Vec<Attempt>) -> Finish {
    let (lost, abandoned) = (CancellationToken::new(), CancellationToken::new());
    let abandon = abandoned.clone().drop_guard();
    let mut race = Race::new(HEAD_START);
    for attempt in attempts {
        race.append(run(attempt, lost.clone(), abandoned.clone()));
    }
    let mut failed = Vec::new();
    while let Some((gateway, name, result)) = race.next().await {
        match result {
            Some(Ok(connected)) => {
                // The others run on in their tasks until they have sent their goodbye.
                drop(abandon.disarm());
                lost.cancel();
                return Finish { connected: Some(Box::new(connected)), failed };
            }
            Some(Err(error)) => {
                if concerns_tokens(&error) {
                    race.drop_waiting();
                }
                failed.push((gateway, name, error));
            }
            // It panicked: a defect, which the panic hook logs.
            None => {}
        }
    }
    Finish { connected: None, failed }
}

/// An attempt in a task of its own, so that it outlives the race that it lost.
async fn run(
    attempt: Attempt,
    lost: CancellationToken,
    abandoned: CancellationToken,
) -> (ApplianceId, String, Option<Result<Connected, AttemptError>>) {
    let (gateway, name) = (attempt.gateway.id, attempt.gateway.name.clone());
    let task = tokio::spawn(async move { abandoned.run_until_cancelled_owned(Box::pin(attempt.run(lost))).await });
    (gateway, name, task.await.ok().flatten())
}

fn concerns_tokens(error: &AttemptError) -> bool {
    matches!(error, AttemptError::Refused(code, _)
        if matches!(after(&LinkEnd::Ended(*code)), Next::RenewTokens | Next::Stop | Next::Wait(_)))
}
