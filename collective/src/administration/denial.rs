//! Why an administrator's order was not carried out.

use ringwall_protocol::wire::admin::{FieldError, LOWEST_VERSION, VERSION};
use ringwall_raft::Rejection;
use uuid::Uuid;

use crate::refusal::Refusal;

/// Why an order was refused. Its text reaches the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    /// The request cannot be read at all.
    #[error("{0}")]
    Malformed(String),
    /// The body is longer than it may be.
    #[error("expected a body of at most {0} bytes")]
    TooLarge(usize),
    /// No version of the API that is spoken here was asked for.
    #[error(
        "expected the header Accept: application/vnd.appgate.peer-v{VERSION}+json, versions {LOWEST_VERSION} to {VERSION}"
    )]
    NotAcceptable,
    /// Nobody is signed in, or no longer.
    #[error("{message}")]
    NotSignedIn {
        /// For programs.
        id: &'static str,
        /// For people.
        message: String,
    },
    /// A privilege is missing.
    #[error("{0}")]
    Forbidden(String),
    /// It does not exist, or the caller may not know that it does.
    #[error("{0}")]
    NotFound(String),
    /// The resource exists, and has no such method; those that it has.
    #[error("this resource takes {0} only; see GET /admin/openapi.json")]
    MethodNotAllowed(String),
    /// It does not fit what is there.
    #[error("{0}")]
    Conflict(String),
    /// The order waits for a second administrator; nothing is done yet (T65).
    #[error(
        "nothing is done yet: another administrator must approve this within 15 minutes, with `ringctl approve {id}`; \
         `ringctl approvals withdraw {id}` takes it back"
    )]
    ApprovalWanted {
        /// Names the order.
        id: Uuid,
    },
    /// The password was right, another factor is wanted first.
    #[error("another factor is wanted first")]
    FactorMissing,
    /// Fields are not as the published schema says.
    #[error("{} of the request's fields cannot be accepted", .0.len())]
    Invalid(Vec<FieldError>),
    /// The schema permits the fields, and they contradict each other or what the Collective holds.
    #[error("{} of the request's fields contradict others, or what the Collective holds", .0.len())]
    Contradiction(Vec<FieldError>),
    /// A service refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Denial {
    /// One field is wrong.
    #[must_use]
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// One field contradicts another one, or what the Collective holds.
    #[must_use]
    pub(crate) fn contradiction(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Contradiction(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// The same, saying which part of a request it is about, and the name of that part's object if it has one: fields are
    /// named as `place.field`.
    #[must_use]
    pub(crate) fn placed(self, place: &str, name: &str) -> Self {
        let at = |errors: Vec<FieldError>| {
            let one = |FieldError { field, message }| {
                let field = if field.is_empty() { place.to_owned() } else { format!("{place}.{field}") };
                FieldError { field, message }
            };
            errors.into_iter().map(one).collect()
        };
        let named = if name.is_empty() { String::new() } else { format!(" ({name:?})") };
        match self {
            Self::Invalid(errors) => Self::Invalid(at(errors)),
            Self::Contradiction(errors) => Self::Contradiction(at(errors)),
            Self::Conflict(text) => Self::Conflict(format!("{place}{named}: {text}")),
            Self::NotFound(text) => Self::NotFound(format!("{place}{named}: {text}")),
            Self::Forbidden(text) => Self::Forbidden(format!("{place}{named}: {text}")),
            other => other,
        }
    }

    /// Several fields are wrong, or none.
    ///
    /// # Errors
    /// [`Denial::Invalid`] unless the list is empty.
    pub(crate) fn unless_empty(errors: Vec<FieldError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self::Invalid(errors)) }
    }
}

impl From<Rejection> for Denial {
    fn from(rejection: Rejection) -> Self {
        let text = rejection.to_string();
        match rejection {
            Rejection::InGroup { why, .. } => (*why).into(),
            Rejection::NotFound { .. } => Self::NotFound(text),
            // Whatever the schema says was looked at before it was proposed.
            Rejection::Invalid { field, message } => Self::contradiction(field, message),
            Rejection::MissingReference { field, kind, id } => {
                Self::contradiction(field, format!("there is no {kind} {id}"))
            }
            Rejection::Exists { .. }
            | Rejection::NameTaken { .. }
            | Rejection::Stale { .. }
            | Rejection::Referenced { .. }
            | Rejection::WrongState { .. }
            | Rejection::TooMany { .. }
            | Rejection::CommandIdReused => Self::Conflict(text),
            other => Self::Refused(Refusal::rejected(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_says_which_part_of_a_request_it_is_about() {
        let denial = Denial::field("name", "is missing").placed("objects[1]", "web");
        assert_eq!(denial, Denial::field("objects[1].name", "is missing"));
        let denial = Denial::Conflict("another Site is named \"web\"".to_owned()).placed("objects[1]", "web");
        assert_eq!(denial.to_string(), "objects[1] (\"web\"): another Site is named \"web\"");
        assert_eq!(Denial::FactorMissing.placed("objects[1]", "web"), Denial::FactorMissing);
    }

    #[test]
    fn a_refused_part_of_a_group_is_told_as_if_it_stood_alone() {
        let why = Rejection::Invalid { field: "name".to_owned(), message: "is missing".to_owned() };
        let denial = Denial::from(Rejection::InGroup { at: 1, why: Box::new(why) });
        assert_eq!(denial, Denial::contradiction("name", "is missing"));
    }
}
