//! Losing: only a new sign-in can keep the session. Links go on with the tokens they have until Gateways end them.

use super::Phase;
use super::signing_in::SigningIn;
use crate::daemon::active_session::ActiveSession;
use crate::daemon::shared::Shared;
use crate::failure::Failure;

/// The session cannot be renewed any more.
pub(in crate::daemon) struct Losing {
    pub(super) active: ActiveSession,
    /// The daemon's own credentials were refused: using them again by itself could lock the user out.
    pub(super) sign_in_refused: bool,
}

impl Losing {
    pub(super) fn new(mut active: ActiveSession) -> Self {
        active.require_sign_in();
        Self { active, sign_in_refused: false }
    }

    /// After a sign-in of the daemon that failed.
    pub(super) fn refused(active: ActiveSession, shared: &mut Shared, failure: &Failure) -> Phase {
        shared.troubles.note_failure("sign-in", failure);
        let phase = Self { sign_in_refused: true, ..Self::new(active) };
        Phase::Losing(phase).require_sign_in(shared, format!("{:#}", failure.cause))
    }

    /// Signs in with the daemon's own credentials, if it was told to and they were not refused.
    pub(super) fn sign_in_again(self, shared: &mut Shared) -> Phase {
        if !shared.options.reconnect || self.sign_in_refused {
            return Phase::Losing(self);
        }
        match SigningIn::start(shared) {
            Ok(Some(sign_in)) => return Phase::SigningIn(sign_in.replacing(self.active)),
            Ok(None) => {}
            Err(failure) => shared.troubles.note_failure("sign-in", &failure),
        }
        Phase::Losing(self)
    }
}
