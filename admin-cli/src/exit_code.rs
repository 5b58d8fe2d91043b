//! What the program's exit code says (the range of BSD `sysexits` is left to the shell's conventions).

use crate::connection::ApiError;

/// Exit codes. 2 is clap's: wrong usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Something here: a file, the terminal, the session file.
    Local = 1,
    /// No Controller answered, or none that is trusted.
    Unreachable = 3,
    /// Not signed in, or no longer.
    Unauthorized = 4,
    /// Signed in, but without the privilege.
    Forbidden = 5,
    /// No such object.
    NotFound = 6,
    /// The request fails validation, here or at the Controller.
    Invalid = 7,
    /// The object changed or exists.
    Conflict = 8,
    /// The Controller cannot at the moment: no quorum, too much to do.
    Unavailable = 9,
    /// The question was answered with no: `explain` says that the flow is blocked, `diff` that something differs.
    Negative = 10,
    /// Nothing is done yet: another administrator must approve it.
    ApprovalWanted = 11,
}

/// A question whose answer is no: printed already, told by the exit code.
#[derive(Debug, thiserror::Error)]
#[error("the answer is no")]
pub struct Negative;

/// What was given makes no request: a name, a reference or a file that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidInput(pub String);

/// What files say cannot be carried out: all that is wrong, each with its place. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[error("nothing was written; wrong in the file:\n  {}", .0.join("\n  "))]
pub struct InvalidFile(pub Vec<String>);

impl ExitCode {
    /// The code for a failure.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        if error.downcast_ref::<Negative>().is_some() {
            return Self::Negative;
        }
        if error.is::<InvalidInput>() || error.is::<InvalidFile>() {
            return Self::Invalid;
        }
        match error.downcast_ref::<ApiError>() {
            Some(ApiError::Unreachable { .. } | ApiError::Protocol(_)) => Self::Unreachable,
            Some(ApiError::NotSignedIn) => Self::Unauthorized,
            Some(ApiError::ApprovalWanted(_)) => Self::ApprovalWanted,
            Some(ApiError::Refused { status, .. }) => match status {
                401 | 412 => Self::Unauthorized,
                403 => Self::Forbidden,
                404 => Self::NotFound,
                409 => Self::Conflict,
                502..=504 => Self::Unavailable,
                _ => Self::Invalid,
            },
            None => Self::Local,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_wrong_with_the_input_has_one_code() {
        let wrong = anyhow::Error::from(InvalidInput("site: there is no Site \"nowhere\"".to_owned()));
        assert_eq!(ExitCode::of(&wrong.context("document 2")), ExitCode::Invalid);
        assert_eq!(ExitCode::of(&anyhow::anyhow!("no such file")), ExitCode::Local);
    }
}
