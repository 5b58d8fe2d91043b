//! Why calls to Controllers fail, and what the user can do about it.

use std::fmt;
use std::time::Duration;

use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::{ErrorBody, ErrorCode};
use ringwall_trust::spa::Unanswered;

use super::http::ExchangeError;
use crate::advice;
use crate::dial::DialError;
use crate::failure::{Exit, Failure};

/// How far clocks of a Collective that is well may be apart.
const SLACK: Duration = Duration::from_secs(30);

/// Why an attempt at one Controller failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContactError {
    /// Its name has no address.
    #[error("cannot resolve the name")]
    Resolve(#[source] std::io::Error),
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// A Controller that was not named at the last sign-in.
    #[error("the Controller's key is none of those named at the last sign-in")]
    UnknownKey,
    /// The exchange failed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// No Controller answered, and tokens of the Collective are from the future.
    #[error("this machine's clock is at least {} s behind the Collective's", .0.as_secs())]
    ClockBehind(Duration),
    /// It refused for a reason that may pass.
    #[error("{}: {}", code(.0), .0.message)]
    Unavailable(ErrorBody),
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum CallError {
    /// A Controller refused the request.
    Refused(ErrorBody),
    /// No Controller could be used: the error of each.
    Unreachable(Vec<(String, ContactError)>),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(body) => write!(f, "the Controller refused ({}): {}", code(body), body.message),
            Self::Unreachable(attempts) => {
                let said = if self.provider_is_down() { PROVIDER_DOWN } else { "no Controller answered" };
                f.write_str(said)?;
                for (controller, error) in attempts {
                    write!(f, "; {controller}: {}", chain(error))?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for CallError {}

/// Controllers answered, and none of them could ask the provider.
const PROVIDER_DOWN: &str = "no Controller can reach the identity provider";

impl CallError {
    /// Whether what Controllers lack is the provider: they answered, so that it is not this machine's network.
    fn provider_is_down(&self) -> bool {
        let Self::Unreachable(attempts) = self else { return false };
        attempts.iter().any(|(_, error)| match error {
            ContactError::Unavailable(body) => body.code == ErrorCode::ProviderUnavailable,
            _ => false,
        })
    }

    /// Says that this machine's clock is behind, if nobody answered at `now` and what the Collective `issued` is from the
    /// future.
    #[must_use]
    pub(super) fn at(self, now: UnixMillis, issued: Option<UnixMillis>) -> Self {
        let mut attempts = match self {
            Self::Unreachable(attempts) => attempts,
            refused @ Self::Refused(_) => return refused,
        };
        let behind = issued.map_or(Duration::ZERO, |issued| now.until(issued));
        if behind > SLACK && attempts.iter().any(|(_, error)| unanswered(error).is_some()) {
            attempts.push(("clock".to_owned(), ContactError::ClockBehind(behind)));
        }
        Self::Unreachable(attempts)
    }

    /// The time to wait before the next call, if a Controller gave one.
    #[must_use]
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let of = |body: &ErrorBody| body.retry_after_ms.map(Duration::from_millis);
        match self {
            Self::Refused(body) => of(body),
            Self::Unreachable(attempts) => attempts.iter().find_map(|(_, error)| match error {
                ContactError::Unavailable(body) => of(body),
                _ => None,
            }),
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub(crate) const fn retryable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether asking again in a moment can help: not if only unauthenticated servers answered, nor if every knock is kept
    /// from leaving, nor with a clock that is known to be wrong.
    #[must_use]
    pub(crate) fn may_recover(&self) -> bool {
        let unauthenticated = |error: &ContactError| {
            matches!(
                error,
                ContactError::UnknownKey | ContactError::Dial(DialError::Refused(_) | DialError::Protocol(_))
            )
        };
        let lasting = |error: &ContactError| {
            unauthenticated(error) || matches!(unanswered(error), Some(Unanswered::PacketRefused(_)))
        };
        let clock = |error: &ContactError| matches!(error, ContactError::ClockBehind(_));
        match self {
            Self::Refused(_) => false,
            Self::Unreachable(attempts) => {
                !self.is_pending()
                    && !attempts.iter().all(|(_, error)| lasting(error))
                    && !attempts.iter().any(|(_, error)| clock(error))
            }
        }
    }

    /// Whether a Controller took the request and was still at it when the time was over: the last attempt was that.
    #[must_use]
    pub(crate) fn is_pending(&self) -> bool {
        let Self::Unreachable(attempts) = self else { return false };
        attempts.last().is_some_and(|(_, error)| matches!(error, ContactError::Exchange(ExchangeError::Unconfirmed)))
    }

    /// What the user can do.
    #[must_use]
    pub(crate) fn next_step(&self) -> &'static str {
        let attempts = match self {
            Self::Refused(body) => return advice::next_step(body.code),
            Self::Unreachable(attempts) => attempts,
        };
        if self.provider_is_down() {
            return advice::next_step(ErrorCode::ProviderUnavailable);
        }
        let any = |wanted: fn(&ContactError) -> bool| attempts.iter().any(|(_, error)| wanted(error));
        if any(|error| matches!(error, ContactError::ClockBehind(_))) {
            return advice::CLOCK_BEHIND;
        }
        if any(|error| matches!(error, ContactError::Dial(dial) if dial.is_by_another_server())) {
            return advice::ANOTHER_SERVER;
        }
        if any(|error| matches!(error, ContactError::UnknownKey)) {
            return "if an administrator confirms that all Controllers were replaced: ringwall sign-in --forget-controllers";
        }
        if any(|error| matches!(error, ContactError::Resolve(_))) {
            return "check the network, and the host of the profile: ringwall profile list";
        }
        if any(|error| matches!(error, ContactError::Dial(DialError::Refused(refused)) if refused.is_about_time())) {
            return "set this machine's clock; if it is right, ask an administrator: the Controller's certificate has expired";
        }
        if any(|error| matches!(unanswered(error), Some(Unanswered::PacketRefused(_)))) {
            return advice::UDP_BLOCKED;
        }
        if any(|error| unanswered(error).is_some()) {
            return advice::SILENT;
        }
        "check the network and this machine's clock; if others are connected, ask an administrator"
    }
}

fn unanswered(error: &ContactError) -> Option<&Unanswered> {
    match error {
        ContactError::Dial(dial) => dial.unanswered(),
        _ => None,
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = if error.retryable() { Exit::Unreachable } else { Exit::Refused };
        let next_step = error.next_step();
        Self::new(exit, error, next_step)
    }
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

/// The code as it stands on the wire.
pub(crate) fn code(body: &ErrorBody) -> String {
    let text = serde_json::to_string(&body.code).expect("a code serialises");
    text.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use ringwall_trust::tls::Refused;

    use super::*;

    fn next_step(error: DialError) -> &'static str {
        CallError::Unreachable(vec![("c:443".to_owned(), ContactError::Dial(error))]).next_step()
    }

    #[test]
    fn a_provider_that_is_down_is_not_the_network_of_this_machine() {
        let down = || ContactError::Unavailable(ErrorBody::new(ErrorCode::ProviderUnavailable, "try later"));
        let error = CallError::Unreachable(vec![("a:443".to_owned(), down()), ("b:443".to_owned(), down())]);
        assert!(error.to_string().starts_with(PROVIDER_DOWN), "{error}");
        assert!(error.next_step().contains("identity provider is down"), "{}", error.next_step());
        let busy = ContactError::Unavailable(ErrorBody::new(ErrorCode::NoQuorum, "try another one"));
        let error = CallError::Unreachable(vec![("a:443".to_owned(), busy)]);
        assert!(error.to_string().starts_with("no Controller answered"), "{error}");
    }

    #[test]
    fn what_a_person_may_still_confirm_is_not_asked_at_another_controller() {
        let last = |error: ExchangeError| {
            let down = ContactError::Resolve(io::Error::other("no such name"));
            CallError::Unreachable(vec![("a:443".to_owned(), down), ("b:443".to_owned(), error.into())])
        };
        assert!(last(ExchangeError::Unconfirmed).is_pending() && !last(ExchangeError::Unconfirmed).may_recover());
        assert!(!last(ExchangeError::Time).is_pending() && last(ExchangeError::Time).may_recover());
    }

    #[test]
    fn a_certificate_out_of_its_time_points_to_the_clock_and_a_wrong_role_to_neither_clock_nor_network_alone() {
        assert!(next_step(DialError::Refused(Refused::Time)).contains("set this machine's clock"));
        assert!(
            next_step(DialError::Refused(Refused::Role)).contains("this machine's clock"),
            "silence may be a knock's"
        );
    }

    #[test]
    fn another_servers_certificate_never_leads_to_trust_in_another_authority() {
        for refused in
            [Refused::Root, Refused::Leaf(ringwall_trust::identity::LeafError::Malformed), Refused::Collective]
        {
            let advice = next_step(DialError::Refused(refused));
            assert!(advice.contains("sign in to the network") && !advice.contains("replace-ca"), "{advice}");
        }
    }

    #[test]
    fn silence_after_a_knock_names_udp_and_the_clock_and_a_refused_knock_udp_alone() {
        let timed_out = |why| DialError::Connect(io::Error::new(io::ErrorKind::TimedOut, why));
        let silent = next_step(timed_out(Unanswered::Silent));
        assert!(silent.contains("clock") && silent.contains("UDP"), "{silent}");
        let refused = next_step(timed_out(Unanswered::PacketRefused(io::ErrorKind::PermissionDenied.into())));
        assert!(refused.contains("UDP") && !refused.contains("clock"), "{refused}");
    }

    #[test]
    fn tokens_from_the_future_show_that_this_machines_clock_is_behind() {
        let silent = || {
            let timed_out = io::Error::new(io::ErrorKind::TimedOut, Unanswered::Silent);
            CallError::Unreachable(vec![("c:443".to_owned(), ContactError::Dial(DialError::Connect(timed_out)))])
        };
        let issued = UnixMillis::from_seconds(1_000_000);
        let ten_minutes_ago = silent().at(issued.minus(Duration::from_mins(10)), Some(issued));
        assert!(ten_minutes_ago.to_string().contains("at least 600 s behind"), "{ten_minutes_ago}");
        assert!(ten_minutes_ago.next_step().contains("set this machine's clock"));
        for now in [issued.minus(Duration::from_secs(5)), issued.plus(Duration::from_hours(1))] {
            assert_eq!(silent().at(now, Some(issued)).next_step(), advice::SILENT);
        }
        assert_eq!(silent().at(issued, None).next_step(), advice::SILENT);
    }
}
