//! Signing in: a task signs in with the credentials of the command line, and may ask the user for further factors.

use std::sync::Arc;

use super::connected::Connected;
use super::losing::Losing;
use super::{Phase, Stopping};
use crate::daemon::active_session::ActiveSession;
use crate::daemon::session::Session;
use crate::daemon::shared::Shared;
use crate::daemon::tasks::{PromptFactors, TaskResult};
use crate::failure::Failure;
use crate::sign_in::SignIn;
use crate::store::StoredSession;

/// A sign-in is running.
pub(in crate::daemon) struct SigningIn {
    /// An earlier sign-in that is still in use.
    active: Option<ActiveSession>,
}

impl SigningIn {
    /// Starts a sign-in; `None` without credentials to sign in with.
    pub(super) fn start(shared: &mut Shared) -> Result<Option<Self>, Failure> {
        let Some(credentials) = shared.options.credentials.clone() else { return Ok(None) };
        let device = shared.account.device()?;
        let controllers = shared.account.controllers();
        let (store, key) = (shared.account.store.clone(), Arc::clone(&shared.account.key));
        let provider = shared.account.profile.identity_provider.as_str().to_owned();
        let claims = shared.device.claims();
        let factors = PromptFactors { prompts: shared.senders.factors.clone(), no_browser: shared.options.no_browser };
        shared.tasks.spawn(async move {
            let sign_in = SignIn { controllers: &controllers, store: &store, key: &key, provider: &provider, claims };
            TaskResult::SignedIn(sign_in.run(device, &credentials, &factors).await.map(Box::new))
        });
        Ok(Some(Self { active: None }))
    }

    /// The same, while an earlier sign-in stays in use.
    pub(super) fn replacing(self, active: ActiveSession) -> Self {
        Self { active: Some(active) }
    }

    pub(super) const fn active(&self) -> Option<&ActiveSession> {
        self.active.as_ref()
    }

    pub(super) const fn active_mut(&mut self) -> Option<&mut ActiveSession> {
        self.active.as_mut()
    }

    pub(super) fn into_active(self) -> Option<ActiveSession> {
        self.active
    }

    /// The sign-in has ended.
    pub(super) async fn ended(mut self, shared: &mut Shared, result: Result<Box<StoredSession>, Failure>) -> Phase {
        shared.prompts.close_of_sign_in();
        let entered = match result.and_then(|stored| shared.account.open(*stored)) {
            Ok(session) => enter(&mut self.active, shared, session).await,
            Err(failure) => Err(failure),
        };
        match (self.active, entered) {
            (Some(active), Ok(())) => Phase::Connected(Connected { active }),
            (Some(active), Err(failure)) => Losing::refused(active, shared, &failure),
            // The first sign-in decides whether there is a daemon at all.
            (None, entered) => Phase::Stopping(Stopping::new(None, entered, None)),
        }
    }

    /// Somebody signed in beside the daemon, which waits for the end of its own sign-in nevertheless.
    pub(super) async fn reloaded(mut self, shared: &mut Shared, session: Session) -> (Phase, Result<(), Failure>) {
        let result = enter(&mut self.active, shared, session).await;
        (Phase::SigningIn(self), result)
    }

    /// The earlier sign-in, if it was still good, is so no more.
    pub(super) fn session_lost(mut self) -> Self {
        if let Some(active) = &mut self.active {
            active.require_sign_in();
        }
        self
    }
}

/// Puts a session into use; if that fails, the earlier one stays.
async fn enter(active: &mut Option<ActiveSession>, shared: &mut Shared, session: Session) -> Result<(), Failure> {
    match active {
        None => *active = Some(ActiveSession::start(shared, session).await?),
        Some(active) => active.replace(shared, session).await?,
    }
    Ok(())
}
