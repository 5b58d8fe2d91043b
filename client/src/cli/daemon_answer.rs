//! What the running daemon answered, as a command's end: its exit code, its cause and the next step.

use crate::failure::{Exit, Failure};
use crate::local::{Answer, LocalError};

/// Success only if the daemon did it.
pub(super) fn done(answer: Result<Answer, LocalError>) -> Result<(), Failure> {
    match answer.map_err(local_failure)? {
        Answer::Refused { cause, next_step, not_found } => {
            Err(Failure::message(if not_found { Exit::NotFound } else { Exit::Refused }, cause, next_step))
        }
        _ => Ok(()),
    }
}

/// What went wrong between a command and the daemon, and what the user can do.
pub(super) fn local_failure(error: LocalError) -> Failure {
    let (exit, next_step) = match &error {
        LocalError::NotRunning => (Exit::NotRunning, "ringwall up"),
        LocalError::NotAllowed => (Exit::Privilege, "use the user that the daemon runs as, or root"),
        LocalError::Broken(_) | LocalError::Time => (Exit::Unexpected, "look at the daemon's log"),
        LocalError::Answer => (Exit::Unexpected, "restart the daemon after the update: ringwall down; ringwall up"),
    };
    Failure::new(exit, error, next_step)
}
