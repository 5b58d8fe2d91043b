//! The phases of the daemon, each a type that owns what it needs. A transition consumes a phase and returns the next.
//!
//! ```text
//! SignedOut ─┬────────────────▶ Connected ◀────▶ Renewing
//!            │                    ▲   │             │
//!            └──▶ SigningIn ──────┘   └──▶ Losing ◀─┘
//!                     ▲                     │ ▲
//!                     └─────────────────────┴─┘        every phase ──▶ Stopping
//! ```
//!
//! A sign-in beside the daemon (`ringwall sign-in`) leads from `Losing` to `Connected` as well.

use ringwall_protocol::time::UnixMillis;
use tokio::sync::oneshot;

use super::active_session::ActiveSession;
use super::session::Session;
use super::shared::Shared;
use crate::failure::Failure;
use crate::local::Answer;
use crate::status::ClientState;
use crate::store::StoredSession;

mod connected;
mod losing;
mod renewing;
mod signed_out;
mod signing_in;
mod stopping;

pub(super) use renewing::RenewalOutcome;
pub(super) use signed_out::SignedOut;
pub(super) use stopping::Stopping;

use connected::Connected;
use losing::Losing;
use renewing::Renewing;
use signing_in::SigningIn;

/// What the daemon is doing.
pub(super) enum Phase {
    SigningIn(SigningIn),
    Connected(Connected),
    Renewing(Renewing),
    Losing(Losing),
    Stopping(Stopping),
}

impl Phase {
    /// The sign-in in use.
    pub(super) const fn active(&self) -> Option<&ActiveSession> {
        match self {
            Self::SigningIn(phase) => phase.active(),
            Self::Connected(phase) => Some(&phase.active),
            Self::Renewing(phase) => Some(&phase.active),
            Self::Losing(phase) => Some(&phase.active),
            Self::Stopping(phase) => phase.active(),
        }
    }

    pub(super) const fn active_mut(&mut self) -> Option<&mut ActiveSession> {
        match self {
            Self::SigningIn(phase) => phase.active_mut(),
            Self::Connected(phase) => Some(&mut phase.active),
            Self::Renewing(phase) => Some(&mut phase.active),
            Self::Losing(phase) => Some(&mut phase.active),
            Self::Stopping(phase) => phase.active_mut(),
        }
    }

    /// The state that the status shows.
    pub(super) fn client_state(&self) -> ClientState {
        match self {
            Self::SigningIn(_) => ClientState::SigningIn,
            Self::Losing(_) => ClientState::SignInRequired,
            Self::Stopping(_) => ClientState::Stopping,
            Self::Connected(Connected { active }) | Self::Renewing(Renewing { active }) => {
                if active.session().sites.is_empty() {
                    ClientState::NoEntitlements
                } else if active.all_sites_carry() {
                    ClientState::Connected
                } else {
                    ClientState::Connecting
                }
            }
        }
    }

    /// When something is due without any input; in other phases only a task's result or the user goes on.
    pub(super) fn next_deadline(&self) -> Option<UnixMillis> {
        match self {
            Self::Connected(phase) => phase.active.next_deadline(),
            Self::SigningIn(_) | Self::Renewing(_) | Self::Losing(_) | Self::Stopping(_) => None,
        }
    }

    /// Starts a renewal if one is due at `now`.
    pub(super) fn renew_if_due(self, shared: &mut Shared, now: UnixMillis) -> Self {
        match self {
            Self::Connected(phase) => phase.renew_if_due(shared, now),
            other => other,
        }
    }

    /// A sign-in of the daemon has ended.
    pub(super) async fn signed_in(self, shared: &mut Shared, result: Result<Box<StoredSession>, Failure>) -> Self {
        match self {
            Self::SigningIn(phase) => phase.ended(shared, result).await,
            other => other,
        }
    }

    /// A renewal has ended. What it received is used in every phase; only a new sign-in may be missing besides.
    pub(super) async fn renewed(self, shared: &mut Shared, outcome: RenewalOutcome) -> Self {
        let mut phase = match self {
            Self::Renewing(Renewing { active }) => Self::Connected(Connected { active }),
            other => other,
        };
        let Some(active) = phase.active_mut() else { return phase };
        match outcome.apply(active, shared).await {
            Some(cause) => phase.require_sign_in(shared, cause),
            None => phase,
        }
    }

    /// A task has panicked, perhaps the renewal: it is started again when it is due.
    pub(super) fn task_panicked(self) -> Self {
        match self {
            Self::Renewing(Renewing { active }) => Self::Connected(Connected { active }),
            other => other,
        }
    }

    /// Somebody signed in beside the daemon: `session` comes from disk.
    pub(super) async fn reloaded(self, shared: &mut Shared, session: Session) -> (Self, Result<(), Failure>) {
        match self {
            Self::SigningIn(phase) => phase.reloaded(shared, session).await,
            Self::Losing(Losing { mut active, sign_in_refused: _ }) => {
                match active.replace(shared, session).await {
                    Ok(()) => (Self::Connected(Connected { active }), Ok(())),
                    // The user may try again, and so may the daemon: the credentials on disk were accepted.
                    Err(failure) => (Self::Losing(Losing { active, sign_in_refused: false }), Err(failure)),
                }
            }
            mut other => {
                let result = match other.active_mut() {
                    Some(active) => active.replace(shared, session).await,
                    None => Ok(()),
                };
                (other, result)
            }
        }
    }

    /// Only a new sign-in can keep the session. The daemon signs in by itself if it was told to and was never refused.
    pub(super) fn require_sign_in(self, shared: &mut Shared, cause: String) -> Self {
        tracing::warn!(cause, "a new sign-in is required");
        shared.troubles.note("sign-in", cause, "ringwall sign-in");
        match self {
            Self::Connected(Connected { active }) | Self::Renewing(Renewing { active }) => {
                Losing::new(active).sign_in_again(shared)
            }
            Self::Losing(phase) => phase.sign_in_again(shared),
            Self::SigningIn(phase) => Self::SigningIn(phase.session_lost()),
            Self::Stopping(phase) => Self::Stopping(phase),
        }
    }

    /// Stops the daemon; `reply` is told when it is done.
    pub(super) fn stop(self, result: Result<(), Failure>, reply: Option<oneshot::Sender<Answer>>) -> Self {
        let active = match self {
            Self::SigningIn(phase) => phase.into_active(),
            Self::Connected(Connected { active })
            | Self::Renewing(Renewing { active })
            | Self::Losing(Losing { active, .. }) => Some(active),
            Self::Stopping(phase) => return Self::Stopping(phase),
        };
        Self::Stopping(Stopping::new(active, result, reply))
    }
}
