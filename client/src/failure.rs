//! How a command ends that did not succeed: an exit code for programs, cause and next step for people.

use std::fmt;

use ringwall_startup::LockError;

use crate::store::StoreError;

/// Exit codes. 0 is success; 2 is clap's, for a command line that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something that should not happen.
    Unexpected = 1,
    /// Nobody is signed in, or only a new sign-in helps.
    NotSignedIn = 3,
    /// The Collective said no.
    Refused = 4,
    /// No Controller answered in time.
    Unreachable = 5,
    /// No daemon runs.
    NotRunning = 6,
    /// A daemon runs already.
    AlreadyRunning = 7,
    /// A capability is missing.
    Privilege = 8,
    /// No such profile or prompt.
    NotFound = 9,
    /// A profile link names another certificate authority.
    PinChange = 10,
    /// What was given on the command line, in a file or on standard input cannot be used (`EX_USAGE`).
    Usage = 64,
}

/// A command's failure.
#[derive(Debug)]
pub struct Failure {
    /// For programs.
    pub exit: Exit,
    /// What was wrong.
    pub cause: anyhow::Error,
    /// What to do about it.
    pub next_step: String,
}

impl Failure {
    /// A failure with its next step.
    pub(crate) fn new(exit: Exit, cause: impl Into<anyhow::Error>, next_step: impl Into<String>) -> Self {
        Self { exit, cause: cause.into(), next_step: next_step.into() }
    }

    /// A failure whose cause is only known as text.
    pub(crate) fn message(exit: Exit, cause: impl fmt::Display, next_step: impl Into<String>) -> Self {
        Self::new(exit, anyhow::anyhow!("{cause}"), next_step)
    }

    /// Says more about what was being done.
    #[must_use]
    pub(crate) fn while_doing(mut self, what: impl fmt::Display + Send + Sync + 'static) -> Self {
        self.cause = self.cause.context(what);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ringwall: {:#}\n  next step: {}", self.cause, self.next_step)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (exit, next_step) = match &error {
            StoreError::NoSuchProfile(_) => (Exit::NotFound, "ringwall profile list"),
            StoreError::NoProfile => (Exit::NotFound, "ringwall profile add <link>"),
            StoreError::WhichProfile(_) => (Exit::Usage, "name one with --profile"),
            StoreError::Locked(LockError::InUse { .. }) => (Exit::AlreadyRunning, "ringwall status, or: ringwall down"),
            StoreError::Io { .. } | StoreError::Locked(_) | StoreError::File(_) => {
                (Exit::Usage, "do as the message says, or choose a directory that this user may write: --state-dir")
            }
            _ => (Exit::Unexpected, "repair or remove the file; ringwall profile add and sign-in make it anew"),
        };
        Self::new(exit, error, next_step)
    }
}
