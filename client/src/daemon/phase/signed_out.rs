//! Signed out: the daemon's beginning. Goes on with the sign-in on disk, or signs in with the credentials given.

use super::connected::Connected;
use super::signing_in::SigningIn;
use super::{Phase, Stopping};
use crate::clock;
use crate::daemon::active_session::ActiveSession;
use crate::daemon::session::Session;
use crate::daemon::shared::Shared;
use crate::failure::{Exit, Failure};

/// Nobody is signed in yet.
pub(in crate::daemon) struct SignedOut;

impl SignedOut {
    /// The first phase with something to do.
    pub(in crate::daemon) async fn begin(self, shared: &mut Shared) -> Phase {
        match self.try_begin(shared).await {
            Ok(phase) => phase,
            Err(failure) => Phase::Stopping(Stopping::new(None, Err(failure), None)),
        }
    }

    async fn try_begin(self, shared: &mut Shared) -> Result<Phase, Failure> {
        if let Some(session) = stored_session(shared)? {
            let active = ActiveSession::start(shared, session).await?;
            return Ok(Phase::Connected(Connected { active }));
        }
        match SigningIn::start(shared)? {
            Some(phase) => Ok(Phase::SigningIn(phase)),
            None => Err(Failure::message(
                Exit::NotSignedIn,
                "nobody is signed in, and no credentials were given",
                "ringwall sign-in, or: ringwall up --username … --password-file …",
            )),
        }
    }
}

/// The sign-in on disk, if it may be used and has not expired.
fn stored_session(shared: &mut Shared) -> Result<Option<Session>, Failure> {
    if shared.options.fresh {
        return Ok(None);
    }
    let Some(stored) = shared.account.store.session()? else { return Ok(None) };
    match shared.account.open(stored) {
        Ok(session) if session.usable(clock::now()) => return Ok(Some(session)),
        Ok(_) => tracing::info!("the last sign-in has expired"),
        Err(failure) => tracing::warn!(cause = %failure, "cannot use the last sign-in"),
    }
    Ok(None)
}
