//! Answers of past commands, by command id: what makes a repeated proposal happen once.

use std::time::Duration;

use ringwall_protocol::id::{CommandId, LogIndex};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::command::{CommandEnvelope, RequestDigest};
use super::map::Map;
use super::rejection::Rejection;
use super::reply::{Outcome, Reply};

/// How long an answer is kept, by the proposers' clocks.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most answers kept, about 100 MB: beyond it the oldest go before their time.
pub(crate) const MAX_RESULTS: usize = 262_144;
/// Most answers dropped by one entry, so that no entry is slow; above one, so that the table shrinks.
const DROPPED_PER_ENTRY: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    request: Option<RequestDigest>,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Due {
    command: CommandId,
    at: UnixMillis,
}

/// Answers by command id, and their order of age.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    by_command: Map<CommandId, Kept>,
    by_age: Map<LogIndex, Due>,
}

impl Results {
    /// The answer that this command got before, if it came before.
    pub(crate) fn repeated(&self, envelope: &CommandEnvelope) -> Option<Outcome> {
        let kept = self.by_command.find(&envelope.command_id)?;
        if kept.request != envelope.request {
            let reply = Reply::Refused(Rejection::CommandIdReused);
            return Some(Outcome { index: kept.outcome.index, reply });
        }
        Some(kept.outcome.clone())
    }

    /// The answer of a command that was carried out in the last 24 h.
    #[must_use]
    pub fn find(&self, command: CommandId) -> Option<&Outcome> {
        self.by_command.find(&command).map(|kept| &kept.outcome)
    }

    pub(crate) fn record(&mut self, envelope: &CommandEnvelope, outcome: Outcome, now: UnixMillis) {
        self.by_age.insert(outcome.index, Due { command: envelope.command_id, at: now });
        self.by_command.insert(envelope.command_id, Kept { request: envelope.request, outcome });
        for _ in 0..DROPPED_PER_ENTRY {
            let Some((index, due)) = self.by_age.first() else { return };
            if due.at.plus(KEPT) > now && self.by_age.len() <= MAX_RESULTS {
                return;
            }
            let (index, command) = (*index, due.command);
            self.by_age.remove(&index);
            self.by_command.remove(&command);
        }
    }
}
