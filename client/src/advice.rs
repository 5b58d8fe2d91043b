//! What a user can do about a refusal: every error that the Client shows says what was wrong and the next step.

use ringwall_protocol::wire::error::ErrorCode;

/// Something else answered. Never to be met with trust in another certificate authority: it would be the portal's.
pub(crate) const ANOTHER_SERVER: &str = "another server answered in its place: a network that wants a sign-in first does this. Open any page in a browser, sign \
     in to the network, then try again; if it is the same on another network, ask an administrator";
/// The knock did not get out.
pub(crate) const UDP_BLOCKED: &str = "UDP to the Collective's port is blocked by this machine's firewall or by this network: let it through, or use another \
     network";
/// Nobody says why.
pub(crate) const SILENT: &str = "compare this machine's clock with another one (a knock that is off by some minutes gets no answer), then try another \
     network: this one may block UDP to the Collective's port; if others are connected, ask an administrator";
/// Tokens of the Collective are from the future.
pub(crate) const CLOCK_BEHIND: &str = "set this machine's clock (timedatectl set-ntp true), then try again";

/// The next step after this refusal.
#[must_use]
pub(crate) const fn next_step(code: ErrorCode) -> &'static str {
    use ErrorCode as C;
    match code {
        C::SignInRefused => {
            "check user name and password; after several failures wait a minute, or ask an administrator"
        }
        C::MfaRequired => "sign in again and give the one-time password that is asked for",
        C::MfaRefused => "sign in again with a new one-time password",
        C::DeviceConflict => "ask an administrator to remove this device's old registration, then sign in again",
        C::DeviceLimit => "ask an administrator to remove one of your registered devices",
        C::ProviderUnavailable => {
            "try again in a few minutes; if it comes back, ask an administrator: the identity provider is down"
        }
        C::Busy | C::NoQuorum | C::ClockSuspect | C::UnknownOutcome | C::ShuttingDown => {
            "nothing: the Client tries again, at another Controller if there is one"
        }
        C::FeedBehind | C::Suspended | C::LeaseLapsed | C::MovedAway | C::ConnectionLost => {
            "nothing: the Client tries again, at another Gateway if there is one"
        }
        C::VersionUnsupported => "update the Client, or ask an administrator to update the Collective",
        C::TokenExpired | C::TokenRevoked | C::Revoked | C::Unauthorized => "sign in again: ringwall sign-in",
        C::TokenMismatch | C::TokenInvalid => "sign in again: ringwall sign-in; if it comes back, ask an administrator",
        C::NotEntitled | C::Forbidden => "ask an administrator for access",
        C::Superseded => {
            "this device is signed in elsewhere with the same state directory; stop the other one, then: ringwall up"
        }
        C::ClientLeft => "ringwall up",
        C::Replaced => "nothing: a newer tunnel of this Client took over",
        C::Flapping => "two Clients share this state directory; stop one of them and wait a minute",
        C::InstallFailed | C::TooManyRuleSets | C::PolicyTooLarge | C::UnsupportedAction => {
            "ask an administrator: the Gateway cannot enforce this policy"
        }
        C::AddressHeld | C::NoAddress => "ask an administrator: the pool of tunnel addresses needs attention",
        C::AdministratorEnded => "ask an administrator why, then: ringwall sign-in",
        C::ProtocolError | C::Invalid | C::NotFound | C::Conflict => "update the Client; if it comes back, report it",
        C::Internal => "try again later; if it comes back, ask an administrator to look at the Controller's log",
    }
}

/// Whether only a new sign-in can help.
#[must_use]
pub(crate) const fn wants_sign_in(code: ErrorCode) -> bool {
    use ErrorCode as C;
    matches!(
        code,
        C::SignInRefused
            | C::MfaRequired
            | C::MfaRefused
            | C::TokenExpired
            | C::TokenRevoked
            | C::TokenMismatch
            | C::TokenInvalid
            | C::Revoked
            | C::AdministratorEnded
            | C::Unauthorized
            | C::DeviceConflict
    )
}
